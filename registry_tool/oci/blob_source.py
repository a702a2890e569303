"""The bytes of a blob on their way to a registry: one chunk ahead, and again when they are needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from registry_tool.errors import ContentMismatch
from registry_tool.oci.tar import Chunk


class SourceFailed(Exception):
    """The source raised something, which is its cause.

    A type of its own, so that no HTTP library takes it for a failure of the connection.
    """


class CannotRewind(Exception):
    """The bytes were there once, and are asked for again."""


class BlobSource:
    """Chunks of a blob from any offset on; the next one is prepared while the last one is sent.

    An iterable that is not its own iterator can be read again, from its beginning. Raises
    SourceFailed, also when there are more or fewer bytes than announced: before the last is handed
    out.
    """

    def __init__(self, chunks: Iterable[Chunk], size: int, name: str) -> None:
        self._chunks = chunks
        self._size = size
        self._name = name
        self._iterator: Iterator[Chunk] | None = None
        self._ahead: Future[Chunk | None] | None = None
        self._rest: memoryview = memoryview(b"")
        self._position = 0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="blob-source")

    def pieces(self, start: int, stop: int) -> Iterator[Chunk]:
        """The bytes from `start` up to `stop`; raises CannotRewind at the first of them."""
        try:
            if start != self._position or self._iterator is None:
                self._rewind(start)
            while self._position < stop:
                yield self._piece(stop)
        except (CannotRewind, GeneratorExit):
            raise
        except BaseException as problem:
            raise SourceFailed from problem

    def can_rewind(self, start: int) -> bool:
        """Whether the bytes from `start` on can be had (again)."""
        fresh = self._iterator is None or start == self._position
        return fresh or iter(self._chunks) is not self._chunks

    def close(self) -> None:
        """Stop reading; whatever the source holds open is closed."""
        self._drop()
        self._pool.shutdown()

    def _piece(self, stop: int) -> memoryview:
        if not self._rest:
            self._rest = self._take()
        piece = self._rest[: stop - self._position]
        self._rest = self._rest[len(piece) :]
        self._position += len(piece)
        return piece

    def _rewind(self, start: int) -> None:
        if not self.can_rewind(start):
            raise CannotRewind
        self._drop()
        self._iterator = iter(self._chunks)
        self._position = 0
        while self._position < start:
            self._piece(start)

    def _take(self) -> memoryview:
        """The next chunk; the one after it is asked for at once."""
        chunk = self._next() if self._ahead is None else self._ahead.result()
        self._ahead = None
        if chunk is None:
            raise self._mismatch(str(self._position))
        self._ahead = self._pool.submit(self._next)
        reached = self._position + len(chunk)
        # Looking ahead at the end lets a source find out that its bytes are not what they were.
        if reached > self._size or (reached == self._size and self._ahead.result() is not None):
            raise self._mismatch("more")
        return memoryview(chunk)

    def _next(self) -> Chunk | None:
        if self._iterator is None:
            return None
        return next((chunk for chunk in self._iterator if len(chunk)), None)

    def _drop(self) -> None:
        if self._ahead is not None:
            # A generator cannot be closed while another thread is in it.
            self._ahead.exception()
            self._ahead = None
        close = getattr(self._iterator, "close", None)
        if close is not None:
            close()
        self._iterator = None
        self._rest = memoryview(b"")

    def _mismatch(self, seen: str) -> ContentMismatch:
        return ContentMismatch(
            f"{self._name}: expected {self._size} bytes, got {seen}",
            help="the source was changed; lock the release again",
        )
