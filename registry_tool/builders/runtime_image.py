"""From an image in an engine to an image in a store: which layers are there, and what the others are.

Layers of a base that the store has are taken from there as they were published, so that a base is never stored again
under other digests. Everything else leaves the engine once, and is found by its digest from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from registry_tool.builders.assembling import PART_ANNOTATION, Part, PlatformImage
from registry_tool.builders.engine import Engine, EngineImage
from registry_tool.builders.engine_archive import EngineArchive
from registry_tool.builders.engine_bases import Base, layers_in_store
from registry_tool.builders.interface import BuildOrder, Check
from registry_tool.builders.layer_streams import take_blob
from registry_tool.builders.saved_image import read_layers
from registry_tool.builders.supervising import supervised
from registry_tool.domain.progress import Progress
from registry_tool.oci.descriptors import LAYER, Descriptor
from registry_tool.oci.image import History, ImageConfig, ImageSettings
from registry_tool.oci.store import ImageStore

_KEPT_SETTINGS = ("Volumes", "StopSignal", "Healthcheck", "OnBuild", "Shell")
"""Settings that are passed on as they are; engines also write out those of the container that made an image."""
_KNOWN_SETTINGS = (
    "Env",
    "Entrypoint",
    "Cmd",
    "WorkingDir",
    "User",
    "ExposedPorts",
    "Labels",
)


@dataclass(frozen=True, slots=True)
class RuntimeImage:
    """An image that has left the engine."""

    image: PlatformImage
    written: frozenset[str]
    """Digests of the layers that were not in the store."""


def settings_of(config: Mapping[str, Any]) -> ImageSettings:
    """The settings of an image as an engine tells them."""
    names = (*_KNOWN_SETTINGS, *_KEPT_SETTINGS)
    return ImageSettings.from_json({name: config[name] for name in names if config.get(name)})


def history_of(entries: Sequence[tuple[str, int]], layers: int) -> tuple[History, ...]:
    """What made each layer; nothing where an engine does not say which entries have one."""
    adding = [size > 0 for _, size in entries]
    if len(entries) == layers:
        adding = [True] * layers
    if sum(adding) != layers:
        return ()
    return tuple(
        History(text, empty_layer=not adds) for (text, _), adds in zip(entries, adding, strict=True)
    )


class RuntimeTransfer:
    """Brings what an engine built for one platform into the store."""

    def __init__(
        self, order: BuildOrder, engine: Engine, store: ImageStore, progress: Progress, check: Check
    ) -> None:
        self._order = order
        self._engine = engine
        self._store = store
        self._progress = progress
        self._check = check
        self._written: set[str] = set()

    @property
    def _repository(self) -> str:
        return self._order.release.model

    def run(self, image: EngineImage, bases: Sequence[Base]) -> RuntimeImage:
        """The image, with all of its layers in the store."""
        known = layers_in_store(self._store, [base.pinned for base in bases], image.platform)
        there = {diff_id: self._there(diff_id, known) for diff_id in image.diff_ids}
        missing = frozenset(diff_id for diff_id, layer in there.items() if layer is None)
        exported = self._export(image, missing) if missing else {}
        found = {diff_id: layer for diff_id, layer in there.items() if layer} | exported
        from_base = max((_shared(base.image.diff_ids, image.diff_ids) for base in bases), default=0)
        layers = tuple(
            found[diff_id] if index < from_base else _runtime(found[diff_id])
            for index, diff_id in enumerate(image.diff_ids)
        )
        config = ImageConfig(
            platform=image.platform,
            settings=settings_of(image.settings),
            diff_ids=image.diff_ids,
            history=history_of(self._engine.image_history(image.id), len(layers)),
        )
        return RuntimeImage(PlatformImage(config, layers), frozenset(self._written))

    def _there(
        self, diff_id: str, known: Mapping[str, tuple[Descriptor, str]]
    ) -> Descriptor | None:
        if diff_id in known:
            layer, source = known[diff_id]
            if take_blob(self._store, self._repository, layer.digest, self._check, source):
                return layer
        mounted = self._order.sources.get(diff_id)
        if not take_blob(self._store, self._repository, diff_id, self._check, mounted):
            return None
        size = self._store.blob_size(self._repository, diff_id)
        return None if size is None else Descriptor(LAYER, diff_id, size)

    def _export(self, image: EngineImage, missing: frozenset[str]) -> dict[str, Descriptor]:
        archive = EngineArchive(self._engine, image.id, self._order.timeout.total_seconds())
        task = f"runtime of {self._order.release} {image.platform}"
        self._progress.start(task, f"Taking the runtime of {self._order.release} from the engine")

        def keep(layer: Descriptor, pieces: Iterable[bytes]) -> None:
            self._check()
            if take_blob(self._store, self._repository, layer.digest, self._check):
                return
            counted = _Counted(pieces, lambda count: self._progress.advance(task, count))
            chunks = iter(counted) if iter(pieces) is pieces else counted
            self._store.write_blob(self._repository, layer.digest, layer.size, chunks)
            self._written.add(layer.digest)

        try:
            return supervised(
                lambda: archive.read(lambda file: read_layers(file, missing, keep)),
                self._check,
                archive.abandon,
            )
        finally:
            self._progress.finish(task)


class _Counted:
    """Pieces whose sizes are told as they pass; as often as the pieces can be had."""

    def __init__(self, pieces: Iterable[bytes], passed: Callable[[int], None]) -> None:
        self._pieces = pieces
        self._passed = passed

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self._passed(len(piece))
            yield piece


def _shared(base: Sequence[str], image: Sequence[str]) -> int:
    """How many layers an image has from a base: all of them, or none."""
    return len(base) if tuple(image[: len(base)]) == tuple(base) else 0


def _runtime(layer: Descriptor) -> Descriptor:
    return replace(layer, annotations={PART_ANNOTATION: Part.RUNTIME.value})
