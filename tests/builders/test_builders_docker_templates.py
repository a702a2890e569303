"""The templates with Dockerfiles that come with the product: as they are rendered, and as they run."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from docker_orders import DockerWorkshop
from native_orders import Entry, image_config, layer
from services.docker_registry import DockerRegistry
from services.engine import IMAGES
from shipped_templates import TEMPLATES, rendered

from registry_tool.builders.interface import BuildOrder
from registry_tool.builders.templates import TemplateProblem
from registry_tool.errors import BuildFailed
from registry_tool.oci.registry_store import RegistryStore

GOLDEN = Path(__file__).parent / "golden"
GIVEN: dict[str, dict[str, Any]] = {
    "python-server": {"port": 8080, "workers": 2},
    "transformers": {"task": "text-classification"},
    "vllm": {"max_model_len": 4096, "quantization": "awq", "arguments": ["--enable-x", 'say "hi"']},
    "llama-cpp": {"file": "a b.gguf", "arguments": ["--jinja"]},
}
"""Parameters of the releases that the golden files are rendered for."""


# --- As they are rendered -------------------------------------------------------------------------


@pytest.mark.parametrize("name", GIVEN)
def test_a_dockerfile_is_rendered_as_agreed(name: str) -> None:
    assert rendered(name, **GIVEN[name]).dockerfile == (GOLDEN / f"{name}.Dockerfile").read_text()


def test_every_template_with_a_dockerfile_is_here() -> None:
    found = {path.parent.name for path in TEMPLATES.glob("*/Dockerfile.j2")}
    assert found == set(GIVEN)


def test_a_pipeline_must_be_named() -> None:
    with pytest.raises(TemplateProblem, match="task"):
        rendered("transformers")


@pytest.mark.parametrize("name", GIVEN)
def test_a_server_is_asked_for_its_health_unless_a_deployment_says_otherwise(name: str) -> None:
    template = rendered(name, **{**GIVEN[name], "port": 8123})
    assert template.probe()[-1] == "http://127.0.0.1:8123/health"
    assert template.probe(9000, "/ready")[-1] == "http://127.0.0.1:9000/ready"


def test_a_parameter_cannot_add_an_instruction() -> None:
    text = rendered("vllm", arguments=["x\nRUN rm -rf /"]).dockerfile or ""
    assert not any(line.lstrip().startswith("RUN") for line in text.splitlines())


# --- As they run ----------------------------------------------------------------------------------


@pytest.fixture
def registry_store(docker_registry: DockerRegistry) -> RegistryStore:
    return RegistryStore(f"{docker_registry.host}/models", insecure=True)


def in_engine(workshop: DockerWorkshop, version: str = "1.0.0") -> str:
    """The complete image of the embedded store, given to the engine by another program."""
    name = f"{IMAGES}/minilm:{uuid4().hex}"
    source, target = f"oci:{workshop.store.root}/minilm:{version}", f"docker-daemon:{name}"
    daemon = f"--dest-daemon-host={os.environ['DOCKER_HOST']}"
    subprocess.run(["skopeo", "copy", daemon, source, target], check=True, capture_output=True)
    return name


def order_of(
    workshop: DockerWorkshop, template: str, base: str, version: str = "1.0.0", **params: Any
) -> BuildOrder:
    """An order with a shipped template over a base that stands in for its own."""
    plain = workshop.order(version, salt=template + base)
    return replace(plain, template=rendered(template, base, **params))


@contextmanager
def running(docker_client: Any, image: str, **options: Any) -> Iterator[Any]:
    container = docker_client.containers.run(image, detach=True, **options)
    try:
        yield container
    finally:
        container.remove(force=True)
        docker_client.images.remove(image, force=True)


def fetch(url: str, body: Any = None, alive: Callable[[], bool] = lambda: True) -> tuple[int, Any]:
    """Status and document of an answer; a server that is alive may still be starting."""
    data = None if body is None else json.dumps(body).encode()
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, data), timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as problem:
            with problem:
                return problem.code, json.load(problem)
        except OSError:
            if not alive() or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def ask(container: Any, port: int, path: str, body: Any = None) -> tuple[int, Any]:
    """The answer of a server in a container."""

    def alive() -> bool:
        container.reload()
        return bool(container.status == "running")

    container.reload()
    address = container.attrs["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
    try:
        return fetch(f"http://{address}:{port}{path}", body, alive)
    except OSError as problem:
        pytest.fail(f"the server does not answer ({problem}): {container.logs().decode()}")


HOOKS = """\
def after(model, outputs):
    return {**outputs, "speech": outputs["output"][0][0] > 0.5}
