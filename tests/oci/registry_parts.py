"""What the tests of the registry client share: blobs, small images, and a store whose naps are counted."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.fault_registry import Registry, docker_config

from registry_tool.domain.digests import digest_of
from registry_tool.oci.descriptors import IMAGE_CONFIG, LAYER, Descriptor
from registry_tool.oci.image import ImageConfig, ImageManifest, config_descriptor
from registry_tool.oci.registry_credentials import DockerCredentials
from registry_tool.oci.registry_store import RegistryStore
from registry_tool.oci.store import ImageStore

MIB = 1 << 20


def blob(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


@dataclass
class Chunks:
    """A blob in chunks, which can be had again."""

    data: bytes
    step: int = MIB
    taken: int = 0
    """How many bytes were handed out, over all readings."""

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self.data), self.step):
            piece = self.data[start : start + self.step]
            self.taken += len(piece)
            yield piece


@dataclass
class Client:
    """A registry, a store in it, and how long that would have slept."""

    registry: Registry
    folder: Path
    naps: list[float] = field(default_factory=list)

    def store(self, path: str = "team", **settings: Any) -> RegistryStore:
        settings.setdefault("credentials", DockerCredentials(self.folder))
        settings.setdefault("insecure", True)
        name = f"{self.registry.host}/{path}"
        return RegistryStore(name, sleep=self.naps.append, **settings)

    def log_in(self, **login: str) -> None:
        self.folder.mkdir(exist_ok=True)
        (self.folder / "config.json").write_text(docker_config(self.registry.host, **login))


def put(store: ImageStore, data: bytes, repository: str = "minilm", step: int = MIB) -> str:
    """Write a blob whose source can be read again; its digest."""
    digest = digest_of(data)
    store.write_blob(repository, digest, len(data), Chunks(data, step))
    return digest


def put_image(
    store: ImageStore, repository: str = "minilm", content: bytes = b"weights"
) -> Descriptor:
    """Write an image of one layer, without a tag."""
    layer = Descriptor(LAYER, put(store, content, repository), len(content))
    config = ImageConfig("linux/amd64", diff_ids=(layer.digest,))
    put(store, config.to_bytes(), repository)
    described = config_descriptor(config)
    assert described.media_type == IMAGE_CONFIG
    manifest = ImageManifest(described, (layer,))
    store.write_manifest(repository, manifest.descriptor(), manifest.to_bytes())
    return manifest.descriptor()
