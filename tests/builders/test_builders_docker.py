"""The docker builder with a real engine."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from docker import errors
from docker_orders import FILES, DockerWorkshop, Told
from native_orders import (
    Entry,
    Workshop,
    files_of,
    image_config,
    image_manifest,
    layer,
    unpack,
)
from services.docker_registry import PASSWORD, USER, DockerRegistry

from registry_tool.builders.interface import BuiltRelease
from registry_tool.errors import BuildFailed, ContentMismatch, EngineProblem, LeaseLost
from registry_tool.oci.layout import LayoutStore
from registry_tool.oci.registry_store import RegistryStore

pytestmark = pytest.mark.xdist_group("engine")


@dataclass(frozen=True)
class Pushed:
    """A small base image in a registry, and not in the engine."""

    reference: str
    digest: str
    source: str
    """Where skopeo finds it."""


@pytest.fixture
def pushed(docker_client: Any, docker_registry: DockerRegistry) -> Iterator[Pushed]:
    with pushed_base(docker_client, docker_registry) as base:
        yield base


@contextmanager
def pushed_base(docker_client: Any, registry: DockerRegistry, **login: Any) -> Iterator[Pushed]:
    name = f"{registry.host}/bases/tiny"
    files = {"Dockerfile": b"FROM scratch\nCOPY base.txt /\n", "base.txt": b"from the base"}
    context = layer({path: Entry(content=content) for path, content in files.items()})
    docker_client.images.build(
        fileobj=io.BytesIO(context), custom_context=True, rm=True, tag=f"{name}:1"
    )
    docker_client.images.push(name, tag="1", **login)
    pinned = docker_client.images.get(f"{name}:1").attrs["RepoDigests"]
    (digest,) = (text.split("@")[1] for text in pinned if text.startswith(name))
    docker_client.images.remove(f"{name}:1")
    yield Pushed(f"{name}:1", digest, f"docker://{name}:1")
    with suppress(errors.ImageNotFound):
        docker_client.images.remove(f"{name}@{digest}")


def layers(workshop: Workshop, tag: str) -> list[tuple[str, str]]:
    """What each layer is there for, and its digest."""
    return [
        ((layer.get("annotations") or {}).get("io.registry-tool.part", "base"), layer["digest"])
        for layer in image_manifest(workshop.store, "minilm", tag)["layers"]
    ]


def parts(workshop: Workshop, tag: str) -> list[str]:
    return [part for part, _ in layers(workshop, tag)]


CODE = "FROM {base}\nCOPY code/ /app/code/\nRUN echo building\n"
COPIES = """\
FROM {base}
COPY requirements/ /app/requirements/
COPY third_party/ /app/third_party/
COPY wheels/ /app/wheels/
COPY config/ /app/config/
COPY code/ /app/code/
COPY start.sh /app/
RUN : {new}; echo building && mkdir -p /models && chown 7:8 /models && chmod 0750 /models
ENV GREETING=hello
ENTRYPOINT ["/app/start.sh"]
LABEL team=search io.registry-tool.model=other
"""
START = ("start.sh", b"#!/bin/sh\necho start\n", 0o755)


def test_runtime_and_weights_meet_in_the_store(
    docker_workshop: DockerWorkshop, debian_base: str
) -> None:
    order, told = docker_workshop.dockerfile(COPIES, base=debian_base, files=[START]), Told()

    built = docker_workshop.run(order, progress=told)

    assert parts(docker_workshop, "1.0.0")[-2:] == ["weights", "directories"]
    assert set(parts(docker_workshop, "1.0.0")[:-2]) == {"base", "runtime"}
    tree = unpack(docker_workshop.store, "minilm", "1.0.0", skip=1)
    assert {
        path: content
        for path, content in files_of(tree).items()
        if path.startswith(("app/", "models/"))
    } == {
        "app/requirements/requirements.txt": b"",
        "app/third_party/lib/notice.txt": b"thanks",
        "app/wheels/tool-1.0-py3-none-any.whl": b"a wheel",
        "app/config/config.json": b'{"layers": 2}',
        "app/code/serve.py": b"print('hello')\n",
        "app/start.sh": START[1],
        "models/minilm/model.safetensors": FILES["model.safetensors"],
        "models/minilm/config.json": b'{"layers": 2}',
    }
    assert tree["app/start.sh"].mode == 0o755
    folder = unpack(docker_workshop.store, "minilm", "1.0.0", isolated=True, skip=1)["models"]
    assert (folder.mode, folder.uid, folder.gid) == (0o750, 7, 8)

    config = image_config(docker_workshop.store, "minilm", "1.0.0")
    assert config["config"]["Entrypoint"] == ["/app/start.sh"]
    assert "GREETING=hello" in config["config"]["Env"]
    labels = config["config"]["Labels"]
    assert labels["team"] == "search"
    assert labels["io.registry-tool.model"] == "minilm"
    assert labels["io.registry-tool.build-key"] == order.key
    assert "Hostname" not in config["config"]
    assert config["created"] == "1970-01-01T00:00:00Z"

    assert parts(docker_workshop, "weights-1.0.0") == ["weights"]
    assert "weights" not in parts(docker_workshop, "runtime-1.0.0")
    assert [image.role for image in built.images] == ["complete", "runtime", "weights"]
    assert "; echo building" in built.log
    assert "\nbuilding\n" in built.log
    assert any("; echo building" in message for message in told.messages)
    assert any(message.endswith(" s") for message in told.messages)
    assert not told.open


# --- What moves -----------------------------------------------------------------------------------


def test_a_code_change_reads_and_writes_no_weight(
    stocked: DockerWorkshop, debian_base: str
) -> None:
    stocked.run(stocked.dockerfile(CODE, base=debian_base))
    (stocked.location / "code/serve.py").write_bytes(b"print('better')\n")
    order, storage = stocked.dockerfile(CODE, base=debian_base, version="1.0.1"), stocked.counting()

    built = stocked.run(order, storage=storage)

    weights = [layer for layer in built.layers if layer.source == "weights"]
    assert weights
    assert not any(layer.uploaded for layer in weights)
    assert built.bytes.upload == 0
    assert set(storage.opened).isdisjoint({"model.safetensors"})
    tree = unpack(stocked.store, "minilm", "1.0.1", skip=1)
    assert tree["app/code/serve.py"].content == b"print('better')\n"


def test_a_change_of_weights_takes_nothing_from_the_engine(
    stocked: DockerWorkshop, debian_base: str
) -> None:
    dockerfile = "FROM {base}\nRUN echo one > /one\n"
    first = stocked.run(stocked.dockerfile(dockerfile, base=debian_base))
    (stocked.location / "model.safetensors").write_bytes(b"retrained")

    built = stocked.run(stocked.dockerfile(dockerfile, base=debian_base, version="1.1.0"))

    def runtime(release: BuiltRelease) -> list[str]:
        return [layer.digest for layer in release.layers if layer.source == "runtime"]

    assert runtime(built) == runtime(first)
    assert [layer.source for layer in built.layers if layer.uploaded] == ["weights"]


def test_a_finished_build_is_adopted_without_an_engine(
    stocked: DockerWorkshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = stocked.dockerfile("FROM scratch\nCOPY code/ /app/\n")
    built = stocked.run(order)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")

    adopted = stocked.run(order)

    assert adopted.adopted
    assert adopted.images == built.images


def test_nothing_to_copy_is_nothing_copied(stocked: DockerWorkshop) -> None:
    for path in ("code/serve.py", "requirements.txt", "third_party/lib/notice.txt", "config.json"):
        (stocked.location / path).unlink()
    (stocked.location / "deps/tool-1.0-py3-none-any.whl").unlink()
    copies = "".join(
        f"COPY {name}/ /app/{name}/\n"
        for name in ("requirements", "third_party", "wheels", "config", "code")
    )

    stocked.run(stocked.dockerfile("FROM scratch\n" + copies))

    assert files_of(unpack(stocked.store, "minilm", "1.0.0")) == {
        "models/minilm/model.safetensors": FILES["model.safetensors"]
    }


def test_platforms_share_the_weights(stocked: DockerWorkshop) -> None:
    order = stocked.dockerfile("FROM scratch\nCOPY code/ /app/\n")
    order = replace(order, platforms=("linux/amd64", "linux/arm64"))

    stocked.run(order)

    index = image_manifest(stocked.store, "minilm", "1.0.0")
    architectures = [entry["platform"]["architecture"] for entry in index["manifests"]]
    assert architectures == ["amd64", "arm64"]


def test_a_base_is_pulled_by_its_digest(stocked: DockerWorkshop, pushed: Pushed) -> None:
    text, told = "FROM {base}\nCOPY code/ /app/\n", Told()
    order = stocked.dockerfile(text, base=pushed.digest, reference=pushed.reference)

    stocked.run(order, progress=told)

    assert parts(stocked, "1.0.0") == ["base", "runtime", "weights"]
    assert files_of(unpack(stocked.store, "minilm", "1.0.0"))["base.txt"] == b"from the base"
    pulls = [name for task, name in told.tasks.items() if task.startswith("pull ")]
    assert pulls == [f"Pulling {pushed.reference}@{pushed.digest}"]


def test_a_base_of_the_store_stays_as_it_was_published(
    stocked: DockerWorkshop, pushed: Pushed
) -> None:
    copy = f"oci:{stocked.store.root}/bases/tiny:1"
    (stocked.store.root / "bases").mkdir()
    options = ["--src-tls-verify=false", "--preserve-digests"]
    subprocess.run(
        ["skopeo", "copy", *options, pushed.source, copy], check=True, capture_output=True
    )
    (published,) = image_manifest(stocked.store, "bases/tiny", "1")["layers"]
    text = "FROM {base}\nCOPY code/ /app/\n"

    built = stocked.run(stocked.dockerfile(text, base=pushed.digest, reference=pushed.reference))

    bottom = image_manifest(stocked.store, "minilm", "1.0.0")["layers"][0]
    assert bottom["digest"] == published["digest"]
    assert bottom["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip"
    assert [layer.uploaded for layer in built.layers if layer.source == "base"] == [False]
    assert files_of(unpack(stocked.store, "minilm", "1.0.0"))["base.txt"] == b"from the base"


def test_a_base_of_the_same_registry_is_mounted(
    docker_workshop: DockerWorkshop, pushed: Pushed, docker_registry: DockerRegistry
) -> None:
    store = RegistryStore(f"{docker_registry.host}/models", insecure=True)
    before = set(docker_registry.uploads())
    order = docker_workshop.dockerfile(
        "FROM {base}\nCOPY code/ /app/\n", base=pushed.digest, reference=pushed.reference
    )

    built = docker_workshop.run(order, store=store)

    base = [layer for layer in built.layers if layer.source == "base"]
    assert [layer.uploaded for layer in base] == [False]
    assert base[0].digest in before
    assert base[0].digest not in docker_registry.uploads()[len(before) :]
    mounts = docker_registry.requests("POST", "from=bases%2Ftiny", 201)
    assert any("/models/minilm/" in path for path in mounts)


# --- What goes wrong ------------------------------------------------------------------------------


def test_a_failing_step_is_named_and_its_output_comes_last(
    stocked: DockerWorkshop, debian_base: str, docker_client: Any
) -> None:
    order = stocked.dockerfile(
        "FROM {base}\nRUN : {new}; echo fine\nRUN echo cannot find it >&2; exit 3\nRUN echo never\n",
        base=debian_base,
    )

    with pytest.raises(
        BuildFailed, match=r"\[3/4\] RUN echo cannot find it.*exit code: 3"
    ) as caught:
        stocked.run(order)

    lines = caught.value.log.splitlines()
    assert f"build key {order.key}" in lines
    assert lines.index("fine") < lines.index("cannot find it") == len(lines) - 2
    assert "never" not in caught.value.log
    assert stocked.store.tags("minilm") == {}
    names = [tag for image in docker_client.images.list() for tag in image.tags]
    assert f"registry-tool/build:{order.key[:12]}-linux-amd64" not in names


def test_a_dockerfile_that_the_engine_does_not_understand(stocked: DockerWorkshop) -> None:
    with pytest.raises(BuildFailed, match=r"(?i)unknown instruction"):
        stocked.run(stocked.dockerfile("FROM scratch\nCOPPY code/ /app/\n"))


@pytest.mark.parametrize("path", ["code/serve.py", "model.safetensors"])
def test_a_file_that_differs_from_the_lock_is_named(stocked: DockerWorkshop, path: str) -> None:
    order = stocked.dockerfile("FROM scratch\nCOPY code/ /app/\n")
    content = bytearray((stocked.location / path).read_bytes())
    content[0] ^= 1
    (stocked.location / path).write_bytes(content)

    with pytest.raises(ContentMismatch, match=path):
        stocked.run(order)

    assert stocked.store.tags("minilm") == {}


def test_a_build_that_is_not_wanted_any_more_ends(
    stocked: DockerWorkshop, debian_base: str
) -> None:
    order = stocked.dockerfile("FROM {base}\nRUN echo begun; sleep 3600\n", base=debian_base)
    told = Told()

    def check() -> None:
        if any("sleep 3600" in message for message in told.messages):
            raise LeaseLost("somebody else")

    with pytest.raises(LeaseLost, match="somebody else"):
        stocked.run(order, check, progress=told)

    assert not told.open
    assert stocked.store.tags("minilm") == {}


def test_a_build_that_takes_too_long_says_what_it_was_doing(
    stocked: DockerWorkshop, debian_base: str
) -> None:
    order = stocked.dockerfile("FROM {base}\nRUN echo begun; sleep 3601\n", base=debian_base)
    told = Told()

    def check() -> None:
        if any("sleep 3601" in message for message in told.messages):
            raise BuildFailed("the build took longer than 1:00:00")

    with pytest.raises(BuildFailed, match="took longer") as caught:
        stocked.run(order, check, progress=told)

    assert "RUN echo begun; sleep 3601" in caught.value.log


def test_a_link_on_the_way_of_locked_files_is_refused_with_the_fix(
    stocked: DockerWorkshop, debian_base: str
) -> None:
    order = stocked.dockerfile(
        "FROM {base}\nRUN mkdir /data && ln -s data /models\n", base=debian_base
    )

    with pytest.raises(BuildFailed, match="leads to /data/minilm") as caught:
        stocked.run(order)

    assert "target: /data/minilm" in (caught.value.help or "")


def test_a_directory_in_place_of_a_locked_file_is_refused(stocked: DockerWorkshop) -> None:
    order = stocked.dockerfile("FROM scratch\nCOPY code/ /models/minilm/model.safetensors/\n")

    with pytest.raises(BuildFailed, match="which is a directory"):
        stocked.run(order)


def test_a_base_that_is_nowhere_is_the_operators_business(stocked: DockerWorkshop) -> None:
    order = stocked.dockerfile("FROM {base}\n", base="sha256:" + "0" * 64)

    with pytest.raises(EngineProblem, match=r"base image registry.example/base:1@sha256:0+ cannot"):
        stocked.run(order)


# --- Recipes, where a registry wants an engine for them as well -----------------------------------


def test_a_recipe_gets_its_base_from_the_engine(stocked: DockerWorkshop, debian_base: str) -> None:
    order = stocked.order(
        base=f"registry.example/base:1@{debian_base}",
        files=[("/lib/tool/run", b"#!/bin/sh\n", 0o755)],
        entrypoint=["/lib/tool/run"],
        env={"GREETING": "hello"},
    )

    built = stocked.run(order)

    assert parts(stocked, "1.0.0") == ["base", "template", "weights", "weights"]
    tree = unpack(stocked.store, "minilm", "1.0.0", skip=1)
    # /lib is a link to usr/lib in the base.
    assert tree["usr/lib/tool/run"].mode == 0o755
    config = image_config(stocked.store, "minilm", "1.0.0")["config"]
    assert config["Entrypoint"] == ["/lib/tool/run"]
    assert "GREETING=hello" in config["Env"]
    assert built.images[0].reference == "minilm:1.0.0"


def test_a_recipe_without_a_base_is_what_it_is_without_an_engine(stocked: DockerWorkshop) -> None:
    order = stocked.order(files=[("/a", b"x", 0o644)])

    built = stocked.run(order)

    elsewhere = LayoutStore(stocked.path / "other-store")
    assert built.images == stocked.build(order, store=elsewhere).images


# --- Kills and logins -----------------------------------------------------------------------------

KILLED = """
import sys
from pathlib import Path
from docker_orders import FILES, DockerWorkshop

