"""Layers into the store: found there, taken from another repository, or written.

Locked layers come straight from storage, read once, several at a time, without a copy in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Event

from registry_tool.builders.interface import BuildOrder, Check
from registry_tool.builders.locking import require_unchanged, stream_layer
from registry_tool.builders.native_layers import NativeLayer
from registry_tool.domain.manifest import API_VERSION
from registry_tool.domain.progress import Progress
from registry_tool.domain.release import ArtifactLock, LockedLayer
from registry_tool.oci.store import ImageStore
from registry_tool.oci.tar import Chunk
from registry_tool.storage.storage import Storage

_PARALLEL_LAYERS = 4
"""Each holds two buffers; more would not make a disk or a network faster."""
_PARALLEL_QUESTIONS = 8
_CHUNKS_BETWEEN_CHECKS = 16


def take_blob(
    store: ImageStore, repository: str, digest: str, check: Check, source: str | None = None
) -> bool:
    """Whether the repository has a blob, or could take it from another one of the store."""
    if store.has_blob(repository, digest):
        return True
    check()
    return store.mount_blob(repository, digest, source)


def publish_layer(
    store: ImageStore,
    repository: str,
    layer: NativeLayer,
    check: Check,
    source: str | None = None,
) -> bool:
    """Bring an assembled layer into the store; True when it had to be written."""
    if take_blob(store, repository, layer.digest, check, source):
        return False
    check()
    return _written(store, repository, layer.digest, layer.size, layer.chunks)


def _written(
    store: ImageStore,
    repository: str,
    digest: str,
    size: int,
    chunks: Callable[[], Iterator[Chunk]],
) -> bool:
    """Write a blob; False when its bytes were not asked for, since somebody else wrote it meanwhile."""
    content = _Content(chunks)
    store.write_blob(repository, digest, size, content)
    return content.asked


class _Content:
    """Chunks that can be had again from their beginning."""

    def __init__(self, chunks: Callable[[], Iterator[Chunk]]) -> None:
        self._chunks = chunks
        self.asked = False

    def __iter__(self) -> Iterator[Chunk]:
        self.asked = True
        return self._chunks()


def publish_weights(
    order: BuildOrder, store: ImageStore, storage: Storage, progress: Progress, check: Check
) -> frozenset[str]:
    """Bring the locked layers into the store; returns the digests of those that had to be written.

    Storage is opened for these only. Raises ContentMismatch naming a file that differs from the lock.
    """
    missing = _missing(order, store, check)
    if not missing:
        return frozenset()
    _require_unchanged(order, missing, storage)
    task = f"weights of {order.release}"
    sizes = {file.path: file.size for file in order.lock.files}
    total = sum(sizes[path] for layer in missing for path in layer.files)
    progress.start(task, f"Publishing {order.release}", total)
    try:
        streams = _Streams(order, store, storage, RenamedProgress(progress, task), check)
        return streams.write(sorted(missing, key=lambda layer: -layer.size))
    finally:
        progress.finish(task)


def _require_unchanged(order: BuildOrder, missing: Sequence[LockedLayer], storage: Storage) -> None:
    """Look before streaming: a file that was replaced is named now, not after gigabytes."""
    paths = {path for layer in missing for path in layer.files}
    files = [file for file in order.lock.files if file.path in paths]
    require_unchanged(files, storage, order.location)


def _missing(order: BuildOrder, store: ImageStore, check: Check) -> list[LockedLayer]:
    """The locked layers that the store has nowhere; a registry is asked for several at a time."""
    layers = order.payload
    store.check_layers([layer.size for layer in layers])

    def taken(layer: LockedLayer) -> bool:
        source = order.sources.get(layer.digest)
        return take_blob(store, order.release.model, layer.digest, check, source)

    with ThreadPoolExecutor(_PARALLEL_QUESTIONS, thread_name_prefix="layers") as pool:
        answers = list(pool.map(taken, layers))
    return [layer for layer, there in zip(layers, answers, strict=True) if not there]


class RenamedProgress:
    """Passes the progress of one task on under another name: several builds run side by side."""

    def __init__(self, progress: Progress, task: str) -> None:
        self._progress = progress
        self._task = task

    def start(self, task: str, description: str, total: int | None = None) -> None:
        """Ignored: the whole task was started before."""

    def advance(self, task: str, count: int) -> None:
        self._progress.advance(self._task, count)

    def finish(self, task: str) -> None:
        """Ignored: the whole task is finished later."""

    def message(self, text: str) -> None:
        self._progress.message(text)


class _Abandoned(Exception):
    """Ends the other streams after one has failed."""


class _Streams:
    """Locked layers on their way from storage to the store, several at a time."""

    def __init__(
        self,
        order: BuildOrder,
        store: ImageStore,
        storage: Storage,
        progress: Progress,
        check: Check,
    ) -> None:
        self._order = order
        self._lock = ArtifactLock(api_version=API_VERSION, kind="ArtifactLock", spec=order.lock)
        self._store = store
        self._storage = storage
        self._progress = progress
        self._check = check
        self._stop = Event()

    def write(self, layers: Sequence[LockedLayer]) -> frozenset[str]:
        """Write all, or raise what the first of them ran into."""
        workers = min(_PARALLEL_LAYERS, len(layers))
        with ThreadPoolExecutor(workers, thread_name_prefix="weights") as pool:
            futures = [pool.submit(self._write, layer) for layer in layers]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                self._stop.set()
                for future in futures:
                    future.cancel()
        for future in futures:
            problem = None if future.cancelled() else future.exception()
            if problem and not isinstance(problem, _Abandoned):
                raise problem
        written = zip(layers, futures, strict=True)
        return frozenset(layer.digest for layer, future in written if future.result())

    def _write(self, layer: LockedLayer) -> bool:
        self._check()
        repository = self._order.release.model
        return _written(
            self._store, repository, layer.digest, layer.size, lambda: self._chunks(layer)
        )

    def _chunks(self, layer: LockedLayer) -> Iterator[Chunk]:
        stream = stream_layer(
            self._lock, layer, self._storage, self._order.location, self._progress
        )
        for number, chunk in enumerate(stream, start=1):
            if self._stop.is_set():
                raise _Abandoned
            if number % _CHUNKS_BETWEEN_CHECKS == 0:
                self._check()
            yield chunk
