"""Everything that a catalog file holds, told without the numbers that two equal catalogs may give differently."""

from __future__ import annotations

import sqlite3
from array import array
from contextlib import closing
from pathlib import Path
from typing import Any

from registry_tool.catalog import id_sets
from registry_tool.catalog.schema import BY_NUMBER, TABLES

_COMMITS = ("changed", "created", "commit_id")


def dump(path: Path) -> dict[str, list[Any]]:
    """Rows by table, sorted; the file is checked for damage on the way."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        connection.execute("INSERT INTO search (search) VALUES ('integrity-check')")
        connection.rollback()
        return _Dump(connection).tables()


class _Dump:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._names = {
            kind: {row["id"]: self._name(kind, row) for row in self._rows(table.name)}
            for kind, table in TABLES.items()
        }
        self._terms = {row["id"]: (row["field"], row["value"]) for row in self._rows("terms")}

    def tables(self) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for kind, table in TABLES.items():
            found[kind] = sorted(
                (self._plain(dict(row), kind) for row in self._rows(table.name)), key=repr
            )
        for name in ("registry", "locks", "invalid", "layers", "steps", "touches"):
            found[name] = sorted((self._plain(dict(row), "") for row in self._rows(name)), key=repr)
        found["terms"] = sorted(self._index())
        found["search"] = sorted(self._words())
        found["meta"] = sorted(tuple(row) for row in self._rows("meta") if row["name"] != "state")
        return found

    def _rows(self, table: str) -> list[sqlite3.Row]:
        return self._connection.execute(f"SELECT * FROM {table}").fetchall()

    def _name(self, kind: str, row: sqlite3.Row) -> str:
        return f"{row['release']}/{row['path']}" if kind == "artifacts" else str(row["key"])

    def _plain(self, row: dict[str, Any], kind: str) -> dict[str, Any]:
        row.pop("id", None)
        for name in _COMMITS:
            if row.get(name) is not None:
                row[name] = self._names["audit"][row[name]]
        if row.get("image_build") is not None:
            row["image_build"] = self._names["builds"][row["image_build"]]
        if kind:
            numbers = array("I")
            numbers.frombytes(row["terms"])
            row["terms"] = sorted(self._terms[number] for number in numbers)
            assert ("", "") in row["terms"]
        return row

    def _index(self) -> Any:
        for row in self._rows("terms"):
            names = self._names[row["kind"]]
            members = sorted(
                names[number] for number in id_sets.members(id_sets.decode(row["ids"]))
            )
            assert row["count"] == len(members) > 0
            yield (row["kind"], row["field"], row["value"], members)

    def _words(self) -> Any:
        for row in self._connection.execute("SELECT rowid, name, words, text FROM search"):
            kind = BY_NUMBER[row["rowid"] >> 40].kind.name
            yield (kind, self._names[kind][row["rowid"] & ((1 << 40) - 1)], *tuple(row)[1:])
