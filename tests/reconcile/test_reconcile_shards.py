"""A checkpoint of 163 shards: locked, built, pushed, and loaded from what engines pull."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
import yaml
from applied_folder import Applied
from registries import RegistryFolder
from services.docker_registry import DockerRegistry
from services.image_trees import exported_by_docker

from registry_tool.oci import packing

pytestmark = pytest.mark.xdist_group("engine")

TEMPLATES = Path(__file__).parents[2] / "build_templates"
SHARDS = 163
INDEX = "model.safetensors.index.json"


def shard(tensors: dict[str, bytes]) -> bytes:
    """A safetensors file: the length of a header, the header, and the data one after the other."""
    header: dict[str, Any] = {}
    end = 0
    for name, data in tensors.items():
        begin, end = end, end + len(data)
        header[name] = {"dtype": "U8", "shape": [len(data)], "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(tensors.values())


def load(path: Path, name: str) -> bytes:
    """One tensor of a safetensors file."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    begin, end = json.loads(data[8 : 8 + length])[name]["data_offsets"]
    return data[8 + length + begin : 8 + length + end]


@pytest.fixture
def tensors() -> dict[str, dict[str, bytes]]:
    """Tensors by shard; shards are of different sizes."""
    chance = random.Random(163)
    return {
        f"model-{number:05}-of-{SHARDS:05}.safetensors": {
            f"layers.{number}.{part}": chance.randbytes(2000 + 50 * number)
            for part in ("down", "up")
        }
        for number in range(1, SHARDS + 1)
    }


@pytest.fixture
def sharded(
    empty_registry: RegistryFolder,
    docker_registry: DockerRegistry,
    tensors: dict[str, dict[str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> Applied:
    """The model, its shards in storage, and a registry for its images."""
    # What counts as a big file: all shards do, as they would with gigabytes.
    monkeypatch.setattr(packing, "ALONE_SIZE", 2000)
    folder = Applied(empty_registry.path, empty_registry.storage)
    shutil.copytree(TEMPLATES / "modelcar", folder.path / "build_templates/modelcar")
    images = f"  images:\n    repository: {docker_registry.host}/ml\n    insecure: true\n"
    folder.replace("manifests/registry.yaml", "spec:\n", f"spec:\n{images}")
    folder.model("big")
    (folder.storage / "big" / "model.bin").unlink()
    for name, content in tensors.items():
        folder.weights("big", shard(content), name)
    places = {tensor: name for name, content in tensors.items() for tensor in content}
    folder.weights("big", json.dumps({"metadata": {}, "weight_map": places}).encode(), INDEX)
    folder.release("big", "1.0.0", lock=False)
    folder.replace("manifests/releases/big/1.0.0/none.yaml", "name: weights", "name: modelcar")
    folder.commit("Add a big model")
    return folder


def test_a_model_of_163_shards_is_pushed_and_loads(
    sharded: Applied,
    tensors: dict[str, dict[str, bytes]],
    docker_registry: DockerRegistry,
    docker_client: Any,
    tmp_path: Path,
) -> None:
    sharded.lock("big/1.0.0")
    lock = yaml.safe_load(
        (sharded.path / "manifests/releases/big/1.0.0/none.lock.yaml").read_text()
    )["spec"]
    assert SHARDS // 3 < len(lock["layers"]) <= packing.MAX_LAYERS
    sharded.commit("Lock")
    sharded.tool("apply")
    locked = {layer["digest"] for layer in lock["layers"]}
    assert len(docker_registry.uploads()) == len(set(docker_registry.uploads()))
    assert locked <= set(docker_registry.uploads())

    with exported_by_docker(docker_client, f"{docker_registry.host}/ml/big:1.0.0") as archive:
        members = [member for member in archive if member.name.startswith("models/")]
        archive.extractall(tmp_path / "pulled", members, filter="data")
    folder = tmp_path / "pulled/models/big"
    assert len(list(folder.iterdir())) == len(lock["files"]) == SHARDS + 1
    for file in lock["files"]:
        assert hashlib.sha256((folder / file["path"]).read_bytes()).hexdigest() == file["sha256"]
    index = json.loads((folder / INDEX).read_text())["weight_map"]
    assert len(index) == 2 * SHARDS
    for name, place in index.items():
        assert load(folder / place, name) == tensors[place][name]
