"""What can be listed, and how a list is asked for and answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from registry_tool.catalog.inputs import CatalogPair
from registry_tool.catalog.json_text import dumps
from registry_tool.catalog.kinds import KINDS, Kind

__all__ = ["KINDS", "FacetValue", "Kind", "ListQuery", "Page", "Range"]

MAX_LIMIT = 1000
DEFAULT_LIMIT = 50


class Range(NamedTuple):
    """Bounds, both inclusive; None is open."""

    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class ListQuery:
    """A list of one kind. Construct it with anything; `Catalog.page` raises BadQuery for what is not there."""

    kind: str
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Field → values, any of which may hold; all fields must. Booleans are ``true`` and ``false``."""
    ranges: Mapping[str, Range] = field(default_factory=dict)
    q: str = ""
    """Words that must all occur; each also finds longer words that begin with it."""
    sort: tuple[str, ...] = ()
    """For example ``("-created", "name")``; empty is the kind's own, or the best match first when `q` is given."""
    cursor: str | None = None
    """`Page.next` of the page before, for the same query; BadQuery otherwise."""
    limit: int = DEFAULT_LIMIT
    """1 to MAX_LIMIT; others are brought into it."""
    facets: tuple[str, ...] = ()
    facet_limit: int = 100
    """Values of one facet, the most frequent first."""


@dataclass(frozen=True, slots=True)
class FacetValue:
    """How many items have a value, with all filters applied except that on the facet's own field."""

    value: str
    count: int


@dataclass(frozen=True)
class Page:
    """A part of a list. Items are finished JSON texts."""

    pair: CatalogPair
    items: tuple[str, ...]
    total: int
    next: str | None
    facets: Mapping[str, tuple[FacetValue, ...]]

    def to_json(self) -> bytes:
        """``{"revision", "records", "items", "total", "next", "facets"}``."""
        head = {"revision": str(self.pair.revision), "records": self.pair.records}
        facets = {
            field: [{"value": each.value, "count": each.count} for each in values]
            for field, values in self.facets.items()
        }
        tail = {"total": self.total, "next": self.next, "facets": facets}
        parts = (dumps(head)[:-1], ',"items":[', ",".join(self.items), "],", dumps(tail)[1:])
        return "".join(parts).encode()
