"""What a catalog says of itself."""

from __future__ import annotations

import json
import secrets
import sqlite3
from dataclasses import asdict
from datetime import datetime
from typing import Any, NamedTuple

from registry_tool.catalog.inputs import CatalogPair, InvalidFile, Problem, Tip
from registry_tool.catalog.json_text import dumps
from registry_tool.catalog.schema import SCHEMA_VERSION
from registry_tool.domain.revisions import Revision


class Meta(NamedTuple):
    """Which pair is shown, and in which state the file is."""

    pair: CatalogPair
    tip: Tip
    committed_at: datetime | None
    state: str
    """Another one after each change, and in each file."""


def read_meta(connection: sqlite3.Connection) -> Meta | None:
    """What the file says; None when another version of the schema made it."""
    values: dict[str, str] = dict(connection.execute("SELECT name, value FROM meta"))
    if values.get("schema") != SCHEMA_VERSION:
        return None
    committed = values["committed_at"]
    return Meta(
        CatalogPair(Revision(values["ref"], values["manifests"]), values["records"] or None),
        Tip(values["tip"], invalid_files(values["refused"])),
        datetime.fromisoformat(committed) if committed else None,
        values["state"],
    )


def new_state() -> str:
    """A state that no file has been in."""
    return secrets.token_hex(8)


def write_meta(connection: sqlite3.Connection, meta: Meta) -> None:
    """Replace it."""
    values = {
        "schema": SCHEMA_VERSION,
        "ref": meta.pair.revision.ref,
        "manifests": meta.pair.manifests,
        "records": meta.pair.records or "",
        "tip": meta.tip.oid,
        "refused": dumps([asdict(file) for file in meta.tip.refused]),
        "committed_at": meta.committed_at.isoformat() if meta.committed_at else "",
        "state": meta.state,
    }
    connection.executemany(
        "INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", values.items()
    )


def invalid_files(text: str) -> tuple[InvalidFile, ...]:
    """Invalid files from JSON."""
    return tuple(
        InvalidFile(file["path"], file["subject"], problems(file["problems"]), file["kind"])
        for file in json.loads(text)
    )


def problems(found: list[Any]) -> tuple[Problem, ...]:
    """Problems from JSON values, which are lists or mappings."""
    return tuple(
        Problem(**entry) if isinstance(entry, dict) else Problem(*entry) for entry in found
    )
