"""Docker: containers that are checked, swapped, rolled back, repaired and removed, on a real engine."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from served import HASTY, fetch, load

from registry_tool.failpoints import ENGINE_FAILPOINTS

if TYPE_CHECKING:
    from served import Served
else:
    Served = Any

pytestmark = pytest.mark.xdist_group("engine")


@pytest.fixture
def served(served: Served) -> Served:
    served.target("docker")
    return served


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def settled(served: Served) -> bool:
    """Nothing is left to do, and nothing is left over."""
    unfinished = [name for name in served.containers() if name.endswith((".check", ".old"))]
    return not unfinished and served.json("apply")["results"] == []


def test_a_release_runs_and_another_takes_its_place(served: Served) -> None:
    served.deploy("1.0.0", env={"GREETING": "hello"})
    served.tool("apply")
    assert (served.get(), served.get("/env")) == ("1.0.0", "hello")
    (record,) = served.deployments()
    assert (record["result"], record["health"]) == ("succeeded", "healthy")
    container = served.container()
    assert container.labels["io.registry-tool.deployment-key"] == record["key"]
    assert container.attrs["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    served.deploy("1.0.1", env={"GREETING": "hello"})
    served.tool("apply")
    assert served.get() == "1.0.1"
    assert list(served.containers()) == [f"{served.environment}-web-1"]
    assert settled(served)


def test_others_find_it_by_its_name_once_it_serves(served: Served) -> None:
    served.deploy("1.0.0", replicas=2)
    served.tool("apply")
    served.deploy("1.0.1", replicas=2)
    served.tool("apply")
    asked = "import urllib.request as r; print(r.urlopen('http://web:8000/').read().decode())"
    code, out = served.container(2).exec_run(["python3", "-c", asked])
    assert (code, out.decode().strip()) == (0, "1.0.1")
    assert sorted(served.containers()) == [f"{served.environment}-web-{n}" for n in (1, 2)]


def test_a_broken_release_is_rolled_back_and_no_request_fails(served: Served) -> None:
    port = free_port()
    ports = [{"container": 8000, "host": port}]
    served.deploy("1.0.0", ports=ports)
    served.tool("apply")
    served.deploy("1.0.1", ports=ports, env={"BROKEN": "yes"}, healthcheck=HASTY)
    with load(f"http://127.0.0.1:{port}/") as seen:
        failed = served.tool("apply", expect=1)
    assert (set(seen.answers), seen.failures) == ({"1.0.0"}, [])
    assert len(seen.answers) > 5
    assert "rolled back" in failed.stdout
    record = served.deployments()[-1]
    assert (record["result"], record["health"]) == ("rolled_back", "unhealthy")
    assert "GET /health on port 8000 answered 500" in record["error"]
    assert "serving 1.0.1" in record["error"]
    assert record["previous_digest"] != record["digest"]
    assert settled(served)


def test_a_release_that_ends_is_seen_at_once_and_its_secrets_are_not_recorded(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTRY_TOOL_SECRETS", str(tmp_path / "secrets"))
    secret = tmp_path / "secrets" / served.environment / "token"
    secret.parent.mkdir(parents=True)
    secret.write_text("xyzzy-plugh-42")
    served.deploy("1.0.0", env={"CRASH": "yes"}, secrets=["token"])
    served.tool("apply", expect=1)
    (record,) = served.deployments()
    assert record["result"] == "failed"
    assert "exit code 3" in record["error"]
    assert "cannot load the model [redacted]" in record["error"]
    assert "xyzzy" not in served.git("log", "-p", "registry-records")
    assert served.containers() == {}


def test_secrets_are_files_and_nothing_else(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.deploy("1.0.0", secrets=["token"])
    refused = served.tool("apply", expect=3)
    variable = f"RT_SECRET_{served.environment.upper()}_TOKEN"
    assert f'nobody granted the secret "token" to {served.environment}' in refused.stderr
    assert variable in refused.stderr
    assert served.deployments() == []
    monkeypatch.setenv(variable, "open sesame")
    served.tool("apply")
    assert served.get("/file/run/secrets/token") == "open sesame"
    assert "sesame" not in str(served.container().attrs)


def test_a_host_port_moves_to_the_new_container_and_back(served: Served) -> None:
    port = free_port()
    served.deploy("1.0.0", ports=[{"container": 8000, "host": port}])
    served.tool("apply")
    served.deploy("1.0.1", ports=[{"container": 8000, "host": port}])
    served.tool("apply")
    assert fetch(f"http://127.0.0.1:{port}/") == "1.0.1"
    assert settled(served)


def test_recreating_stops_the_old_one_first_and_starts_it_again_when_it_must(
    served: Served,
) -> None:
    strategy = {"type": "recreate"}
    served.deploy("1.0.0", strategy=strategy, replicas=2)
    served.tool("apply")
    served.deploy("1.0.1", strategy=strategy, replicas=2, env={"BROKEN": "yes"}, healthcheck=HASTY)
    served.tool("apply", expect=1)
    assert served.deployments()[-1]["result"] == "rolled_back"
    assert [served.get_once_up(number) for number in (1, 2)] == ["1.0.0", "1.0.0"]
    assert settled(served)


def test_resources_and_volumes_reach_the_container(served: Served) -> None:
    served.deploy(
        "1.0.0",
        resources={"cpus": 0.5, "memory": "64Mi"},
        volumes=[{"source": f"{served.environment}-data", "target": "/data", "read_only": True}],
    )
    served.tool("apply")
    attributes = served.container().attrs
    assert attributes["HostConfig"]["NanoCpus"] == 500_000_000
    assert attributes["HostConfig"]["Memory"] == 64 << 20
    (mount,) = attributes["Mounts"]
    assert (mount["Name"], mount["Destination"], mount["RW"]) == (
        f"{served.environment}-data",
        "/data",
        False,
    )


def test_what_runs_out_of_memory_says_so(served: Served) -> None:
    served.deploy("1.0.0", resources={"memory": "6Mi"})
    served.tool("apply", expect=1)
    assert "memory" in served.deployments()[-1]["error"]


def test_mounted_weights_are_filled_once_and_read_only(served: Served) -> None:
    served.deploy("1.0.0", weights="mounted")
    served.tool("apply")
    assert served.get("/file/models/echo/model.bin") == "weights of echo"
    (mount,) = served.container().attrs["Mounts"]
    assert not mount["RW"]
    volume = served.client.volumes.get(mount["Name"])
    served.deploy("1.0.1", weights="mounted")
    served.tool("apply")
    (again,) = served.container().attrs["Mounts"]
    assert again["Name"] == volume.name
    assert settled(served)
    served.container().remove(force=True)
    volume.remove()


def test_a_removed_deployment_is_removed(served: Served) -> None:
    served.deploy("1.0.0")
    served.deploy("1.0.0", name="other")
    served.tool("apply")
    served.undeploy()
    served.tool("apply")
    assert list(served.containers()) == [f"{served.environment}-other-1"]
    assert served.deployments()[-1]["result"] == "removed"
    assert settled(served)


def test_drift_is_shown_and_repaired(served: Served) -> None:
    served.deploy("1.0.0", replicas=2)
    served.tool("apply")
    assert served.json("status")["drift"] == []
    kept, lost = served.container(1), served.container(2)
    lost.remove(force=True)
    other = served.client.containers.create(
        lost.image.id,
        name=lost.name,
        labels=lost.labels,
        environment={"GREETING": "by hand"},
    )
    other.start()
    subject = f"deployment/{served.environment}/web"
    status = served.json("status")
    assert any("GREETING" in line and line.startswith(subject) for line in status["drift"])
    assert status["deployments"][0]["drift"]
    assert served.json("plan", "--observe", "--exit-code", expect=4)["drift"] == status["drift"]
    (repaired,) = served.json("apply")["results"]
    assert (repaired["subject"], repaired["result"]) == (subject, "updated")
    assert [record["result"] for record in served.deployments()] == ["succeeded"] * 2
    assert served.container(1).id == kept.id
    assert served.get("/env", number=2) == ""
    served.container(1).stop()
    served.tool("apply")
    assert served.get(number=1) == "1.0.0"
    assert settled(served)


def test_an_engine_that_is_gone_is_an_error_of_the_surroundings(
    served: Served, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    served.deploy("1.0.0")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    monkeypatch.setattr("registry_tool.reconcile.failing.DELAYS", (0.0,))
    failed = served.tool("apply", expect=3)
    assert f"unix://{tmp_path}/no.sock did not answer" in failed.stderr
    assert served.deployments() == []
    monkeypatch.undo()


def test_a_foreign_container_of_that_name_is_left_alone(served: Served, debian_base: str) -> None:
    name = f"{served.environment}-web-1"
    foreign = served.client.containers.create(debian_base, ["true"], name=name)
    try:
        served.deploy("1.0.0")
        served.tool("apply", expect=1)
        assert "already in use" in served.deployments()[-1]["error"]
        assert served.client.containers.get(name).id == foreign.id
    finally:
        foreign.remove(force=True)


@pytest.mark.parametrize("failpoint", sorted(ENGINE_FAILPOINTS))
@pytest.mark.parametrize("published", [False, True], ids=["inside", "published"])
def test_a_kill_in_the_middle_changes_nothing_in_the_end(
    served: Served, failpoint: str, published: bool
) -> None:
    ports = [{"container": 8000, "host": free_port()} if published else {"container": 8000}]
    served.deploy("1.0.0", ports=ports)
    served.tool("apply")
    served.deploy("1.0.1", ports=ports)
    served.kill_at(failpoint)
    served.tool("apply")
    assert served.get() == "1.0.1"
    assert [record["result"] for record in served.deployments()] == ["succeeded"] * 2
    assert settled(served)


@pytest.mark.parametrize("failpoint", ["container-started", "swapped"])
def test_a_kill_and_a_revert_bring_back_what_was(served: Served, failpoint: str) -> None:
    served.deploy("1.0.0")
    served.tool("apply")
    served.deploy("1.0.1")
    served.kill_at(failpoint)
    served.deploy("1.0.0")
    served.tool("apply")
    assert served.get() == "1.0.0"
    assert settled(served)


def test_gpus_that_an_engine_does_not_have_are_explained(served: Served) -> None:
    if "nvidia" in served.client.info()["Runtimes"]:
        pytest.skip("this engine has GPUs to give")
    served.deploy("1.0.0", resources={"gpus": 1})
    failed = served.tool("apply", expect=1)
    assert "it needs the NVIDIA Container Toolkit" in failed.stdout
    (record,) = served.deployments()
    assert record["result"] == "failed"
    assert served.containers() == {}
