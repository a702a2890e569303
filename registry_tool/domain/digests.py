"""Content addresses: digests, and the canonical JSON that keys are computed from."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any

from pydantic import StringConstraints

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
"""An OCI digest, ``sha256:<hex>``."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A bare lower-case SHA-256, as `sha256sum` prints it."""

_encode = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
).encode


def digest_of(data: bytes) -> str:
    """The OCI digest of `data`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def canonical_json(value: Any) -> bytes:
    """The one byte form of a JSON value: keys sorted, no white space, UTF-8 unescaped, no NaN.

    Mappings must have string keys. The form follows RFC 8785 for the values that occur here (strings, integers,
    booleans, null, lists, mappings; a float keeps Python's shortest form).
    """
    return _encode(value).encode()


def canonical_sha256(value: Any) -> str:
    """SHA-256 (bare hex) of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
