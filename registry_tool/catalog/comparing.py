"""What is different in two catalogs, by identity; equal files are told by their blobs and never read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from registry_tool.catalog.answers import Difference, FieldDifference
from registry_tool.catalog.items import detailed_text, registry_text
from registry_tool.catalog.json_text import dumps
from registry_tool.catalog.schema import TABLES
from registry_tool.domain.comparing import leaves

_DERIVED = {
    "models": frozenset(("releases", "storage", "environments")),
    "releases": frozenset(("build", "image_build", "images", "deployments")),
    "deployments": frozenset(
        ("declared", "wanted", "state", "recorded", "running", "gates", "target")
    ),
    "environments": frozenset(("deployments",)),
    "templates": frozenset(("builder", "releases", "file_count")),
}
"""Members of items that no manifest says."""
_EVERYWHERE = frozenset(("id", "subject", "name", "git"))
_BLOBS = {
    "releases": "SELECT item.key, item.oid || coalesce(locks.oid, '') FROM releases AS item"
    " LEFT JOIN locks ON locks.key = item.key",
    "templates": "SELECT key, oid || files FROM templates",
}


def differences(old: sqlite3.Connection, new: sqlite3.Connection) -> Iterator[Difference]:
    """All subjects that are not the same, by kind and key."""
    for table in TABLES.values():
        if table.of_manifest:
            yield from _of_kind(table.kind.name, old, new)
    yield from _of_registry(old, new)


def _of_kind(kind: str, old: sqlite3.Connection, new: sqlite3.Connection) -> Iterator[Difference]:
    before, after = _blobs(kind, old), _blobs(kind, new)
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) == after.get(key):
            continue
        one = detailed_text(old, kind, key) if key in before else None
        other = detailed_text(new, kind, key) if key in after else None
        if one is None or other is None:
            yield Difference(kind, key, "created" if one is None else "deleted", one, other)
            continue
        fields = _fields(kind, one, other)
        if fields:
            yield Difference(kind, key, "updated", one, other, fields)


def _blobs(kind: str, connection: sqlite3.Connection) -> dict[str, str]:
    query = _BLOBS.get(kind, f"SELECT key, oid FROM {TABLES[kind].name} WHERE path IS NOT NULL")  # noqa: S608
    return dict(connection.execute(query))


def _of_registry(old: sqlite3.Connection, new: sqlite3.Connection) -> Iterator[Difference]:
    one, other = registry_text(old), registry_text(new)
    fields = _fields("registry", one, other)
    if fields:
        yield Difference("registry", json.loads(other)["id"], "updated", one, other, fields)


def _fields(kind: str, old: str, new: str) -> tuple[FieldDifference, ...]:
    before, after = (dict(_flat(kind, json.loads(text))) for text in (old, new))
    names = [*before, *(name for name in after if name not in before)]
    return tuple(
        FieldDifference(name, before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    )


def _flat(kind: str, item: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    left_out = _EVERYWHERE | _DERIVED.get(kind, frozenset())
    for name, value in item.items():
        if name == "lock" and value is not None:
            yield from _lock(value)
        elif name == "files" and kind == "templates":
            for file in value:
                yield f"files[{file['path']}]", dumps([file["oid"], file["executable"]])
        elif name not in left_out:
            for field, leaf in leaves(name, value):
                if leaf is not None:
                    yield field, dumps(leaf)


def _lock(lock: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Files by path; layers follow from them, so that only their number counts."""
    yield "lock.target", dumps(lock["target"])
    for file in lock["files"]:
        for part in ("sha256", "size", "role"):
            yield f"lock.files[{file['path']}].{part}", dumps(file[part])
    yield "lock.layers", dumps(lock["layer_count"])
