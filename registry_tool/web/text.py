"""Numbers, times and strange characters as people can read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u180b-\u180f"
    "\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0e\ufeff\uffa0\ufff0-\ufffb"
    "\U000110bd\U000110cd\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Characters that cannot be seen, or that change how their neighbours are shown."""


def visible(text: str) -> str:
    """`text` with hidden characters written as escapes; line ends and tabs stay."""
    return _HIDDEN.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def finalize(value: Any) -> Any:
    """What a template prints of a value: nothing for None, no hidden characters of strings."""
    if value is None:
        return ""
    if isinstance(value, str) and not isinstance(value, Markup):
        return value if value.isascii() and value.isprintable() else visible(value)
    return value


def human_bytes(count: int) -> str:
    """``0 B``, ``512 B``, ``86.7 MiB``."""
    if count < 1024:
        return f"{count} B"
    size = float(count)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        size /= 1024
        if size < 1023.95:
            return f"{size:.1f} {unit}"
    return f"{size / 1024:.1f} PiB"


def human_count(count: int) -> str:
    """A number of parameters: ``22.7M``, ``7B``; small ones as they are."""
    for size, unit in ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K")):
        if count >= size:
            return (
                f"{count / size:.3g}{unit}" if count < size * 1000 else f"{count // size:,}{unit}"
            )
    return str(count)


def human_seconds(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def moment(when: datetime) -> str:
    """In UTC, to the minute."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def day(when: datetime) -> str:
    """In UTC."""
    return when.astimezone(UTC).strftime("%Y-%m-%d")


def counted(count: int, noun: str) -> str:
    """``1 release``, ``1,204 releases``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def shortened(value: str) -> str:
    """A digest for people: twelve digits, its algorithm left out."""
    return value.removeprefix("sha256:")[:12]
