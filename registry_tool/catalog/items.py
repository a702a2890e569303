"""Items as finished JSON texts, put together by the database from the texts that it keeps."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Any

from registry_tool.catalog.event_rows import MOST_CHANGES, about
from registry_tool.catalog.json_text import dumps
from registry_tool.catalog.schema import TABLES, Table

MOST_RELEASES = 1000
"""Releases that an artifact names; the rest is counted."""
MOST_TOUCHES = 10_000
"""Changed files that a single audit item names."""

_MANIFEST = """
SELECT '{{' || item.body || CASE WHEN item.path IS NULL THEN ',"git":null' ELSE
  ',"git":{{"path":' || json_quote(item.path) || ',"oid":"' || item.oid ||
  '","commit":' || coalesce(changed.brief, 'null') ||
  ',"created":' || coalesce(created.brief, 'null') || '}}' END || {extra} || '}}'
FROM {table} AS item
LEFT JOIN audit AS changed ON changed.id = item.changed
LEFT JOIN audit AS created ON created.id = item.created
"""
_ARTIFACT = """
SELECT '{"id":"' || item.sha256 || '","subject":"artifact/' || item.sha256 || '"' || item.body ||
  ',"release":"' || item.release || '","model":"' || item.model || '","version":"' ||
  item.version || '","quantization":"' || item.quantization || '","storage_path":' ||
  json_quote(coalesce(releases.storage_path, models.storage_path)) || '}'
FROM artifacts AS item
LEFT JOIN releases ON releases.key = item.release
LEFT JOIN models ON models.key = item.model
"""
_EVENT = "SELECT item.body FROM {table} AS item"


def _query(table: Table) -> str:
    if table.of_manifest:
        return _MANIFEST.format(table=table.name, extra="item.extra")
    if table.kind.name == "artifacts":
        return _ARTIFACT
    return _EVENT.format(table=table.name)


_QUERIES = {kind: _query(table) for kind, table in TABLES.items()}
_REGISTRY = _MANIFEST.format(table="registry", extra="''")


def item_texts(connection: sqlite3.Connection, kind: str, ids: Iterable[int]) -> tuple[str, ...]:
    """The items with these numbers, in this order."""
    query = f"{_QUERIES[kind]} WHERE item.id = ?"
    return tuple(connection.execute(query, (item_id,)).fetchone()[0] for item_id in ids)


def registry_text(connection: sqlite3.Connection) -> str:
    """The Registry as an item."""
    return str(connection.execute(_REGISTRY).fetchone()[0])


def detailed_text(connection: sqlite3.Connection, kind: str, key: str) -> str | None:
    """One item with what lists leave out, or None."""
    if kind == "artifacts":
        return _artifact(connection, key)
    found = connection.execute(f"{_QUERIES[kind]} WHERE item.key = ?", (key,)).fetchone()
    if found is None:
        return None
    text = str(found[0])
    match kind:
        case "releases":
            return _release(connection, key, text)
        case "templates":
            query = "SELECT files FROM templates WHERE key = ?"
            (files,) = connection.execute(query, (key,)).fetchone()
            return f'{text[:-1]},"files":{files}}}'
        case "audit":
            return _commit(connection, key, text)
    return text


def _release(connection: sqlite3.Connection, key: str, text: str) -> str:
    """Files and layers of the lock go inside of its summary."""
    found = connection.execute("SELECT detail FROM locks WHERE key = ?", (key,)).fetchone()
    if found is None:
        return text
    item = json.loads(text)
    files = connection.execute("SELECT body FROM artifacts WHERE release = ? ORDER BY path", (key,))
    item["lock"]["files"] = [json.loads(f"{{{body[1:]}}}") for (body,) in files]
    item["lock"].update(json.loads(f"{{{found[0][1:]}}}"))
    return dumps(item)


def _artifact(connection: sqlite3.Connection, sha256: str) -> str | None:
    total, size = connection.execute(
        "SELECT count(*), max(size) FROM artifacts WHERE sha256 = ?", (sha256,)
    ).fetchone()
    if not total:
        return None
    rows = connection.execute(
        f"{_ARTIFACT} WHERE item.sha256 = ?"
        " ORDER BY item.model, item.version_order, item.quantization, item.path LIMIT ?",
        (sha256, MOST_RELEASES),
    )
    head = {"id": sha256, "subject": f"artifact/{sha256}", "sha256": sha256}
    releases = ",".join(row[0] for row in rows)
    members = dumps({**head, "size": size, "count": total})[:-1]
    return f'{members},"releases":[{releases}]}}'


def _commit(connection: sqlite3.Connection, oid: str, text: str) -> str:
    item: dict[str, Any] = json.loads(text)
    if item["change_count"] <= MOST_CHANGES:
        return text
    rows = connection.execute(
        "SELECT path, coalesce(arrived, status), origin FROM touches WHERE commit_id ="
        " (SELECT id FROM audit WHERE key = ?) ORDER BY path LIMIT ?",
        (oid, MOST_TOUCHES),
    )
    item["changes"] = [
        {
            "path": path,
            "status": status,
            "origin": origin,
            "about": found.subject if (found := about(path)) else None,
        }
        for path, status, origin in rows
    ]
    return dumps(item)
