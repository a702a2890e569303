"""All values of one field of a kind, in the form in which they are counted soonest in any selection.

A value that many items have is a bit map: one `and` counts it. Of all others together each pair of an item and its
value is listed, so that one pass counts them all.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import compress

from registry_tool.catalog import id_sets

Count = tuple[str, int]
"""A value, and how many items have it."""
_WORTH_A_MAP = 1024
"""A bit map counts about as fast as this part of its bits one by one."""


class FieldIndex:
    """Made from the values of a field, how many items have them, and which."""

    def __init__(self, rows: Iterable[tuple[str, int, bytes]], size: int) -> None:
        """`size` is above every number of an item."""
        self._totals: list[Count] = []
        self._maps: list[tuple[str, int]] = []
        self._items = array("I")
        self._values = array("I")
        for value, count, ids in rows:
            if count * _WORTH_A_MAP > size:
                self._maps.append((value, id_sets.decode(ids)))
            else:
                self._items.extend(id_sets.numbers(ids))
                self._values.extend([len(self._totals)] * count)
            self._totals.append((value, count))

    @property
    def size(self) -> int:
        """Bytes, about."""
        maps = sum(bits.bit_length() // 8 + 100 for _, bits in self._maps)
        return maps + 200 * len(self._totals) + 8 * len(self._items)

    @property
    def totals(self) -> list[Count]:
        """Among all items."""
        return self._totals

    def counts(self, bits: int, size: int) -> Iterator[Count]:
        """Among the items in `bits`, whose numbers are below `size`; values that none of them has are left out."""
        for value, known in self._maps:
            if count := (known & bits).bit_count():
                yield value, count
        if self._items:
            is_member = id_sets.flags(bits, size).__getitem__
            found = Counter(compress(self._values, map(is_member, self._items)))
            for number, count in found.items():
                yield self._totals[number][0], count
