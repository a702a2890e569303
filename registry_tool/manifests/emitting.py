"""Plain values to YAML text that every YAML reader reads alike."""

from __future__ import annotations

import json
import re
from typing import Any

from registry_tool.manifests.scalars import reads_as_string
from registry_tool.manifests.text import FORBIDDEN

_PLAIN = re.compile(r"[A-Za-z0-9_./$(^+][^\n]*", re.ASCII)
_PLAIN_WIDTH = 200
_INDENT = "  "


def emit(value: Any, indent: str = "") -> str:
    """A mapping or a list as block lines, a scalar as one line; each line ends with a line feed."""
    if isinstance(value, dict) and value:
        return "".join(
            _entry(f"{indent}{scalar(key)}:", inner, indent) for key, inner in value.items()
        )
    if isinstance(value, list) and value:
        return "".join(_item(inner, indent) for inner in value)
    return f"{indent}{inline(value)}\n"


def inline(value: Any) -> str:
    """A value in one line; collections in flow style."""
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{_flow_key(key)}: {inline(inner)}" for key, inner in value.items())
            + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(inline(inner) for inner in value) + "]"
    return scalar(value, in_flow=True)


def entry(key: str, value: Any, indent: str) -> str:
    """One entry of a block mapping."""
    return _entry(f"{indent}{scalar(key)}:", value, indent)


def scalar(value: Any, *, in_flow: bool = False) -> str:
    """A scalar in one line: plain where that is safe everywhere, otherwise in double quotes."""
    if not isinstance(value, str):
        return json.dumps(value)
    return value if _is_plain(value, in_flow) else _quoted(value)


def block_scalar(value: str, indent: str) -> str | None:
    """The text after a key's colon for a string of several lines, or None where quotes are needed."""
    if not _fits_block(value):
        return None
    body = value.rstrip("\n")
    trailing = len(value) - len(body)
    mark = "|" + ("-" if trailing == 0 else "" if trailing == 1 else "+")
    lines = [f"{indent}{_INDENT}{line}" if line else "" for line in body.split("\n")]
    return "\n".join([mark, *lines]) + "\n" * max(trailing, 1)


def _entry(head: str, value: Any, indent: str) -> str:
    if isinstance(value, (dict, list)) and value:
        return f"{head}\n{emit(value, indent + _INDENT)}"
    if isinstance(value, str):
        block = block_scalar(value, indent)
        if block is not None:
            return f"{head} {block}"
    return f"{head} {inline(value) if isinstance(value, (dict, list)) else scalar(value)}\n"


def _item(value: Any, indent: str) -> str:
    if isinstance(value, (dict, list)) and value:
        return f"{indent}- {emit(value, indent + _INDENT)[len(indent) + 2 :]}"
    return _entry(f"{indent}-", value, indent)


def _fits_block(text: str) -> bool:
    if "\n" not in text or not text.strip() or text[0] in " \n\t":
        return False
    if FORBIDDEN.search(text) or "\r" in text:
        return False
    return all(line.strip() or not line for line in text.split("\n"))


def _flow_key(key: str) -> str:
    return scalar(key, in_flow=True)


def _is_plain(text: str, in_flow: bool) -> bool:
    if not _PLAIN.fullmatch(text) or len(text) > _PLAIN_WIDTH or not reads_as_string(text):
        return False
    if (
        ": " in text
        or " #" in text
        or text.endswith((":", " "))
        or FORBIDDEN.search(text)
        or "\t" in text
    ):
        return False
    return not (in_flow and any(character in text for character in ",[]{}:"))


def _quoted(text: str) -> str:
    """Double quotes, as JSON, with escapes for what a manifest must not hold as it is."""
    quoted = json.dumps(text, ensure_ascii=False)
    return FORBIDDEN.sub(lambda match: _escape(match[0]), quoted)


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