"""


@pytest.mark.xdist_group("engine")
def test_an_onnx_model_is_served_and_answers(
    docker_workshop: DockerWorkshop,
    docker_client: Any,
    registry_store: RegistryStore,
    docker_registry: DockerRegistry,
    python_base: str,
    onnx_release: Path,
) -> None:
    shutil.rmtree(docker_workshop.location)
    shutil.copytree(onnx_release, docker_workshop.location)
    order = order_of(docker_workshop, "python-server", python_base)
    complete = docker_workshop.run(order, store=registry_store).images[0]
    reference = f"{complete.reference.rpartition(':')[0]}@{complete.digest}"

    docker_client.images.pull(reference)
    with running(docker_client, reference) as container:
        status, health = ask(container, 8000, "/health")
        assert (status, health) == (200, {"status": "ok", "models": ["silero_vad"]})
        silence = {
            "input": [[0.0] * 512],
            "state": [[[0.0] * 128], [[0.0] * 128]],
            "sr": 16000,
        }
        status, answer = ask(container, 8000, "/v1/predict", {"inputs": silence})
        assert status == 200
        ((speech,),) = answer["outputs"]["output"]
        assert 0 <= speech < 0.1

        _, described = ask(container, 8000, "/v1/models")
        assert [value["name"] for value in described["models"][0]["inputs"]] == [
            "input",
            "state",
            "sr",
        ]
        refused = {
            "no such input: x": {**silence, "x": 1},
            "missing input: sr": {"input": [[0.0]], "state": silence["state"]},
            "input sr: float64 values": {**silence, "sr": 16000.5},
            "input input: shape [1, 1, 1] in": {**silence, "input": [[[0.0]]]},
            "input input: not a tensor(float)": {**silence, "input": [[0.0], [0.0, 1.0]]},
        }
        for words, inputs in refused.items():
            status, answer = ask(container, 8000, "/v1/predict", {"inputs": inputs})
            assert (status, words in answer["detail"]) == (422, True), answer
        assert ask(container, 8000, "/v1/predict", {"inputs": {}, "model": "x"})[0] == 404
        assert ask(container, 8000, "/v1/predict", {"input": {}})[0] == 422
        assert ask(container, 8000, "/v1/predict", {"inputs": "0" * (33 << 20)})[0] == 413
        probe = list(order.template.probe(8000, "/health"))
        assert container.exec_run(probe).exit_code == 0
        assert container.exec_run(list(order.template.probe(8000, "/no"))).exit_code != 0
        assert container.exec_run("id -u").output.strip() == b"65532"

    # New code: nothing of the weights is read or sent, the wheels' layer is there, and the answer is new.
    (docker_workshop.location / "hooks.py").write_text(HOOKS)
    uploads = len(docker_registry.uploads())
    storage = docker_workshop.counting()
    order = order_of(docker_workshop, "python-server", python_base, "1.0.1")
    complete = docker_workshop.run(order, store=registry_store, storage=storage).images[0]
    weights = {layer.digest for layer in order.payload}
    assert weights.isdisjoint(docker_registry.uploads()[uploads:])
    assert "silero_vad.onnx" not in storage.opened
    reference = f"{complete.reference.rpartition(':')[0]}@{complete.digest}"
    docker_client.images.pull(reference)
    with running(docker_client, reference) as container:
        status, answer = ask(container, 8000, "/v1/predict", {"inputs": silence})
        assert (status, answer["outputs"]["speech"]) == (200, False)


@pytest.mark.xdist_group("engine")
def test_a_server_without_its_packages_is_not_built(
    stocked: DockerWorkshop, debian_base: str
) -> None:
    for path in ("requirements.txt", "deps/tool-1.0-py3-none-any.whl"):
        (stocked.location / path).unlink()

    with pytest.raises(BuildFailed) as caught:
        stocked.run(order_of(stocked, "python-server", debian_base))

    assert "ModuleNotFoundError: No module named 'fastapi'" in caught.value.log


FAKE_LLAMA = b"""\
FROM {base}
RUN mkdir /app && printf '#!/bin/sh\\nprintf "<%%s>" "$@"\\n' > /app/llama-server && chmod +x /app/llama-server
"""


@pytest.mark.xdist_group("engine")
def test_llama_gets_the_first_part_of_its_model(
    stocked: DockerWorkshop, docker_client: Any, debian_base: str
) -> None:
    dockerfile = FAKE_LLAMA.replace(b"{base}", debian_base.encode())
    context = io.BytesIO(layer({"Dockerfile": Entry(content=dockerfile)}))
    base, _ = docker_client.images.build(fileobj=context, custom_context=True, rm=True)
    for part in ("m-00002-of-00002.gguf", "m-00001-of-00002.gguf"):
        (stocked.location / part).write_bytes(b"GGUF")
    stocked.run(order_of(stocked, "llama-cpp", base.id, arguments=["--jinja"]))

    with running(docker_client, in_engine(stocked)) as container:
        container.wait(timeout=60)
        told = container.logs().decode()

    assert told.startswith("<--model></models/minilm/m-00001-of-00002.gguf><--alias><minilm>")
    assert "<--jinja><--parallel><1>" in told


@pytest.mark.xdist_group("engine")
def test_vllm_starts_with_the_model_in_the_image(stocked: DockerWorkshop, debian_base: str) -> None:
    stocked.run(order_of(stocked, "vllm", debian_base, max_model_len=4096))

    config = image_config(stocked.store, "minilm", "1.0.0")["config"]
    assert config["Entrypoint"] == ["python3", "-m", "vllm.entrypoints.openai.api_server"]
    assert config["Cmd"][:2] == ["--model", "/models/minilm"]
    assert config["Cmd"][config["Cmd"].index("--max-model-len") + 1] == "4096"
    assert "HF_HUB_OFFLINE=1" in config["Env"]


# --- The server of transformers, over a pipeline that only says what it got -----------------------

TORCH = """\
from contextlib import nullcontext as inference_mode

