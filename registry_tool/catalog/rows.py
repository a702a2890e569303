"""Rows of the catalog: what is stored of an item, and what lists filter, order and search it by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from registry_tool.catalog.ordering import version_order
from registry_tool.domain.subjects import ReleaseId

Value = str | int | float | None
Fact = tuple[str, str]
"""A filter field and a value that an item has of it."""
LARGEST = 2**63 - 1
"""What SQLite can store; a manifest may declare any size."""


class Words(NamedTuple):
    """What an item is found by, the most telling first."""

    name: str = ""
    words: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class ItemRow:
    """A row of a kind's table, before anything is derived from other rows."""

    kind: str
    columns: Mapping[str, Value]
    facts: tuple[Fact, ...]
    """Filter values that follow from this manifest alone."""
    words: Words


@dataclass(frozen=True, slots=True)
class LockRow:
    """A lock and the artifacts in it."""

    columns: Mapping[str, Value]
    artifacts: tuple[ItemRow, ...]


@dataclass(frozen=True, slots=True)
class RegistryRow:
    """The settings; there is one."""

    columns: Mapping[str, Value]


def seconds(moment: datetime | None) -> float | None:
    """A time as seconds since 1970."""
    return moment.timestamp() if moment is not None else None


def flag(value: object) -> str:
    """A boolean as a filter value."""
    return "true" if value else "false"


def present(pairs: Mapping[str, object | None]) -> Iterator[Fact]:
    """Facts of those values that there are."""
    for field, value in pairs.items():
        if value is not None:
            yield field, str(value)


def release_facts(release: ReleaseId) -> tuple[Fact, ...]:
    """The names of a release."""
    return (
        ("model", release.model),
        ("version", release.version),
        ("quantization", release.quantization),
    )


def release_columns(release: ReleaseId) -> dict[str, Value]:
    """Columns that refer to a release and order by it."""
    return {
        "release": str(release),
        "model": release.model,
        "version_order": version_order(release.version),
        "quantization": release.quantization,
    }