workshop = DockerWorkshop(Path(sys.argv[1]), FILES)
workshop.run(workshop.dockerfile("FROM scratch\\nCOPY code/ /app/\\nCOPY config/ /etc/app/\\n"))
"""


@pytest.mark.parametrize("failpoint", ["blob-written:1", "layer-streaming:1", "blobs-published"])
def test_a_killed_build_is_finished_by_the_next(
    docker_workshop: DockerWorkshop, docker_client: Any, failpoint: str
) -> None:
    def run(**environment: str) -> int:
        command = [sys.executable, "-c", KILLED, str(docker_workshop.path)]
        paths = {"PYTHONPATH": str(Path(__file__).parent), **environment}
        return subprocess.run(command, env=os.environ | paths, check=False).returncode

    assert run(REGISTRY_TOOL_FAILPOINT=failpoint) == -signal.SIGKILL
    assert docker_workshop.store.tags("minilm") == {}
    assert run() == 0

    assert set(docker_workshop.store.tags("minilm")) >= {"1.0.0", "runtime-1.0.0", "weights-1.0.0"}
    tree = unpack(docker_workshop.store, "minilm", "1.0.0")
    assert tree["etc/app/config.json"].content == FILES["config.json"]
    assert tree["models/minilm/model.safetensors"].content == FILES["model.safetensors"]
    key = next(tag for tag in docker_workshop.store.tags("minilm") if tag.startswith("build-"))
    left = f"registry-tool/build:{key.removeprefix('build-')}-linux-amd64"
    assert left not in [tag for image in docker_client.images.list() for tag in image.tags]
    assert docker_client.containers.list(all=True, filters={"name": f"{key[6:]}-linux"}) == []


def test_a_base_is_pulled_with_the_logins_of_the_docker_configuration(
    docker_workshop: DockerWorkshop, docker_client: Any, private_registry: DockerRegistry
) -> None:
    login = {"username": USER, "password": PASSWORD}
    with pushed_base(docker_client, private_registry, auth_config=login) as base:
        order = docker_workshop.dockerfile(
            "FROM {base}\n", base=base.digest, reference=base.reference
        )
        with pytest.raises(EngineProblem, match="no basic auth credentials") as caught:
            docker_workshop.run(order)
        assert "docker login" in (caught.value.help or "")

        token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        configuration = Path.home() / ".docker" / "config.json"
        configuration.parent.mkdir()
        configuration.write_text(json.dumps({"auths": {private_registry.host: {"auth": token}}}))
        docker_workshop.run(order)

    assert files_of(unpack(docker_workshop.store, "minilm", "1.0.0"))["base.txt"] == (
        b"from the base"
    )
