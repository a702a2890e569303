"""Pages of a selection: orders, cursors, and what comes next."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import sqlite3
from array import array
from collections.abc import Iterator, Sequence
from heapq import nsmallest
from itertools import islice
from typing import Any, NamedTuple

from registry_tool.catalog import id_sets
from registry_tool.catalog.json_text import dumps
from registry_tool.catalog.listing import MAX_LIMIT, ListQuery
from registry_tool.catalog.memory import Memory, Order
from registry_tool.catalog.schema import Table, search_range
from registry_tool.catalog.searching import RANK, match_expression
from registry_tool.catalog.selecting import Selection
from registry_tool.domain.names import did_you_mean
from registry_tool.errors import BadQuery

MOST_RANKED = 5_000
"""Matches that are put in order of how well they match; more than these come in the kind's own order."""

_FEW = 32
"""Of so many items one is quicker put in order than found in it."""


class Column(NamedTuple):
    """A part of an order. Absent values come last, in either direction."""

    name: str
    descending: bool


class Slice(NamedTuple):
    """The numbers of a page's items, and the cursor of the next page."""

    ids: tuple[int, ...]
    next: str | None


class Pager:
    """Pages of one query."""

    def __init__(
        self, connection: sqlite3.Connection, memory: Memory, query: ListQuery, selection: Selection
    ) -> None:
        """Raises BadQuery."""
        self._connection = connection
        self._memory = memory
        self._query = query
        self._selection = selection
        self._table = selection.table
        self._is_ranked = self._ranks()
        self._columns = order_columns(self._table, query.sort or self._table.kind.default_sort)

    def _ranks(self) -> bool:
        query = self._query
        if query.sort or not query.q.strip() or match_expression(query.q) is None:
            return False
        return self._selection.bits.bit_count() <= MOST_RANKED

    def slice(self) -> Slice:
        """The page that the query's cursor asks for. Raises BadQuery."""
        limit = max(1, min(self._query.limit, MAX_LIMIT))
        order = self._order()
        start = self._start(order.ids) if self._query.cursor else 0
        ids = self._next(order, start, limit + 1)
        if len(ids) <= limit:
            return Slice(ids, None)
        return Slice(ids[:limit], self._cursor(ids[limit - 1]))

    def _next(self, order: Order, start: int, count: int) -> tuple[int, ...]:
        """The first of the selection from a place on."""
        bits = self._selection.bits
        if bits.bit_count() * _FEW < len(order.ids):
            place = order.places.__getitem__
            later = (item for item in id_sets.members(bits) if place(item) >= start)
            return tuple(nsmallest(count, later, key=place))
        is_member = id_sets.flags(bits, self._selection.every.bit_length()).__getitem__
        return tuple(islice(filter(is_member, islice(order.ids, start, None)), count))

    # --- orders ---

    def _order(self) -> Order:
        """All items of the kind, in the order of the query; of a ranked query those that match."""
        expression = match_expression(self._query.q) if self._is_ranked else None
        key = (
            self._table.kind.name,
            ("q", expression) if expression else tuple(map(str, self._columns)),
        )

        def make() -> Order:
            return Order(array("I", self._ranked(expression) if expression else self._sorted()))

        return self._memory.order(key, make)

    def _sorted(self) -> Iterator[int]:
        terms = ", ".join(
            name + (" DESC" if descending else " ASC") + self._nulls(name)
            for name, descending in self._columns
        )
        query = f"SELECT id FROM {self._table.name} ORDER BY {terms}"  # noqa: S608
        return (row[0] for row in self._connection.execute(query))

    def _nulls(self, column: str) -> str:
        """Said only where it matters: it keeps the database from using an index."""
        return "" if column in self._table.never_null else " NULLS LAST"

    def _ranked(self, expression: str) -> Iterator[int]:
        first, last = search_range((self._table.number, self._table.number))
        rows = self._connection.execute(
            "SELECT rowid FROM search WHERE search MATCH ? AND rowid BETWEEN ? AND ?"  # noqa: S608
            f" ORDER BY {RANK}, rowid",
            (expression, first, last),
        )
        return (row[0] - first for row in rows)

    # --- cursors ---

    def _cursor(self, item_id: int) -> str:
        place = [_fingerprint(self._query), *self._values(item_id)]
        return base64.urlsafe_b64encode(dumps(place).encode()).decode().rstrip("=")

    def _values(self, item_id: int) -> list[Any]:
        """What the order compares of an item; of a ranked one how well it matches."""
        if self._is_ranked:
            return [item_id]
        names = ", ".join(column.name for column in self._columns)
        query = f"SELECT {names} FROM {self._table.name} WHERE id = ?"  # noqa: S608
        return list(self._connection.execute(query, (item_id,)).fetchone())

    def _start(self, order: array[int]) -> int:
        """How many items come before the page, which begins after the item that the cursor describes.

        That item need not exist any more.
        """
        values = _read_cursor(self._query)
        if self._is_ranked:
            return next((n for n, known in enumerate(order, 1) if [known] == values), len(order))
        if len(values) != len(self._columns):
            raise _bad_cursor()
        low, high = 0, len(order)
        while low < high:
            middle = (low + high) // 2
            if self._is_after(self._values(order[middle]), values):
                high = middle
            else:
                low = middle + 1
        return low

    def _is_after(self, one: Sequence[Any], other: Sequence[Any]) -> bool:
        for column, mine, theirs in zip(self._columns, one, other, strict=True):
            if mine == theirs:
                continue
            if mine is None or theirs is None:
                return mine is None
            try:
                return bool(mine < theirs if column.descending else mine > theirs)
            except TypeError as problem:
                raise _bad_cursor() from problem
        return False


def order_columns(table: Table, sort: Sequence[str]) -> tuple[Column, ...]:
    """The columns of an order, the last of which tell all items apart. Raises BadQuery."""
    columns: dict[str, bool] = {}
    for name in sort:
        plain = name.removeprefix("-")
        if plain not in table.kind.sorts:
            near = did_you_mean(plain, table.kind.sorts)
            help = near or f"there are {', '.join(table.kind.sorts)}"
            raise BadQuery(f'{table.kind.name} cannot be sorted by "{plain}"', help=help)
        for column in table.columns_of(plain):
            columns.setdefault(column, name.startswith("-"))
    for column in table.unique:
        columns.setdefault(column, False)
    return tuple(Column(name, descending) for name, descending in columns.items())


def _fingerprint(query: ListQuery) -> str:
    """Tells queries apart whose cursors mean different things."""
    filters = {field: sorted(values) for field, values in sorted(query.filters.items())}
    parts = [query.kind, filters, sorted(query.ranges.items()), query.q, query.sort]
    return hashlib.sha256(dumps(parts).encode()).hexdigest()[:12]


def _read_cursor(query: ListQuery) -> list[Any]:
    text = query.cursor or ""
    try:
        place = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError) as problem:
        raise _bad_cursor() from problem
    if not isinstance(place, list) or place[:1] != [_fingerprint(query)]:
        raise _bad_cursor()
    return place[1:]


def _bad_cursor() -> BadQuery:
    return BadQuery(
        "the cursor does not belong to this query",
        help="leave it out for the first page, and change nothing else between pages",
    )
