"""Which items of a kind a query means, and how often each value of a field occurs among them."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from functools import cached_property, reduce
from heapq import nsmallest
from operator import and_, or_

from registry_tool.catalog import id_sets
from registry_tool.catalog.event_rows import paths_about
from registry_tool.catalog.field_index import FieldIndex
from registry_tool.catalog.listing import FacetValue, ListQuery, Range
from registry_tool.catalog.memory import Memory
from registry_tool.catalog.schema import EXACT, TABLES, Table, search_range
from registry_tool.catalog.searching import match_expression, sayable
from registry_tool.catalog.terms import EVERY
from registry_tool.domain.names import did_you_mean
from registry_tool.errors import BadQuery


def table_of(kind: str) -> Table:
    """The table of a kind. Raises BadQuery."""
    table = TABLES.get(kind)
    if table is None:
        raise BadQuery(f'there is no kind "{kind}"', help=did_you_mean(kind, TABLES))
    return table


class Selection:
    """The items that one query means, as sets of their numbers."""

    def __init__(self, connection: sqlite3.Connection, memory: Memory, query: ListQuery) -> None:
        """Raises BadQuery."""
        self.table = table_of(query.kind)
        self._connection = connection
        self._memory = memory
        self._query = query
        self._check()

    def _check(self) -> None:
        kind = self.table.kind
        _check_names("filter", self._query.filters, (*kind.facets, *kind.exact))
        _check_names("range", self._query.ranges, kind.ranges)
        _check_names("facet", self._query.facets, kind.facets)

    @cached_property
    def bits(self) -> int:
        """All that the query means."""
        return reduce(and_, self._parts.values(), self.every)

    @cached_property
    def every(self) -> int:
        """All items of the kind."""
        return self._having(*EVERY)

    @cached_property
    def _parts(self) -> Mapping[str, int]:
        """The set of each filter; what is not one field's filter has another name than any field."""
        query = self._query
        parts = {field: self._filtered(field, values) for field, values in query.filters.items()}
        parts |= {f"{name}<": self._bounded(name, bounds) for name, bounds in query.ranges.items()}
        if query.q.strip():
            parts["q="] = self._found(query.q)
        return parts

    def _filtered(self, field: str, values: Sequence[str]) -> int:
        values = [sayable(value) for value in values]
        if field in self.table.kind.facets:
            return reduce(or_, (self._having(field, value) for value in values), 0)
        return reduce(or_, (self._exactly(field, value) for value in values), 0)

    def _having(self, field: str, value: str) -> int:
        key = (self.table.kind.name, field, value)
        return self._memory.set(key, lambda: self._stored(*key))

    def _stored(self, *key: str) -> int:
        found = self._connection.execute(
            "SELECT ids FROM terms WHERE kind = ? AND field = ? AND value = ?", key
        ).fetchone()
        return id_sets.decode(found[0]) if found else 0

    def _exactly(self, field: str, value: str) -> int:
        if field == "about":
            return self._about(value)
        column = EXACT[self.table.kind.name][field]
        query = f"SELECT id FROM {self.table.name} WHERE {column} = ?"  # noqa: S608
        return id_sets.of(row[0] for row in self._connection.execute(query, (value,)))

    def _about(self, subject: str) -> int:
        """Commits that touched the files of a subject, where they are now and where they belong."""
        found = 0
        for path in (*paths_about(subject), *self._declared_at(subject)):
            low, high = (path, path[:-1] + "0") if path.endswith("/") else (path, path + "\0")
            rows = self._connection.execute(
                "SELECT commit_id FROM touches WHERE path >= ? AND path < ?", (low, high)
            )
            found |= id_sets.of(row[0] for row in rows)
        return found

    def _declared_at(self, subject: str) -> list[str]:
        kind, _, key = subject.partition("/")
        tables = [table.name for table in TABLES.values() if table.kind.subject == kind and kind]
        tables += ["locks"] if kind == "release" else []
        return [
            str(row[0])
            for table in tables
            if table != "artifacts"
            for row in self._connection.execute(
                f"SELECT path FROM {table} WHERE key = ? AND path IS NOT NULL",  # noqa: S608
                (key,),
            )
        ]

    def _bounded(self, name: str, bounds: Range) -> int:
        if name in self.table.kind.facets:
            return self._between(name, bounds)
        (column,) = self.table.columns_of(name)[:1]
        conditions, values = [f"{column} IS NOT NULL"], []
        for operator, bound in ((">=", bounds.low), ("<=", bounds.high)):
            if bound is not None:
                conditions.append(f"{column} {operator} ?")
                values.append(float(bound))
        query = f"SELECT id FROM {self.table.name} WHERE {' AND '.join(conditions)}"  # noqa: S608
        return id_sets.of(row[0] for row in self._connection.execute(query, values))

    def _between(self, field: str, bounds: Range) -> int:
        """Of a field with few values these are compared, not the items."""
        rows = self._connection.execute(
            "SELECT value FROM terms WHERE kind = ? AND field = ?", (self.table.kind.name, field)
        )
        low = bounds.low if bounds.low is not None else float("-inf")
        high = bounds.high if bounds.high is not None else float("inf")
        values = [value for (value,) in rows.fetchall() if low <= float(value) <= high]
        return reduce(or_, (self._having(field, value) for value in values), 0)

    def _found(self, q: str) -> int:
        expression = match_expression(q)
        if expression is None:
            return 0
        key = (self.table.kind.name, "q=", expression)
        return self._memory.set(key, lambda: self._search(expression))

    def _search(self, expression: str) -> int:
        first, last = search_range((self.table.number, self.table.number))
        rows = self._connection.execute(
            "SELECT rowid FROM search WHERE search MATCH ? AND rowid BETWEEN ? AND ?",
            (expression, first, last),
        )
        return id_sets.of(row[0] - first for row in rows)

    # --- facets ---

    def facet(self, field: str) -> tuple[FacetValue, ...]:
        """The most frequent values of a field, with all filters but its own."""
        index = self._memory.field((self.table.kind.name, field), lambda: self._index(field))
        others = [bits for name, bits in self._parts.items() if name != field]
        counted = (
            index.counts(reduce(and_, others), self.every.bit_length()) if others else index.totals
        )
        limit = max(1, self._query.facet_limit)
        best = nsmallest(limit, counted, key=lambda found: (-found[1], found[0]))
        return tuple(FacetValue(value, count) for value, count in best)

    def _index(self, field: str) -> FieldIndex:
        rows = self._connection.execute(
            "SELECT value, count, ids FROM terms WHERE kind = ? AND field = ?",
            (self.table.kind.name, field),
        )
        return FieldIndex(rows, self.every.bit_length())


def _check_names(
    what: str, given: Sequence[str] | Mapping[str, object], known: Sequence[str]
) -> None:
    for name in given:
        if name not in known:
            near = did_you_mean(name, known)
            raise BadQuery(
                f'there is no {what} "{name}"', help=near or f"there are {', '.join(known)}"
            )
