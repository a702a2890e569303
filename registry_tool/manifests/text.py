"""What a manifest's bytes must be before they are parsed: UTF-8, not too large, no invisible trickery."""

from __future__ import annotations

import re

MAX_SIZE = 1024 * 1024
"""Bytes of one manifest."""

FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # control characters, U+0085 among them
    "\u2028\u2029"  # line and paragraph separator
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional controls
    "\ufeff\ufffe\uffff]"  # byte-order mark, non-characters
    "|\r(?!\n)"
)
"""A character that no manifest holds outside an escape sequence."""

_NAMES = {
    "\ufeff": "a byte-order mark",
    "\r": "a carriage return without a line feed",
    "\x00": "a NUL character",
    "\x1b": "an escape character",
    "\x85": "a next-line character (U+0085)",
}


def describe_character(character: str) -> str:
    """A character that cannot be shown, in words."""
    if character in _NAMES:
        return _NAMES[character]
    import unicodedata

    name = unicodedata.name(character, "a control character").lower()
    return f"{name} (U+{ord(character):04X})"


def line_starts(text: str) -> list[int]:
    """The index at which each line starts."""
    starts = [0]
    position = text.find("\n")
    while position >= 0:
        starts.append(position + 1)
        position = text.find("\n", position + 1)
    return starts
