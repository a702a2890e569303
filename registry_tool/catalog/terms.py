"""The inverted index while it is written: which items have which value of a filter."""

from __future__ import annotations

import sqlite3
from array import array
from collections import defaultdict
from collections.abc import Iterable

from registry_tool.catalog import id_sets
from registry_tool.catalog.rows import Fact

EVERY: Fact = ("", "")
"""A value that every item of a kind has."""


class Terms:
    """Collects changes and writes them in `flush`.

    An item keeps the numbers of its terms, so that a later change knows what to take away. Between two flushes an
    item is assigned once; its number may have been forgotten before, when it was another item's.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._numbers: dict[str, dict[Fact, int]] = {}
        self._fields: dict[tuple[str, frozenset[str]], set[int]] = {}
        self._added: defaultdict[int, array[int]] = defaultdict(_no_numbers)
        self._removed: defaultdict[int, array[int]] = defaultdict(_no_numbers)
        (last,) = connection.execute("SELECT coalesce(max(id), 0) FROM terms").fetchone()
        self._last: int = last
        self._had_any = last > 0

    def assign(self, kind: str, item_id: int, before: bytes, facts: Iterable[Fact]) -> bytes:
        """Let an item have these facts, and no others; `before` is what this returned the last time, or empty."""
        known = self._numbers.setdefault(kind, {})
        numbers = {known[fact] if fact in known else self._number(kind, fact) for fact in facts}
        numbers.add(known[EVERY] if EVERY in known else self._number(kind, EVERY))
        return self._exchange(item_id, before, numbers)

    def assign_some(
        self, kind: str, item: tuple[int, bytes], fields: frozenset[str], facts: Iterable[Fact]
    ) -> bytes:
        """Let an item have these facts of some fields, and keep all of its others; otherwise like `assign`."""
        item_id, before = item
        known = self._numbers.setdefault(kind, {})
        numbers = {known[fact] if fact in known else self._number(kind, fact) for fact in facts}
        others = set(_unpacked(before)) - self._of_fields(kind, fields)
        return self._exchange(item_id, before, numbers | others)

    def _of_fields(self, kind: str, fields: frozenset[str]) -> set[int]:
        """What items may have had of some fields before the first change."""
        if (kind, fields) not in self._fields:
            marks = ", ".join("?" * len(fields))
            rows = self._connection.execute(
                f"SELECT id FROM terms WHERE kind = ? AND field IN ({marks})",  # noqa: S608
                (kind, *sorted(fields)),
            )
            self._fields[kind, fields] = {row[0] for row in rows}
        return self._fields[kind, fields]

    def _exchange(self, item_id: int, before: bytes, numbers: set[int]) -> bytes:
        packed = array("I", sorted(numbers)).tobytes()
        if not before:
            for number in numbers:
                self._added[number].append(item_id)
        elif packed != before:
            old = set(_unpacked(before))
            for number in numbers - old:
                self._added[number].append(item_id)
            for number in old - numbers:
                self._removed[number].append(item_id)
        return packed

    def forget(self, item_id: int, before: bytes) -> None:
        """An item is gone."""
        for number in _unpacked(before):
            self._removed[number].append(item_id)

    def flush(self) -> None:
        """Write what has changed."""
        for number in sorted({*self._added, *self._removed}):
            self._write(number)
        self._connection.execute("DELETE FROM terms WHERE count = 0")
        self._added.clear()
        self._removed.clear()
        # Numbers of deleted terms must not be given out again from memory.
        self._numbers.clear()
        self._fields.clear()
        self._had_any = True

    def _number(self, kind: str, fact: Fact) -> int:
        known = self._numbers[kind]
        if fact not in known:
            known[fact] = self._find((kind, *fact))
        return known[fact]

    def _find(self, key: tuple[str, str, str]) -> int:
        if self._had_any:
            found = self._connection.execute(
                "SELECT id FROM terms WHERE kind = ? AND field = ? AND value = ?", key
            ).fetchone()
            if found is not None:
                return int(found[0])
        self._last += 1
        self._connection.execute(
            "INSERT INTO terms (id, kind, field, value, count, ids) VALUES (?, ?, ?, ?, 0, x'44')",
            (self._last, *key),
        )
        return self._last

    def _write(self, number: int) -> None:
        bits = 0
        if self._had_any:
            (data,) = self._connection.execute(
                "SELECT ids FROM terms WHERE id = ?", (number,)
            ).fetchone()
            bits = id_sets.decode(data)
        # An item may have gone and its number been given to another one in between.
        bits &= ~id_sets.of(self._removed.get(number, ()))
        bits |= id_sets.of(self._added.get(number, ()))
        self._connection.execute(
            "UPDATE terms SET count = ?, ids = ? WHERE id = ?",
            (bits.bit_count(), id_sets.encode(bits), number),
        )


def _no_numbers() -> array[int]:
    return array("I")


def _unpacked(packed: bytes) -> array[int]:
    numbers = array("I")
    numbers.frombytes(packed)
    return numbers
