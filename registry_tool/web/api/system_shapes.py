"""What the OpenAPI document says of answers that are about the index itself."""

from __future__ import annotations

from typing import Any

from registry_tool.web.api.documenting import Responses, json_response, list_schema

Schema = dict[str, Any]

_REVISION = "main@sha1:8d2f3a5c1b7e9f00112233445566778899aabbcc"
_TEXT: Schema = {"type": "string"}
_TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
_BYTES: Schema = {"type": "integer", "minimum": 0}
_COUNTS: Schema = {"type": "object", "additionalProperties": _BYTES}


def _object(**properties: Schema) -> Schema:
    """An object that always has these members."""
    return {"type": "object", "required": list(properties), "properties": properties}


def _array(item: Schema) -> Schema:
    return {"type": "array", "items": item}


_TOTALS = _object(files=_BYTES, unique_files=_BYTES, images=_BYTES)
STATS: Responses = {
    200: json_response(
        "The numbers",
        _object(
            revision=_TEXT,
            records=_TEXT_OR_NULL,
            committed_at={"type": ["string", "null"], "format": "date-time"},
            tip=_TEXT,
            counts=_COUNTS,
            releases=_object(stage=_COUNTS),
            deployments=_object(environment=_COUNTS, state=_COUNTS),
            builds=_object(result=_COUNTS),
            storage=_TOTALS,
            problems=_array(_object(path=_TEXT, subject=_TEXT_OR_NULL, codes=_array(_TEXT))),
        ),
        {
            "revision": _REVISION,
            "records": "1c0d5b3e7a9f00112233445566778899aabbccdd",
            "committed_at": "2026-01-31T12:00:00+00:00",
            "tip": "8d2f3a5c1b7e9f00112233445566778899aabbcc",
            "counts": {"models": 1, "releases": 2, "deployments": 1},
            "releases": {"stage": {"released": 1, "candidate": 1}},
            "deployments": {"environment": {"staging": 1}, "state": {"deployed": 1}},
            "builds": {"result": {"succeeded": 2}},
            "storage": {"files": 181736752, "unique_files": 90868376, "images": 95420416},
            "problems": [],
        },
    )
}
SEARCH: Responses = {
    200: json_response(
        "The best matches",
        list_schema(_object(kind=_TEXT, key=_TEXT, item={"type": "object"})),
        {
            "revision": _REVISION,
            "records": "1c0d5b3e7a9f00112233445566778899aabbccdd",
            "items": [{"kind": "models", "key": "minilm", "item": {"id": "minilm"}}],
            "total": 1,
            "next": None,
            "facets": {},
        },
    )
}
_MOUNT = _object(mount=_TEXT, holds=_array(_TEXT), total=_BYTES, used=_BYTES, free=_BYTES)
_STORE = _object(name=_TEXT, blobs=_BYTES, bytes=_BYTES)
_MODEL = _object(model=_TEXT, releases=_BYTES, files=_BYTES, unique_files=_BYTES, images=_BYTES)
STORAGE: Responses = {
    200: {
        "description": "Bytes; `unique_files` and `images` count each distinct content once",
        "content": {
            "application/json": {
                "schema": _object(
                    revision=_TEXT,
                    prefixes=_array(_TEXT),
                    mounts=_array(_MOUNT),
                    store=_STORE,
                    totals=_TOTALS,
                    models=_array(_MODEL),
                ),
                "example": {
                    "revision": _REVISION,
                    "prefixes": ["/mnt/ceph/models"],
                    "mounts": [
                        {
                            "mount": "/mnt/ceph",
                            "holds": ["/mnt/ceph/models"],
                            "total": 10995116277760,
                            "used": 6597069766656,
                            "free": 4398046511104,
                        }
                    ],
                    "store": {"name": "embedded", "blobs": 42, "bytes": 95420416},
                    "totals": {"files": 181736752, "unique_files": 90868376, "images": 95420416},
                    "models": [
                        {
                            "model": "minilm",
                            "releases": 2,
                            "files": 181736752,
                            "unique_files": 90868376,
                            "images": 95420416,
                        }
                    ],
                },
            }
        },
    }
}
LIVE: Responses = {
    200: {
        "description": "Each reconciler with its builds, in the order of its plan",
        "content": {
            "application/json": {
                "schema": _object(runs=_array({"type": "object"})),
                "example": {
                    "runs": [
                        {
                            "head": "8d2f3a5c1b7e9f00112233445566778899aabbcc",
                            "builds": [
                                {"subject": "release/minilm/1.0.0/none", "state": "running"}
                            ],
                        }
                    ]
                },
            }
        },
    }
}
