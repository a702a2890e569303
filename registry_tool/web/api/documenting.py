"""What the OpenAPI document says of parameters and responses that the code handles itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from registry_tool.catalog.kinds import Kind
from registry_tool.catalog.listing import DEFAULT_LIMIT, MAX_LIMIT
from registry_tool.web.api.examples import EXAMPLES
from registry_tool.web.api.schemas import item_reference

Responses = dict[int | str, dict[str, Any]]

_PROBLEM: dict[str, Any] = {
    "type": "object",
    "required": ["detail"],
    "properties": {"detail": {"type": "string"}},
}


def problem(description: str, detail: str) -> dict[str, Any]:
    """A response ``{"detail": …}``."""
    content = {"schema": _PROBLEM, "example": {"detail": detail}}
    return {"description": description, "content": {"application/json": content}}


COMMON: Responses = {
    401: problem("A key is needed, or the one given is not good", "Missing API key"),
    429: problem("Too many wrong keys", "Too many invalid API keys; try again in 42 seconds"),
    503: problem("Nothing can be served at the moment", "the repository has no valid revision"),
}
"""Of every route that may ask for a key."""
NOT_MODIFIED: Responses = {304: {"description": "The client has it: If-None-Match names the ETag"}}
UNKNOWN: Responses = {404: problem("There is no such thing", 'there is no model "resnet"')}
UNFIT: Responses = {422: problem("The request cannot be meant", "limit: a number from 1 to 1000")}
TIED: Responses = {
    409: problem(
        "Several quantizations of the newest version",
        "several releases of minilm are equally new: minilm/1.2.0/int8, minilm/1.2.0/none",
    )
}
_HEADERS = {
    "ETag": {
        "description": "Names the pair of manifests and records, and the program's version",
        "schema": {"type": "string"},
    },
    "X-Registry-Revision": {
        "description": "The revision that is shown",
        "schema": {"type": "string"},
    },
}


def json_response(description: str, schema: dict[str, Any], example: Any) -> dict[str, Any]:
    """A response that follows from a catalog."""
    return {
        "description": description,
        "headers": _HEADERS,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


def item_responses(kind: str) -> Responses:
    """Of a route that shows one item."""
    example = EXAMPLES.get(kind, {})
    return {
        200: json_response("The item", item_reference(kind), example),
        **NOT_MODIFIED,
        **UNKNOWN,
        **UNFIT,
        **COMMON,
    }


def list_responses(kind: Kind) -> Responses:
    """Of a route that lists a kind."""
    facet = kind.facets[0] if kind.facets else None
    example = {
        "revision": "main@sha1:8d2f3a5c1b7e9f00112233445566778899aabbcc",
        "records": "1c0d5b3e7a9f00112233445566778899aabbccdd",
        "items": [EXAMPLES.get(kind.name, {})],
        "total": 1,
        "next": None,
        "facets": {facet: [{"value": "example", "count": 1}]} if facet else {},
    }
    return {
        200: json_response("A part of the list", list_schema(item_reference(kind.name)), example),
        **NOT_MODIFIED,
        **UNKNOWN,
        **UNFIT,
        **COMMON,
    }


def list_schema(item: dict[str, Any]) -> dict[str, Any]:
    """The shape of every list."""
    value = {
        "type": "object",
        "required": ["value", "count"],
        "properties": {"value": {"type": "string"}, "count": {"type": "integer", "minimum": 0}},
    }
    return {
        "type": "object",
        "required": ["revision", "records", "items", "total", "next", "facets"],
        "properties": {
            "revision": {"type": "string"},
            "records": {"type": ["string", "null"]},
            "items": {"type": "array", "items": item},
            "total": {"type": "integer", "minimum": 0},
            "next": {
                "type": ["string", "null"],
                "description": "The cursor of what follows; null at the end",
            },
            "facets": {
                "type": "object",
                "additionalProperties": {"type": "array", "items": value},
            },
        },
    }


def _parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": schema,
    }


def _texts(choices: Iterable[str] = ()) -> dict[str, Any]:
    item: dict[str, Any] = {"type": "string", "maxLength": 1000}
    if choices:
        item["enum"] = list(choices)
    return {"type": "array", "items": item, "maxItems": 100}


def list_parameters(kind: Kind, fixed: Iterable[str] = ()) -> list[dict[str, Any]]:
    """The query parameters of a list, but `at`."""
    number = {"type": "string", "examples": ["7B", "1000000", "2026-01-31T12:00:00Z"]}
    filters = [name for name in (*kind.facets, *kind.exact) if name not in set(fixed)]
    sorts = [way + name for name in kind.sorts for way in ("", "-")]
    return [
        _parameter(
            "q",
            "Words that must all occur, or beginnings of them",
            {"type": "string", "maxLength": 1000},
        ),
        *(
            _parameter(name, f"Only with this {name}; repeated, with any of them", _texts())
            for name in filters
        ),
        *(
            _parameter(f"{name}_{end}", f"Only with {name} at {word} this", number)
            for name in kind.ranges
            for end, word in (("min", "least"), ("max", "most"))
        ),
        _parameter("sort", "What to order by; a leading - is descending", _texts(sorts)),
        *(
            [_parameter("facet", "Fields whose values to count", _texts(kind.facets))]
            if kind.facets
            else []
        ),
        _parameter(
            "cursor", "`next` of the page before, for the same question", {"type": "string"}
        ),
        _parameter(
            "limit",
            "How many items",
            {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
        ),
    ]
