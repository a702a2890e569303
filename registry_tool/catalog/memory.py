"""What a process keeps of a catalog between requests: sets of items and orders, never contents."""

from __future__ import annotations

import threading
from array import array
from collections import OrderedDict
from typing import Generic, TypeVar

_SETS = 512
"""At most 13 kB each at 100,000 items."""
_ORDERS = 48
"""400 kB each at 100,000 items."""

K = TypeVar("K")
V = TypeVar("V")


class Kept(Generic[K, V]):
    """The values that were used last."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[K, V] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: K) -> V | None:
        """A value, when it is still there."""
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def put(self, key: K, value: V) -> V:
        """Keep a value; returns it."""
        with self._lock:
            self._values[key] = value
            self._values.move_to_end(key)
            while len(self._values) > self._most:
                self._values.popitem(last=False)
        return value


class Memory:
    """Of one generation of one file. Threads share it, and at worst work something out twice."""

    def __init__(self) -> None:
        self.sets: Kept[tuple[str, str, str], int] = Kept(_SETS)
        """Items of a kind that have a value of a field."""
        self.orders: Kept[tuple[str, tuple[str, ...]], array[int]] = Kept(_ORDERS)
        """All items of a kind, sorted."""
