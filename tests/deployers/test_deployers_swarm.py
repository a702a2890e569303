"""Docker Swarm: services that are updated, rolled back by the Swarm, repaired and removed, on a real one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from served import HASTY

if TYPE_CHECKING:
    from served import Served
else:
    Served = Any

pytestmark = pytest.mark.xdist_group("engine")

ASK = """\
import signal, sys, time, urllib.request
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
print("begins", flush=True)
while not stopped:
    try:
        with urllib.request.urlopen("http://tasks.{name}:8000/", timeout=60) as answer:
            print("answer", answer.read().decode(), flush=True)
    except OSError as problem:
        print("failure", problem, flush=True)
    time.sleep(0.02)
"""


@pytest.fixture
def served(served: Served, swarm: None) -> Served:
    served.target("swarm")
    return served


def service(served: Served, name: str = "web") -> Any:
    return served.client.services.get(f"{served.environment}-{name}")


def running(served: Served) -> list[dict[str, Any]]:
    return [
        task
        for task in service(served).tasks({"desired-state": "running"})
        if task["Status"]["State"] == "running"
    ]


@contextmanager
def load(served: Served) -> Iterator[list[str]]:
    """Ask the service from inside its network; afterwards what was answered, and what failed."""
    image = running(served)[0]["Spec"]["ContainerSpec"]["Image"]
    client = served.client.containers.run(
        image,
        entrypoint=["python3", "-c", ASK.format(name=f"{served.environment}-web")],
        network=f"registry-tool-{served.environment}-swarm",
        labels={"io.registry-tool.environment": served.environment},
        detach=True,
    )
    seen: list[str] = []
    try:
        while "answer" not in client.logs().decode():
            time.sleep(0.1)
        yield seen
        client.stop()
        seen += client.logs().decode().splitlines()[1:]
    finally:
        client.remove(force=True)


def test_an_update_and_a_rollback_fail_no_request(served: Served) -> None:
    served.deploy("1.0.0")
    served.tool("apply")
    (first,) = served.deployments()
    assert (first["result"], first["health"]) == ("succeeded", "healthy")
    with load(served) as seen:
        served.deploy("1.0.1")
        served.tool("apply")
        served.deploy("1.0.0", env={"BROKEN": "yes"}, healthcheck=HASTY)
        failed = served.tool("apply", expect=1)
    assert [line for line in seen if line.startswith("failure")] == []
    assert {line for line in seen if line.startswith("answer")} == {"answer 1.0.0", "answer 1.0.1"}
    assert seen[-1] == "answer 1.0.1"
    assert "rolled back" in failed.stdout
    good, broken = served.deployments()[1:]
    assert (good["result"], broken["result"]) == ("succeeded", "rolled_back")
    assert "serving 1.0.0" in broken["error"]
    assert broken["error"].splitlines()[-1].startswith(f"{served.environment}-web does not serve: ")
    labels = service(served).attrs["Spec"]["Labels"]
    assert labels["io.registry-tool.deployment-key"] == good["key"]
    assert served.json("apply")["results"] == []


def test_a_first_release_that_does_not_start_is_taken_back(served: Served) -> None:
    served.deploy("1.0.0", env={"CRASH": "yes"})
    served.tool("apply", expect=1)
    (record,) = served.deployments()
    assert record["result"] == "failed"
    assert "cannot load the model" in record["error"]
    assert "non-zero exit (3)" in record["error"]
    assert served.client.services.list(filters={"name": served.environment}) == []


def test_what_no_machine_may_run_goes_back(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry_tool.deployers.swarm_updates._SCHEDULING", 0.0)
    served.target("swarm", namespace="elsewhere")
    served.deploy("1.0.0", healthcheck=HASTY)
    served.tool("apply", expect=1)
    (record,) = served.deployments()
    assert "no suitable node" in record["error"]
    assert "constraint" in record["error"]


def test_secrets_resources_and_replicas(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTRY_TOOL_SECRETS", str(tmp_path / "secrets"))
    secret = tmp_path / "secrets" / served.environment / "token"
    secret.parent.mkdir(parents=True)
    secret.write_text("first")
    served.deploy(
        "1.0.0", secrets=["token"], replicas=2, resources={"cpus": 0.25, "memory": "64Mi"}
    )
    served.tool("apply")
    limits = service(served).attrs["Spec"]["TaskTemplate"]["Resources"]["Limits"]
    assert (limits["NanoCPUs"], limits["MemoryBytes"]) == (250_000_000, 64 << 20)
    assert len(running(served)) == 2
    read = ["python3", "-c", "print(open('/run/secrets/token').read())"]
    task = running(served)[0]["Status"]["ContainerStatus"]["ContainerID"]
    assert served.client.containers.get(task).exec_run(read).output.strip() == b"first"
    label = {"label": f"io.registry-tool.environment={served.environment}"}
    assert len(served.client.secrets.list(filters=label)) == 1
    served.undeploy()
    served.tool("apply")
    assert served.deployments()[-1]["result"] == "removed"
    assert served.client.secrets.list(filters=label) == []
    assert served.client.services.list(filters=label) == []


def test_drift_is_shown_and_repaired(served: Served) -> None:
    served.deploy("1.0.0", env={"GREETING": "hello"})
    served.tool("apply")
    assert served.json("status")["drift"] == []
    there = service(served)
    there.scale(0)
    drift = served.json("plan", "--observe", "--exit-code", expect=4)["drift"]
    name = f"{served.environment}-web"
    assert drift == [f"deployment/{served.environment}/web: {name} has 0 replicas instead of 1"]
    there.reload()
    there.update(env=["GREETING=by hand"], fetch_current_spec=True)
    assert "another env, GREETING" in served.tool("status").stdout
    served.tool("apply")
    (task,) = running(served)
    assert task["Spec"]["ContainerSpec"]["Env"] == ["GREETING=hello"]
    there.remove()
    assert f"the service {name} is not there" in served.tool("status").stdout
    served.tool("apply")
    assert len(running(served)) == 1
    assert [record["result"] for record in served.deployments()] == ["succeeded"] * 3


@pytest.mark.parametrize("failpoint", ["container-started", "swapped"])
def test_a_kill_in_the_middle_changes_nothing_in_the_end(served: Served, failpoint: str) -> None:
    served.deploy("1.0.0")
    served.tool("apply")
    served.deploy("1.0.1")
    served.kill_at(failpoint)
    served.tool("apply")
    (task,) = running(served)
    assert task["Spec"]["ContainerSpec"]["Labels"]["io.registry-tool.release"].endswith(
        "1.0.1/none"
    )
    assert [record["result"] for record in served.deployments()] == ["succeeded"] * 2
    assert served.json("apply")["results"] == []


def test_the_next_manager_is_asked_when_one_does_not_answer(
    served: Served, docker_host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTRY_TOOL_HOST_CLUSTER", f"unix://{tmp_path}/gone.sock {docker_host}")
    served.target("swarm", host="cluster")
    served.deploy("1.0.0")
    served.tool("apply")
    assert len(running(served)) == 1
