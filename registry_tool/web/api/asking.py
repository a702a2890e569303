"""From the query of a URL to a question to the catalog."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from fastapi import HTTPException, Request
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import QueryParams

from registry_tool.catalog.kinds import KINDS, Kind
from registry_tool.catalog.listing import DEFAULT_LIMIT, MAX_LIMIT, ListQuery, Range
from registry_tool.domain.names import did_you_mean
from registry_tool.domain.quantities import ParameterCount

SHARED = ("q", "sort", "facet", "cursor", "limit", "at")
"""Parameters of every list."""
_TEXT_LIMIT = 1000
_VALUES_LIMIT = 100
_COUNT: TypeAdapter[int] = TypeAdapter(ParameterCount)

Fixed = Mapping[str, tuple[str, ...]]


def list_query(request: Request, kind_name: str, fixed: Fixed | None = None) -> ListQuery:
    """The list that a URL asks for; `fixed` filters are part of the path. Raises HTTPException 422."""
    kind, given = KINDS[kind_name], request.query_params
    fixed = fixed or {}
    known = _known(kind, fixed)
    for name, value in given.multi_items():
        if name not in known:
            hint = did_you_mean(name, known) or f"{kind.name} can be asked for {', '.join(known)}"
            raise HTTPException(422, f'there is no parameter "{name}"; {hint}')
        if len(value) > _TEXT_LIMIT or "\0" in value:
            raise HTTPException(422, f"{name}: this value cannot be meant")
    filters = {name: _values(given, name) for name in _filters(kind) if name in given}
    return ListQuery(
        kind.name,
        filters={**filters, **fixed},
        ranges=_ranges(kind, given),
        q=given.get("q", "").strip(),
        sort=_listed(given, "sort"),
        cursor=given.get("cursor") or None,
        limit=_limit(given),
        facets=_listed(given, "facet"),
    )


def _known(kind: Kind, fixed: Fixed) -> list[str]:
    bounds = [f"{name}_{end}" for name in kind.ranges for end in ("min", "max")]
    return [*(name for name in _filters(kind) if name not in fixed), *bounds, *SHARED]


def _filters(kind: Kind) -> tuple[str, ...]:
    return (*kind.facets, *kind.exact)


def _values(given: QueryParams, name: str) -> tuple[str, ...]:
    values = tuple(dict.fromkeys(given.getlist(name)))
    if len(values) > _VALUES_LIMIT:
        raise HTTPException(422, f"{name}: at most {_VALUES_LIMIT} values")
    return values


def _listed(given: QueryParams, name: str) -> tuple[str, ...]:
    """Repeated or with commas."""
    values = [part for value in given.getlist(name) for part in value.split(",")]
    return tuple(dict.fromkeys(part.strip() for part in values if part.strip()))


def _limit(given: QueryParams) -> int:
    text = given.get("limit")
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_LIMIT):
        raise HTTPException(422, f"limit: a number from 1 to {MAX_LIMIT}")
    return int(text)


def _ranges(kind: Kind, given: QueryParams) -> dict[str, Range]:
    ranges = {}
    for name in kind.ranges:
        low, high = (_bound(given, f"{name}_{end}") for end in ("min", "max"))
        if low is not None or high is not None:
            ranges[name] = Range(low, high)
    return ranges


def _bound(given: QueryParams, name: str) -> float | None:
    """A number, a parameter count such as 7B, or a time in ISO 8601."""
    text = given.get(name)
    if text is None:
        return None
    for read in (_number, _count, _time):
        found = read(text.strip())
        if found is not None:
            return found
    raise HTTPException(
        422, f"{name}: a number, a count such as 7B, or a time such as 2026-01-31T12:00:00Z"
    )


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _count(text: str) -> float | None:
    try:
        return _COUNT.validate_python(text)
    except ValidationError:
        return None


def _time(text: str) -> float | None:
    try:
        time = datetime.fromisoformat(text)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
