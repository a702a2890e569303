"""How list pages present a kind: its facets, ranges and columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from registry_tool.web.text import human_count

PAGE_SIZE = 50


@dataclass(frozen=True)
class FacetSpec:
    """A facet of a list page."""

    name: str
    label: str
    text: Callable[[str], str] = str
    """A value for people."""


@dataclass(frozen=True)
class RangeSpec:
    """A number that a list page can bound."""

    name: str
    label: str
    placeholder: tuple[str, str] = ("from", "to")


@dataclass(frozen=True)
class ListSpec:
    """How a list page presents one kind."""

    kind: str
    path: str
    sorts: tuple[str, ...] = ()
    """Columns whose heading sorts."""
    descending: frozenset[str] = frozenset()
    """Those whose first click shows the largest first."""
    facets: tuple[FacetSpec, ...] = ()
    ranges: tuple[RangeSpec, ...] = ()
    default_sort: str = ""
    """Instead of the kind's own."""
    fixed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Filters that the page itself sets, such as the model of a page about it."""
    page_size: int = PAGE_SIZE


def parameters_text(value: str) -> str:
    """A parameter count from a facet."""
    return human_count(int(value)) if value.isdecimal() else value


def yes_no(value: str) -> str:
    """A boolean from a facet."""
    return {"true": "yes", "false": "no"}.get(value, value)
