"""One large object as several ranges that are fetched at a time and read in order.

One connection rarely fills a fast network, so a reader is a few ranges ahead. All readers of a
storage share a window, so that memory stays bounded however many there are.
"""

from __future__ import annotations

import io
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from registry_tool.storage.retrying import retrying

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Bytes = bytes | bytearray
Fetch = Callable[[int, int], Bytes]
"""The bytes `[start, end)`; raises StorageProblem, which is tried again while it is transient."""

RANGE = 8 << 20
AHEAD = 4
"""Ranges of one reader that are in flight or wait to be read."""
IN_WINDOW = 8
"""Ranges of all readers of a storage together."""


class Window:
    """How many ranges are in memory. Each reader may have one in any case: none waits for another."""

    def __init__(self, ranges: int = IN_WINDOW) -> None:
        self._free = threading.Semaphore(ranges)

    def take(self) -> bool:
        """Room for one more range, if there is."""
        return self._free.acquire(blocking=False)

    def give_back(self) -> None:
        """A range that room was taken for is gone."""
        self._free.release()


class _Range:
    """A range on its way, and whether it counts in the window."""

    def __init__(self, future: Future[Bytes], *, counted: bool) -> None:
        self.future = future
        self.counted = counted


class RangeReader(io.RawIOBase):
    """Reads `[offset, size)` as ranges, a few ahead of the reader, in order."""

    def __init__(
        self, fetch: Fetch, offset: int, size: int, window: Window, *, ahead: int = AHEAD
    ) -> None:
        self._fetch = fetch
        self._next = offset
        self._size = size
        self._ahead = ahead
        self._window = window
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(ahead, thread_name_prefix="storage")
        self._waiting: deque[_Range] = deque()
        self._current = memoryview(b"")
        self._current_range: _Range | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        while not self._current:
            self._drop_current()
            self._request()
            if not self._waiting:
                return 0
            self._current_range = self._waiting.popleft()
            data = self._current_range.future.result()
            if not data:
                return 0  # the object became shorter; the reader's caller compares sizes
            self._current = memoryview(data)
        view = memoryview(buffer).cast("B")
        count = min(len(view), len(self._current))
        view[:count] = self._current[:count]
        self._current = self._current[count:]
        return count

    def close(self) -> None:
        if not self.closed:
            self._stop.set()
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._drop_current()
            while self._waiting:
                self._drop(self._waiting.popleft())
        super().close()

    def _request(self) -> None:
        while len(self._waiting) < self._ahead and self._next < self._size:
            counted = self._window.take()
            if not counted and self._waiting:
                return
            end = min(self._next + RANGE, self._size)
            self._waiting.append(_Range(self._submit(self._next, end), counted=counted))
            self._next = end

    def _submit(self, start: int, end: int) -> Future[Bytes]:
        return self._pool.submit(retrying, lambda: self._fetch(start, end), self._stop)

    def _drop_current(self) -> None:
        self._current = memoryview(b"")
        if self._current_range is not None:
            self._drop(self._current_range)
            self._current_range = None

    def _drop(self, gone: _Range) -> None:
        if gone.counted:
            self._window.give_back()
