"""One image, cut in three: complete, without weights, weights only. Pure.

Everything is derived from the complete image, so that a build which is found finished in a store leads to the same
three images as the build that made it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal, TypeVar

from registry_tool.builders.native_layers import NativeLayer, empty_layer
from registry_tool.domain.release import LockedLayer
from registry_tool.errors import BuildFailed
from registry_tool.oci.descriptors import LAYER, Descriptor
from registry_tool.oci.image import (
    History,
    ImageConfig,
    ImageManifest,
    ImageSettings,
    config_descriptor,
)

T = TypeVar("T")

MAX_LAYERS = 120
"""Engines refuse images with more layers than their storage driver can stack; overlay's limit is 127."""
BUILD_KEY_LABEL = "io.registry-tool.build-key"
PART_ANNOTATION = "io.registry-tool.part"
"""On layers in an image manifest: what they are there for. Layers of the base have none."""


class Part(StrEnum):
    """What a layer is there for."""

    BASE = "base"
    RUNTIME = "runtime"
    TEMPLATE = "template"
    WEIGHTS = "weights"
    DIRECTORIES = "directories"

    @property
    def source(self) -> Literal["base", "template", "weights", "runtime"]:
        """As a Build record says it."""
        match self:
            case Part.BASE:
                return "base"
            case Part.RUNTIME:
                return "runtime"
            case Part.WEIGHTS:
                return "weights"
            case Part.TEMPLATE | Part.DIRECTORIES:
                return "template"


@dataclass(frozen=True, slots=True)
class ImageLayer:
    """A layer to put on top of an image; uncompressed, so that its digest is its diff id."""

    part: Part
    digest: str
    size: int
    what: str
    """For people: what is in it."""

    @property
    def descriptor(self) -> Descriptor:
        """As it stands in the image manifest."""
        return Descriptor(
            LAYER, self.digest, self.size, annotations={PART_ANNOTATION: self.part.value}
        )


def weights_layer(layer: LockedLayer) -> ImageLayer:
    """A layer of the lock."""
    count = len(layer.files)
    what = layer.files[0] if count == 1 else f"{layer.files[0]} and {count - 1} more"
    return ImageLayer(Part.WEIGHTS, layer.digest, layer.size, f"locked files: {what}")


def native_layer(part: Part, layer: NativeLayer) -> ImageLayer:
    """A layer that was assembled here."""
    return ImageLayer(part, layer.digest, layer.size, layer.what)


def part_of(layer: Descriptor) -> Part:
    """What a layer of an image manifest is there for."""
    try:
        return Part(layer.annotations.get(PART_ANNOTATION, Part.BASE))
    except ValueError:
        return Part.BASE


@dataclass(frozen=True, slots=True)
class PlatformImage:
    """Config and layers of an image for one platform; one diff id for each layer."""

    config: ImageConfig
    layers: tuple[Descriptor, ...] = ()

    @classmethod
    def on(cls, config: ImageConfig, layers: Sequence[Descriptor]) -> PlatformImage:
        """An image to build on: all that it has is base now, also where this tool made it."""
        return cls(config, tuple(_plain(layer) for layer in layers))

    @property
    def manifest(self) -> ImageManifest:
        """The image manifest."""
        return ImageManifest(config_descriptor(self.config), self.layers)

    def with_layers(self, layers: Sequence[ImageLayer]) -> PlatformImage:
        """The same with layers on top; raises BuildFailed when there would be too many."""
        if len(self.layers) + len(layers) > MAX_LAYERS:
            raise BuildFailed(
                f"the image would have {len(self.layers) + len(layers)} layers, and {MAX_LAYERS} is"
                " the limit of engines",
                help="choose a base image with fewer layers (squash it), or lock fewer files",
            )
        config = replace(self.config, history=_aligned(self.config))
        return PlatformImage(
            config.with_layers(
                [(layer.digest, f"registry-tool: {layer.what}") for layer in layers]
            ),
            self.layers + tuple(layer.descriptor for layer in layers),
        )

    def with_settings(self, settings: ImageSettings) -> PlatformImage:
        """The same with settings on top."""
        merged = self.config.settings.merged(settings)
        return replace(self, config=replace(self.config, settings=merged))

    def without_weights(self) -> PlatformImage:
        """What runs, with the weights left out."""
        return self._kept(lambda part: part is not Part.WEIGHTS)

    def weights_only(self, labels: Mapping[str, str]) -> PlatformImage:
        """The weights over nothing, with these labels."""
        kept = self._kept(lambda part: part is Part.WEIGHTS)
        config = ImageConfig(
            platform=kept.config.platform,
            settings=ImageSettings(labels=dict(labels)),
            diff_ids=kept.config.diff_ids,
            history=tuple(entry for entry in kept.config.history if not entry.empty_layer),
        )
        return PlatformImage(config, kept.layers)

    def _kept(self, wanted: Callable[[Part], bool]) -> PlatformImage:
        keep = [wanted(part_of(layer)) for layer in self.layers]
        if not any(keep):
            nothing = empty_layer()
            bare = replace(self.config, diff_ids=(), history=())
            layer = ImageLayer(Part.TEMPLATE, nothing.digest, nothing.size, nothing.what)
            return PlatformImage(bare).with_layers([layer])
        history = []
        position = 0
        for entry in _aligned(self.config):
            if entry.empty_layer or keep[position]:
                history.append(entry)
            position += not entry.empty_layer
        config = replace(
            self.config, diff_ids=_only(self.config.diff_ids, keep), history=tuple(history)
        )
        return PlatformImage(config, _only(self.layers, keep))


def _plain(layer: Descriptor) -> Descriptor:
    kept = {key: text for key, text in layer.annotations.items() if key != PART_ANNOTATION}
    return layer.annotated(kept)


def _only(values: Sequence[T], keep: Sequence[bool]) -> tuple[T, ...]:
    return tuple(value for value, kept in zip(values, keep, strict=True) if kept)


def _aligned(config: ImageConfig) -> tuple[History, ...]:
    """The history, or a new one where a base's does not tell of each layer: then it may not be added to."""
    if sum(not entry.empty_layer for entry in config.history) == len(config.diff_ids):
        return config.history
    return tuple(History() for _ in config.diff_ids)
