"""Published images as other programs pull them: the same files, modes and owners for all."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from native_orders import Entry, Workshop, directory, link, put_base, unpack
from registries import RegistryFolder
from services.docker_registry import DockerRegistry
from services.image_trees import Node, Podman, Tree, copied_by_skopeo, tree_in_docker

from registry_tool.oci.layout import LayoutStore
from registry_tool.oci.registry_store import RegistryStore

pytestmark = pytest.mark.xdist_group("engine")

LONG = "/".join(["a-directory-with-a-long-name"] * 5)
BASE: list[dict[str, Entry]] = [
    {
        "bin": link("usr/bin"),
        "usr": directory(),
        "usr/bin": directory(0o755),
        "usr/bin/sudo": Entry(content=b"#!", mode=0o4755),
        "usr/bin/wall": Entry(content=b"#!", mode=0o2755, gid=5),
        "tmp": directory(0o1777),
        "etc": directory(),
        "etc/shadow": Entry(content=b"root:*", mode=0o640, gid=42),
        "etc/secret": Entry(content=b"", mode=0o000, uid=7, gid=7),
        "etc/dangling": link("/nowhere/at/all"),
        "home": directory(0o711, 1000, 1000),
        "home/modèle.txt": Entry(content=b"e", uid=1000, gid=1000),
        f"home/{LONG}": directory(0o700, 3_000_000, 3_000_001),
        f"home/{LONG}/file-with-a-long-name": Entry(content=b"far", uid=3_000_000, gid=3_000_001),
        "srv": directory(0o711, 10, 20),
        "srv/models": directory(0o2775, 1000, 2000),
        "srv/models/minilm": directory(0o2750, 1001, 2001),
        "srv/models/minilm/config.json": Entry(content=b"older", mode=0o600, uid=1001, gid=2001),
        "srv/models/other": Entry(content=b"stays", uid=1000, gid=2000),
        "opt": directory(),
        "opt/gone": Entry(content=b"x"),
        "opt/hidden": directory(0o700, 5, 5),
        "opt/hidden/old": Entry(content=b"x"),
    },
    {
        "opt/.wh.gone": Entry(),
        "opt/hidden": directory(0o705, 6, 6),
        "opt/hidden/.wh..wh..opq": Entry(),
        "opt/hidden/new": Entry(content=b"y"),
    },
]
WEIGHTS = {
    "config.json": b"{}",
    "model.safetensors": b"weights" * 10_000,
    "nested/deep/tokenizer.json": b"{}",
}


IN_IMAGE = "srv/models/minilm"


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    made = Workshop(tmp_path, WEIGHTS)
    made.fill()
    return made


def build(workshop: Workshop, store: Any) -> None:
    """An image over that base, with files of a template and weights."""
    files = [("/bin/serve", b"#!/bin/sh\n", 0o755), ("/srv/models/motd", b"hello", 0o644)]
    base = put_base(store, BASE)
    workshop.build(workshop.order(base=base, target=f"/{IN_IMAGE}", files=files), store=store)


@contextmanager
def serving(registry: RegistryFolder, store: LayoutStore) -> Iterator[str]:
    """`registry-tool serve` over an embedded store; its host and port."""
    registry.commit("Begin")
    command = [sys.executable, "-m", "registry_tool", "--repo", str(registry.path), "serve"]
    server = subprocess.Popen(
        [*command, "--port", "0", "--no-watch"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "REGISTRY_TOOL_STORE": str(store.root), "PYTHONUNBUFFERED": "1"},
    )
    assert server.stderr is not None
    try:
        told = ""
        while not (found := re.search(r"at http://(\S+?)/", told)):
            line = server.stderr.readline()
            assert line, told
            told += line
        yield found[1]
    finally:
        server.terminate()
        server.communicate(timeout=30)


@pytest.fixture(params=["docker-registry", "serve"])
def published(request: pytest.FixtureRequest, workshop: Workshop) -> Iterator[str]:
    """The path of the image's repository in a registry."""
    if request.param == "docker-registry":
        registry: DockerRegistry = request.getfixturevalue("docker_registry")
        build(workshop, RegistryStore(f"{registry.host}/team", insecure=True))
        yield f"{registry.host}/team/minilm"
    else:
        build(workshop, workshop.store)
        with serving(request.getfixturevalue("empty_registry"), workshop.store) as host:
            yield f"{host}/minilm"


def nodes_of(entries: dict[str, Entry]) -> Tree:
    return {
        path: Node(
            entry.kind,
            entry.mode,
            entry.uid,
            entry.gid,
            len(entry.content),
            hashlib.sha256(entry.content).hexdigest() if entry.kind == "file" else "",
            entry.target,
        )
        for path, entry in entries.items()
    }


def differences(one: Tree, other: Tree) -> dict[str, tuple[Node | None, Node | None]]:
    return {
        path: (one.get(path), other.get(path))
        for path in sorted(one.keys() | other.keys())
        if one.get(path) != other.get(path)
    }


def test_docker_podman_and_skopeo_get_the_same_files(
    published: str, docker_client: Any, podman: Podman, tmp_path: Path
) -> None:
    copied_by_skopeo(f"{published}:1.0.0", tmp_path / "copies/minilm", "1.0.0")
    tree = nodes_of(unpack(LayoutStore(tmp_path / "copies"), "minilm", "1.0.0"))

    assert differences(tree, tree_in_docker(docker_client, f"{published}:1.0.0")) == {}
    assert differences(tree, podman.tree(f"{published}:1.0.0")) == {}

    # What the base has stays as it is, and what is added belongs to root.
    kept = ("usr/bin/sudo", "etc/secret", f"home/{LONG}/file-with-a-long-name", "srv/models/other")
    assert {path: tree[path] for path in kept} == nodes_of({path: BASE[0][path] for path in kept})
    owners = {
        path: tree[path][:4] for path in ("srv", "srv/models", IN_IMAGE, f"{IN_IMAGE}/nested")
    }
    assert owners == {
        "srv": ("directory", 0o711, 10, 20),
        "srv/models": ("directory", 0o2775, 1000, 2000),
        IN_IMAGE: ("directory", 0o2750, 1001, 2001),
        f"{IN_IMAGE}/nested": ("directory", 0o755, 0, 0),
    }
    for path, content in WEIGHTS.items():
        sha256 = hashlib.sha256(content).hexdigest()
        assert tree[f"{IN_IMAGE}/{path}"] == Node("file", 0o644, 0, 0, len(content), sha256)
    assert "usr/bin/serve" in tree
    assert tree.keys() & {"opt/gone", "opt/hidden/old", "opt/hidden/new"} == {"opt/hidden/new"}