class cuda:
    is_available = staticmethod(lambda: False)
"""
PIPELINE = """\
class Scores:
    def tolist(self):
        return [0.25, float("nan")]

def pipeline(task, **settings):
    assert settings["trust_remote_code"] is False

    def run(inputs, **parameters):
        if inputs is None:
            raise ValueError("no text")
        return [{"task": task, "device": settings["device"], "scores": Scores(), **parameters}]

    return run
"""


def test_a_pipeline_is_served(tmp_path: Path) -> None:
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "torch.py").write_text(TORCH)
    (modules / "transformers.py").write_text(PIPELINE)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {
        "MODEL_PATH": str(tmp_path),
        "MAX_BODY_MIB": "1",
        "PORT": str(port),
        "PYTHONPATH": str(modules),
        "TASK": "text-classification",
    }
    server = subprocess.Popen(
        [sys.executable, TEMPLATES / "transformers/server.py"],
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        address = f"http://127.0.0.1:{port}"
        assert fetch(f"{address}/health", alive=lambda: server.poll() is None)[0] == 200
        asked = {"inputs": "good", "parameters": {"top_k": 2}}
        assert fetch(f"{address}/v1/predict", asked) == (
            200,
            {
                "outputs": [
                    {
                        "task": "text-classification",
                        "device": "cpu",
                        "scores": [0.25, None],
                        "top_k": 2,
                    }
                ]
            },
        )
        assert fetch(f"{address}/v1/predict", {"inputs": None})[0] == 422
        assert fetch(f"{address}/v1/predict", {"input": "x"})[0] == 422
        assert fetch(f"{address}/v1/predict", {"inputs": "x" * (1 << 20)})[0] == 413
    finally:
        server.terminate()
        server.communicate(timeout=30)


def test_both_servers_install_their_packages_alike() -> None:
    scripts = [
        (TEMPLATES / name / "install.sh").read_text().splitlines()
        for name in ("python-server", "transformers")
    ]
    assert scripts[0][:-1] == scripts[1][:-1]
