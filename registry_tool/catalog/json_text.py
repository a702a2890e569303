"""JSON texts that are put together from parts without being parsed again."""

from __future__ import annotations

from typing import Any

from pydantic_core import PydanticSerializationError, to_json


def dumps(value: Any) -> str:
    """The compact text of a JSON value. Lone surrogates, which no UTF-8 text can have, are replaced."""
    try:
        return to_json(value).decode()
    except PydanticSerializationError:
        return to_json(_encodable(value)).decode()


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(entry) for entry in value]
    return value


def members(text: str) -> str:
    """The members of an object's text, each with a leading comma, to go behind other members."""
    inner = text[1:-1]
    return f",{inner}" if inner else ""
