"""A registry whose images hold a small Python server, brought to a real engine."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
import pytest
from registries import RegistryFolder
from served import Served

from registry_tool.oci.descriptors import LAYER, Descriptor
from registry_tool.oci.image import ImageConfig, ImageManifest, ImageSettings, config_descriptor
from registry_tool.oci.layout import LayoutStore

_NEEDED = re.compile(
    r"\./(bin|lib|lib64|sbin)$"
    r"|\./usr/bin/(python3[.0-9]*|dash|sh|sleep|cat)$"
    r"|\./usr/lib64/.*|\./(usr/)?lib/x86_64-linux-gnu/(ld-|lib(c|m|z|dl|pthread|expat|util|ffi|crypto|ssl)[.-]).*"
    r"|\./usr/lib/python3\.11/(?!(test|ensurepip|idlelib|lib2to3|unittest|pydoc_data)/|.*__pycache__).*"
    r"|\./etc/(passwd|group|nsswitch\.conf)$"
)


@pytest.fixture(scope="session")
def python_layout(debian_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An embedded store with the image bases/python:3 of a few megabytes."""
    root = tmp_path_factory.mktemp("python-base")
    layer = root / "layer.tar"
    with tarfile.open(debian_archive) as source, tarfile.open(layer, "w") as target:
        for member in source:
            if _NEEDED.match(member.name):
                content = source.extractfile(member) if member.isreg() else None
                target.addfile(member, content)
    store = LayoutStore(root / "store")
    digest = f"sha256:{hashlib.sha256(layer.read_bytes()).hexdigest()}"
    descriptor = Descriptor(LAYER, digest, layer.stat().st_size)
    config = ImageConfig(
        platform="linux/amd64",
        settings=ImageSettings(env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}),
        diff_ids=(digest,),
    )
    manifest = ImageManifest(config_descriptor(config), (descriptor,))
    store.write_blob("bases/python", digest, descriptor.size, [layer.read_bytes()])
    store.write_blob(
        "bases/python", manifest.config.digest, manifest.config.size, [config.to_bytes()]
    )
    store.write_manifest("bases/python", manifest.descriptor(), manifest.to_bytes())
    store.put_tags("bases/python", {"3": manifest.descriptor("linux/amd64")})
    layer.unlink()
    return root / "store"


@pytest.fixture(scope="session")
def swarm(docker_client: Any) -> Iterator[None]:
    """The engine is a manager; a Swarm that was begun for the tests is left after them."""
    if docker_client.info()["Swarm"]["LocalNodeState"] == "active":
        yield
        return
    docker_client.swarm.init(advertise_addr="127.0.0.1")
    yield
    docker_client.swarm.leave(force=True)


@pytest.fixture(scope="session")
def swept_client(docker_client: Any) -> Iterator[Any]:
    """The engine's client; in the end images and weights of the tests go, where nobody else uses them."""
    yield docker_client
    for image in docker_client.images.list():
        for name in (*image.tags, *(image.attrs.get("RepoDigests") or ())):
            if re.match(r"(localhost|127\.0\.0\.1):\d+/(ml/)?(echo|vad)[:@]", name):
                with suppress(docker.errors.APIError):
                    docker_client.images.remove(name)
    for volume in docker_client.volumes.list(filters={"label": "io.registry-tool.weights"}):
        if "release/echo/" in volume.attrs["Labels"]["io.registry-tool.weights"]:
            with suppress(docker.errors.APIError):
                volume.remove()


@pytest.fixture
def served(
    empty_registry: RegistryFolder,
    python_layout: Path,
    swept_client: Any,
    docker_host: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Served]:
    """Releases 1.0.0 and 1.0.1 of a server, nothing deployed; the environment has a name of its own."""
    monkeypatch.setenv("DOCKER_HOST", docker_host)
    folder = Served(
        empty_registry.path, empty_registry.storage, swept_client, f"t{uuid.uuid4().hex[:8]}"
    )
    shutil.copytree(python_layout, folder.store, copy_function=shutil.copy)
    index = json.loads((folder.store / "bases" / "python" / "index.json").read_text())
    folder.prepare(index["manifests"][0]["digest"])
    yield folder
    folder.clean()
