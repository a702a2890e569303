"""What a process keeps of catalogs between requests: sets of items, orders and sums, never contents."""

from __future__ import annotations

import threading
from array import array
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import cached_property
from typing import Generic, TypeVar

from registry_tool.catalog.answers import StorageTotals
from registry_tool.catalog.field_index import FieldIndex

_SETS = 16 << 20
_ORDERS = 24 << 20
_FIELDS = 48 << 20
"""Bytes of all catalogs that a process reads together."""
_TOTALS = 16
"""Catalogs whose sums are kept."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Kept(Generic[K, V]):
    """The values that were used last, of which there are no more bytes than `most`."""

    def __init__(self, most: int, size: Callable[[V], int]) -> None:
        self._most = most
        self._size = size
        self._values: OrderedDict[K, V] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, key: K, make: Callable[[], V]) -> V:
        """A value, made when it is not there. Threads at worst make one twice."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._lock:
            self._drop(key)
            self._values[key] = value
            self._bytes += self._size(value)
            while self._bytes > self._most:
                self._drop(next(iter(self._values)))
        return value

    def _drop(self, key: K) -> None:
        if key in self._values:
            self._bytes -= self._size(self._values.pop(key))


class Order:
    """All items of a kind, or some, sorted."""

    def __init__(self, ids: array[int]) -> None:
        self.ids = ids

    @cached_property
    def places(self) -> array[int]:
        """Of each item by its number, how many come before it; of another one 0."""
        found = array("I", bytes(4 * (max(self.ids, default=0) + 1)))
        for place, item_id in enumerate(self.ids):
            found[item_id] = place
        return found

    @property
    def size(self) -> int:
        """Bytes, about."""
        return 8 * len(self.ids) + 200


class Shared:
    """Of all catalogs that a process reads."""

    def __init__(self) -> None:
        self.sets: Kept[Hashable, int] = Kept(_SETS, lambda bits: bits.bit_length() // 8 + 100)
        self.orders: Kept[Hashable, Order] = Kept(_ORDERS, lambda order: order.size)
        self.fields: Kept[Hashable, FieldIndex] = Kept(_FIELDS, lambda field: field.size)
        self.totals: Kept[Hashable, StorageTotals] = Kept(_TOTALS, lambda _: 1)


class Memory:
    """Of one state of one catalog file; `owner` names it."""

    def __init__(self, shared: Shared, owner: Hashable) -> None:
        self._shared = shared
        self._owner = owner

    def set(self, key: Hashable, make: Callable[[], int]) -> int:
        """Items of a kind that have a value of a field, for example."""
        return self._shared.sets.get((self._owner, key), make)

    def order(self, key: Hashable, make: Callable[[], Order]) -> Order:
        """Items of a kind, sorted."""
        return self._shared.orders.get((self._owner, key), make)

    def field(self, key: Hashable, make: Callable[[], FieldIndex]) -> FieldIndex:
        """All values of a field of a kind."""
        return self._shared.fields.get((self._owner, key), make)

    def totals(self, make: Callable[[], StorageTotals]) -> StorageTotals:
        """What all models occupy together: a look at every file and layer."""
        return self._shared.totals.get(self._owner, make)
