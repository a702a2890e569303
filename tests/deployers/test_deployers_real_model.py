"""A real model, from its files to its answers: built by an engine, kept in a registry, run by Docker and by a Swarm."""

from __future__ import annotations

import json
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from registries import RegistryFolder
from services.docker_registry import DockerRegistry

if TYPE_CHECKING:
    from served import Served
else:
    from served import Served

pytestmark = pytest.mark.xdist_group("engine")

TEMPLATES = Path(__file__).parents[2] / "build_templates"
CHECKED = {"interval": "1s", "timeout": "10s", "retries": 10, "start_period": "2m"}
"""Asked by the template's own probe."""
SILENCE = {"inputs": {"input": [[0.0] * 512], "state": [[[0.0] * 128]] * 2, "sr": 16000}}
NEVER_READY = """\
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: os._exit(1))
print("waiting for a licence", flush=True)
time.sleep(3600)
"""
ASK = f"""\
import json, signal, time, urllib.request
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
body = json.dumps({SILENCE!r}).encode()
while not stopped:
    try:
        with urllib.request.urlopen("http://NAME:8000/v1/predict", body, timeout=60) as answer:
            print("answer", json.load(answer)["outputs"]["output"][0][0], flush=True)
    except (OSError, ValueError) as problem:
        print("failure", repr(problem), flush=True)
    time.sleep(0.02)
"""


class Places:
    """One repository with the release, deployed to an environment on Docker and to one on a Swarm."""

    def __init__(self, folder: RegistryFolder, client: Any) -> None:
        unique = uuid.uuid4().hex[:8]
        self.docker = Served(folder.path, folder.storage, client, f"d{unique}")
        self.swarm = Served(folder.path, folder.storage, client, f"s{unique}")
        self.both = (self.docker, self.swarm)

    def release(self, version: str, files: Path, **more: bytes) -> None:
        """Put files into storage, and declare and lock a release of them."""
        location = self.docker.storage / "vad" / version
        shutil.copytree(files, location)
        for name, content in more.items():
            (location / f"{name}.py").write_bytes(content)
        self.docker.release("vad", version, lock=False)
        path = f"manifests/releases/vad/{version}/none.yaml"
        self.docker.replace(path, "name: weights", "name: python-server")
        self.docker.replace(path, "spec:\n", f"spec:\n  storage_path: {location}\n")
        self.docker.commit(f"Release {version}")
        self.docker.lock(f"vad/{version}")
        self.docker.commit(f"Lock {version}")

    def deploy(self, version: str, **spec: Any) -> None:
        for place in self.both:
            place.deploy(version, model="vad", **{"healthcheck": CHECKED, **spec})

    def host(self, place: Served) -> str:
        """The name by which others on its network reach the server."""
        return "web" if place is self.docker else f"tasks.{place.environment}-web"

    @contextmanager
    def load(self, image: str) -> Iterator[dict[str, list[str]]]:
        """Predictions asked of both all the time; afterwards what each environment answered."""
        seen: dict[str, list[str]] = {place.environment: [] for place in self.both}
        clients = [self._client(place, image) for place in self.both]
        try:
            for client in clients:
                wait_for_answer(client)
            yield seen
            for place, client in zip(self.both, clients, strict=True):
                client.stop()
                seen[place.environment] += client.logs().decode().splitlines()
        finally:
            for client in clients:
                client.remove(force=True)

    def _client(self, place: Served, image: str) -> Any:
        network = f"registry-tool-{place.environment}"
        return place.client.containers.run(
            image,
            entrypoint=["python3", "-c", ASK.replace("NAME", self.host(place))],
            network=network if place is self.docker else f"{network}-swarm",
            labels={"io.registry-tool.environment": place.environment},
            detach=True,
        )


def wait_for_answer(client: Any) -> None:
    while not (told := client.logs().decode()):
        time.sleep(0.1)
    assert told.startswith("answer"), told


@pytest.fixture
def places(
    empty_registry: RegistryFolder,
    docker_registry: DockerRegistry,
    python_base: str,
    swept_client: Any,
    swarm: None,
    docker_host: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Places]:
    monkeypatch.setenv("DOCKER_HOST", docker_host)
    monkeypatch.setenv("REGISTRY_TOOL_JOBS", "2")
    folder = empty_registry
    shutil.copytree(TEMPLATES / "python-server", folder.path / "build_templates/python-server")
    (template,) = folder.path.glob("build_templates/python-server/template.yaml")
    document = yaml.safe_load(template.read_text())
    document["spec"]["dockerfile"]["bases"][0]["digest"] = python_base
    template.write_text(json.dumps(document))
    images = f"  images:\n    repository: {docker_registry.host}/ml\n    insecure: true\n"
    folder.replace("manifests/registry.yaml", "spec:\n", f"spec:\n{images}")
    folder.model("vad")
    found = Places(folder, swept_client)
    found.docker.target("docker")
    found.swarm.target("swarm")
    yield found
    for place in found.both:
        place.clean()


def test_a_model_is_built_served_and_survives_a_broken_release(
    places: Places, onnx_release: Path, docker_registry: DockerRegistry
) -> None:
    places.release("1.0.0", onnx_release)
    places.deploy("1.0.0")
    tool = places.docker
    tool.tool("apply")
    for place in places.both:
        (record,) = place.deployments()
        assert (record["result"], record["health"]) == ("succeeded", "healthy")
    lock = yaml.safe_load((tool.path / "manifests/releases/vad/1.0.0/none.lock.yaml").read_text())
    (weights,) = [
        layer["digest"] for layer in lock["spec"]["layers"] if "silero_vad.onnx" in layer["files"]
    ]
    (build,) = tool.record_files("builds/")
    complete = yaml.safe_load(tool.record(build))["spec"]["images"][0]
    assert docker_registry.uploads().count(weights) == 1

    # A broken one, and then a changed setting.
    places.release("1.1.0", onnx_release, hooks=NEVER_READY.encode())
    image = f"{docker_registry.host}/ml/vad@{complete['digest']}"
    with places.load(image) as seen:
        places.deploy("1.0.0", env={"THREADS": "1"})
        tool.tool("apply")
        hasty = {**CHECKED, "retries": 2, "start_period": "3s", "timeout": "2s"}
        places.deploy("1.1.0", healthcheck=hasty)
        broken = tool.tool("apply", expect=1)
    assert broken.stdout.count("  rolled back: ") == 2
    for place in places.both:
        answers = seen[place.environment]
        assert [line for line in answers if not line.startswith("answer")] == []
        assert len(answers) > 50
        assert {round(float(line.split()[1]), 3) for line in answers} == {0.001}
        _, updated, failed = place.deployments()
        assert (updated["result"], failed["result"]) == ("succeeded", "rolled_back")
        assert "waiting for a licence" in failed["error"]
        reason = failed["error"].splitlines()[-1]
        assert "does not serve" in reason
        assert "Connection refused" in reason, "what the health check said"
    assert docker_registry.uploads().count(weights) == 1
    assert tool.json("apply")["results"] == []
