"""Weights as a volume of an engine: filled once for each set of files, from the store's weight layers.

A marker is written last; a volume without it was not finished, and is filled again.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from typing import BinaryIO

from registry_tool.deployers.engine import Document, Engine
from registry_tool.deployers.engine_images import EngineImages
from registry_tool.deployers.interface import LABEL, ServiceSpec, Watch
from registry_tool.domain.digests import canonical_json
from registry_tool.errors import ContentMismatch
from registry_tool.oci.descriptors import Descriptor
from registry_tool.oci.tar import Member, layer_chunks

MARKER = ".registry-tool-complete"
_CHUNK = 1 << 20


class WeightsVolumes:
    """Fills volumes of one engine."""

    def __init__(self, engine: Engine, images: EngineImages, watch: Watch) -> None:
        self._engine = engine
        self._images = images
        self._watch = watch

    @staticmethod
    def name_for(engine: Engine, images: EngineImages, service: ServiceSpec) -> str:
        """The name of the volume that a service mounts."""
        view = images.weights_layers(engine, service.weights_image or "", service.release.model)
        return volume_name(view.layers, service.target)

    def provide(self, service: ServiceSpec, image: str) -> str:
        """The name of the volume with the service's weights; `image` is any image on the engine.

        Raises ContentMismatch when the store has other bytes than it says.
        """
        view = self._images.weights_layers(
            self._engine, service.weights_image or "", service.release.model
        )
        name = volume_name(view.layers, service.target)
        self._watch.check()
        self._engine.create_volume(name, {f"{LABEL}.weights": service.release.subject})
        filler = f"{name}-fill"
        self._engine.remove(filler)
        container = self._engine.create(filler, _filler_config(image, name, service.target))
        try:
            marker = f"{service.target}/{MARKER}"
            if not self._engine.has_file(container, marker):
                self._fill(container, view.layers, service)
        finally:
            self._engine.remove(container)
        return name

    def _fill(self, container: str, layers: tuple[Descriptor, ...], service: ServiceSpec) -> None:
        task = f"weights of {service.deployment.subject}"
        self._watch.progress.start(task, task, sum(layer.size for layer in layers))
        try:
            for layer in layers:
                with self._images.layer(service.release.model, layer) as file:
                    self._engine.put_files(container, "/", self._checked(file, layer, task))
        finally:
            self._watch.progress.finish(task)
        self._watch.check()
        self._engine.put_files(container, "/", _marker(service.target))

    def _checked(self, file: BinaryIO, layer: Descriptor, task: str) -> Iterator[bytes]:
        hashed = hashlib.sha256()
        while chunk := file.read(_CHUNK):
            self._watch.check()
            hashed.update(chunk)
            self._watch.progress.advance(task, len(chunk))
            yield chunk
        if f"sha256:{hashed.hexdigest()}" != layer.digest:
            raise ContentMismatch(
                f"the weight layer {layer.digest} has other content in the store",
                help="remove it there, and build the release again",
            )


def volume_name(layers: tuple[Descriptor, ...], target: str) -> str:
    """Equal weights at an equal place are one volume, whatever release they belong to."""
    identity = canonical_json([target, *(layer.digest for layer in layers)])
    return f"registry-tool-weights-{hashlib.sha256(identity).hexdigest()[:24]}"


def _filler_config(image: str, volume: str, target: str) -> Document:
    mount = {
        "Type": "volume",
        "Source": volume,
        "Target": target,
        "VolumeOptions": {"NoCopy": True},
    }
    return {
        "Image": image,
        # Never started, but engines want a command.
        "Cmd": ["-"],
        "Labels": {f"{LABEL}.fills": volume},
        "HostConfig": {"Mounts": [mount], "NetworkMode": "none"},
    }


def _marker(target: str) -> Iterator[bytes]:
    member = Member(f"{target.strip('/')}/{MARKER}", 0)
    for chunk in layer_chunks([member], lambda _: io.BytesIO(), buffer_size=_CHUNK):
        yield bytes(chunk)
