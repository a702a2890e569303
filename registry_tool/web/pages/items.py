"""Items of a catalog as pages need them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import HTTPException

from registry_tool.catalog.inputs import CatalogPair
from registry_tool.catalog.listing import ListQuery
from registry_tool.catalog.queries import Catalog

Item = dict[str, Any]
"""An item as the API gives it."""


def find(catalog: Catalog, kind: str, key: str) -> Item | None:
    """One item with all details, or None."""
    found = catalog.get(kind, key)
    return None if found is None else parse(found)


def require(catalog: Catalog, kind: str, key: str) -> Item:
    """One item with all details; HTTPException 404 when there is none."""
    found = find(catalog, kind, key)
    if found is None:
        raise missing(catalog.pair, kind, key)
    return found


def missing(pair: CatalogPair, kind: str, key: str) -> HTTPException:
    """What is said of an item that is not there."""
    word = kind.removesuffix("s").replace("-", " ").replace("audit", "commit")
    return HTTPException(404, f'there is no {word} "{key}" at {pair.revision.short}')


def some(
    catalog: Catalog,
    kind: str,
    *,
    limit: int = 100,
    sort: tuple[str, ...] = (),
    **filters: str,
) -> list[Item]:
    """The first items that have all of these values."""
    query = ListQuery(
        kind,
        filters={name: (value,) for name, value in filters.items()},
        sort=sort,
        limit=limit,
    )
    return [parse(item) for item in catalog.page(query).items]


def parse(text: str) -> Item:
    """A finished JSON text as data."""
    item: Item = json.loads(text)
    return item


def flattened(value: Any, path: str = "") -> Iterable[tuple[str, str]]:
    """Every value below `value` with its path, such as ``ports[0].host``; empty parts are left out."""
    if isinstance(value, Mapping):
        for name, entry in value.items():
            yield from flattened(entry, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list) and any(isinstance(entry, dict | list) for entry in value):
        for number, entry in enumerate(value):
            yield from flattened(entry, f"{path}[{number}]")
    elif isinstance(value, list):
        if value:
            yield path, ", ".join(map(str, value))
    elif value is not None:
        yield path, {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
