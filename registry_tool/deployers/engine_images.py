"""Images for engines: pulled by digest from a registry, or loaded from the embedded store, which no engine reads.

What is loaded is both a Docker archive and an OCI layout, so that engines of every age take it; its
tag is made from the digest. An engine takes nothing whose content differs from its digests.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import BinaryIO

from registry_tool.deployers.engine import Engine
from registry_tool.domain.digests import canonical_json
from registry_tool.domain.progress import Progress
from registry_tool.domain.references import ImageReference
from registry_tool.errors import EngineProblem
from registry_tool.oci.descriptors import Descriptor
from registry_tool.oci.image import ImageIndex
from registry_tool.oci.reading import ImageView, open_image
from registry_tool.oci.store import ImageStore
from registry_tool.oci.tar import Member, layer_chunks

EMBEDDED = "embedded"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm/v7", "armv6l": "arm/v6"}
_BUFFER = 1 << 20


class EngineImages:
    """Brings images of one store to engines."""

    def __init__(self, store: ImageStore) -> None:
        self._store = store

    @property
    def are_pulled(self) -> bool:
        """Whether engines get images by themselves, from a registry."""
        return self._store.name != EMBEDDED

    def provide(self, engine: Engine, reference: str, repository: str, progress: Progress) -> str:
        """Have the image on the engine; what containers of it are created from.

        `repository` is where the store has it. Raises EngineProblem, Refused or StoreProblem.
        """
        wanted = ImageReference.parse(reference)
        if wanted.digest is None:
            raise EngineProblem(f"{reference} has no digest, and only what has one is deployed")
        if self.are_pulled:
            if engine.image(reference) is None:
                progress.message(f"pulling {reference}")
                engine.pull(wanted.repository, wanted.digest)
            return reference
        name = self.name_on_engine(reference)
        view = open_image(self._store, repository, wanted.digest, platform_of(engine))
        found = engine.image(name)
        if found is None or not _is_same(found["Id"], view):
            progress.message(f"loading {name}")
            engine.load(archive(self._store, repository, view, name))
        return name

    def name_on_engine(self, reference: str) -> str:
        """What an image is called on an engine that has it: nobody can give a digest, so a tag is made of it."""
        if self.are_pulled:
            return reference
        wanted = ImageReference.parse(reference)
        return f"{wanted.repository}:{(wanted.digest or '').replace(':', '-')}"

    def weights_layers(self, engine: Engine, reference: str, repository: str) -> ImageView:
        """The weights image of a release, to read its layers."""
        digest = ImageReference.parse(reference).digest or ""
        return open_image(self._store, repository, digest, platform_of(engine))

    def layer(self, repository: str, layer: Descriptor) -> BinaryIO:
        """The bytes of a layer; its digest is for the reader to check."""
        return self._store.open_blob(repository, layer.digest)


def platform_of(engine: Engine) -> str:
    """``os/architecture[/variant]`` of the engine's machine."""
    info = engine.info()
    machine = str(info.get("Architecture", "amd64"))
    return f"{info.get('OSType', 'linux')}/{_ARCHITECTURES.get(machine, machine)}"


def archive(store: ImageStore, repository: str, view: ImageView, name: str) -> Iterator[bytes]:
    """The image as `docker load` takes it, streamed from the store."""
    small: dict[str, bytes] = {
        "oci-layout": canonical_json({"imageLayoutVersion": "1.0.0"}),
        "index.json": ImageIndex(
            (view.descriptor.annotated({"io.containerd.image.name": name}),)
        ).to_bytes(),
        "manifest.json": json.dumps(
            [
                {
                    "Config": _path(view.manifest.config.digest),
                    "RepoTags": [name],
                    "Layers": [_path(layer.digest) for layer in view.layers],
                }
            ]
        ).encode(),
        _path(view.descriptor.digest): store.read_manifest(repository, view.descriptor.digest),
    }
    blobs = {_path(blob.digest): blob for blob in (view.manifest.config, *view.layers)}
    members = [Member(path, len(data)) for path, data in small.items()]
    members += [Member(path, blob.size) for path, blob in blobs.items()]

    def opened(member: Member) -> BinaryIO:
        if member.path in small:
            return io.BytesIO(small[member.path])
        return store.open_blob(repository, blobs[member.path].digest)

    for chunk in layer_chunks(members, opened, buffer_size=_BUFFER):
        yield bytes(chunk)


def _path(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _is_same(identity: str, view: ImageView) -> bool:
    """Engines call an image by the digest of its config, newer ones by that of its manifest."""
    return identity in {view.manifest.config.digest, view.descriptor.digest}
