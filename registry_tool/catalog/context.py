"""What every derivation looks up, and how it stores what it found."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from pydantic_core import from_json

from registry_tool.catalog.inputs import DeploymentKeys, no_keys
from registry_tool.catalog.rows import Fact, Value
from registry_tool.catalog.schema import TABLES
from registry_tool.catalog.terms import Terms
from registry_tool.catalog.tracing import Traced, Tracer


class Context:
    """One run of derivations on one connection."""

    def __init__(
        self, connection: sqlite3.Connection, terms: Terms, keys: DeploymentKeys = no_keys
    ) -> None:
        self.connection = connection
        self.keys = keys
        self.terms = terms
        self.tracer = Tracer(connection)
        found = self.row("SELECT store FROM registry")
        self.store: str = found[0] if found else ""
        """Builds count for this image store only."""

    def row(self, query: str, *values: Value) -> Any:
        """The only row of an answer, or None."""
        return self.connection.execute(query, values).fetchone()

    def rows(self, query: str, *values: Value) -> list[Any]:
        """All rows of an answer."""
        return self.connection.execute(query, values).fetchall()

    def first_column(self, query: str, *values: Value) -> list[Any]:
        """The first value of each row of an answer."""
        return [found[0] for found in self.connection.execute(query, values)]

    def store_derived(
        self,
        kind: str,
        item: tuple[int, bytes],
        traced: Traced,
        facts: Iterable[Fact],
        columns: Mapping[str, Value],
    ) -> None:
        """Write an item's derived columns and its filter values; `item` is its number and its terms so far."""
        item_id, before = item
        terms = self.terms.assign(kind, item_id, before, facts)
        values: dict[str, Value | bytes] = {
            "changed": traced.changed,
            "created": traced.created,
            "updated_at": traced.changed_at,
            "created_at": traced.created_at,
            **columns,
            "terms": terms,
        }
        self.connection.execute(_update(kind, tuple(values)), (*values.values(), item_id))


@lru_cache(maxsize=64)
def _update(kind: str, columns: tuple[str, ...]) -> str:
    assignments = ", ".join(f"{name} = ?" for name in columns)
    return f"UPDATE {TABLES[kind].name} SET {assignments} WHERE id = ?"  # noqa: S608


def stored_facts(text: str) -> list[Fact]:
    """The facts that follow from a manifest alone, as they were stored."""
    return list(map(tuple, from_json(text)))
