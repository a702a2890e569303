"""Reading many files in parallel, each once, and hashing them as they pass."""

from __future__ import annotations

import hashlib
import io
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar, cast

from registry_tool.domain.progress import Progress
from registry_tool.domain.release import LockedFile, LockedLayer
from registry_tool.errors import ActionFailed, ContentMismatch
from registry_tool.oci.tar import BUFFER_SIZE, Chunk, Member, layer_chunks, member_path
from registry_tool.storage.storage import Storage
from registry_tool.storage.stored_file import StoredFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

T = TypeVar("T")
R = TypeVar("R")
TASK = "files"
"""The progress task that counts the bytes of files as they are read."""


class Reading:
    """Reads files, collects their digests in `sha256`, and checks those that are `locked`.

    Of an object store exactly the given versions are read. `sources` are local files that hold the
    same bytes as stored ones. Setting `stopped` ends all reads: the work of minutes need not be
    finished for an error.
    """

    def __init__(
        self,
        storage: Storage,
        location: str,
        target: str,
        progress: Progress,
        locked: Mapping[str, LockedFile] | None = None,
        sources: Mapping[str, Path] | None = None,
    ) -> None:
        self.sha256: dict[str, str] = {}
        self.stopped = threading.Event()
        self._storage = storage
        self._location = location
        self._target = target
        self._progress = progress
        self._locked = locked or {}
        self._sources = sources or {}

    def layer(self, files: Sequence[StoredFile]) -> LockedLayer:
        """Digest and size of the layer over these files."""
        digest = hashlib.sha256()
        size = 0
        # The layer's digest is computed beside the next read and the digest of its file.
        with ThreadPoolExecutor(1, thread_name_prefix="layer") as pool:
            last: Future[None] | None = None
            for chunk in self.chunks(files):
                if last:
                    last.result()
                last = pool.submit(digest.update, chunk)
                size += len(chunk)
        return LockedLayer(
            digest=f"sha256:{digest.hexdigest()}",
            size=size,
            files=tuple(file.path for file in files),
        )

    def file(self, file: StoredFile) -> None:
        """Read one file to its end."""
        buffer = bytearray(BUFFER_SIZE)
        with self.open(file) as reader:
            while reader.readinto(buffer):
                pass

    def chunks(self, files: Sequence[StoredFile | LockedFile]) -> Iterator[Chunk]:
        """The bytes of the layer over these files."""
        by_member = {member_path(self._target, file.path): file for file in files}
        members = [Member(member_path(self._target, file.path), file.size) for file in files]
        return layer_chunks(
            members, lambda member: cast("BinaryIO", self.open(by_member[member.path]))
        )

    def open(self, file: StoredFile | LockedFile) -> HashingReader:
        """A reader of one file. One that is locked and differs raises ContentMismatch at its end."""
        self._passed(0)
        path = file.path
        if path in self._sources:
            raw: BinaryIO = self._sources[path].open("rb")
        else:
            raw = self._storage.open(self._location, path, expected=as_stored(file))
        return HashingReader(raw, self._passed, lambda seen: self._finished(path, seen))

    def _passed(self, count: int) -> None:
        if self.stopped.is_set():
            raise ActionFailed("reading was stopped")
        self._progress.advance(TASK, count)

    def _finished(self, path: str, seen: str) -> None:
        locked = self._locked.get(path)
        if locked and locked.sha256 != seen:
            raise ContentMismatch(
                f"{path} below {self._location}: expected sha256 {locked.sha256}, seen {seen}",
                help="restore the file, or lock the release again as a new version",
                code="RT507",
            )
        self.sha256[path] = seen


def as_stored(file: StoredFile | LockedFile) -> StoredFile:
    """What storage is expected to say of a file, the version included."""
    return StoredFile(file.path, file.size, file.etag, file.version_id)


class HashingReader(io.RawIOBase):
    """Passes a file on, and its digest to `finished` at its end."""

    def __init__(
        self, raw: BinaryIO, passed: Callable[[int], None], finished: Callable[[str], None]
    ) -> None:
        self._raw = raw
        self._passed = passed
        self._finished = finished
        self._sha256 = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        count: int = self._raw.readinto(buffer)  # type: ignore[attr-defined]
        if count:
            self._sha256.update(memoryview(buffer)[:count])
            self._passed(count)
        else:
            self._finished(self._sha256.hexdigest())
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


def in_parallel(
    work: Callable[[T], R], items: Sequence[T], jobs: int, stopped: threading.Event
) -> list[R]:
    """Results in the order of `items`; the first failure, or an interrupt, stops all."""
    failures: list[Exception] = []

    def attempt(item: T) -> R:
        try:
            return work(item)
        except Exception as problem:
            failures.append(problem)
            stopped.set()
            raise

    with ThreadPoolExecutor(max(1, jobs), thread_name_prefix="read") as pool:
        try:
            futures = [pool.submit(attempt, item) for item in items]
            wait(futures, return_when=FIRST_EXCEPTION)
            if failures:
                raise failures[0]  # later ones may only say that reading was stopped
            return [future.result() for future in futures]
        finally:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)


@contextmanager
def reading_task(
    progress: Progress, verb: str, files: Collection[StoredFile | LockedFile]
) -> Iterator[None]:
    """Say that these files are going to be read, and at the end that they were, or not."""
    total = sum(file.size for file in files)
    progress.start(TASK, f"{verb} {len(files)} file{'s' * (len(files) != 1)}", total)
    try:
        yield
    finally:
        progress.finish(TASK)
