"""JSON texts that are put together from parts without being parsed again."""

from __future__ import annotations

import json
from typing import Any

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


def dumps(value: Any) -> str:
    """The compact text of a JSON value. Lone surrogates, which no UTF-8 text can have, are replaced."""
    text = _encode(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-8", "replace").decode()
    return text


def members(text: str) -> str:
    """The members of an object's text, each with a leading comma, to go behind other members."""
    inner = text[1:-1]
    return f",{inner}" if inner else ""
