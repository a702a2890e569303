"""Numbers that people write with a unit: parameter counts, durations, memory."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

_COUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)([KMBT])", re.ASCII)
_SCALE = {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_DURATION = re.compile(
    r"(?=[0-9])(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?", re.ASCII
)
_MEMORY = r"^[1-9][0-9]*(\.[0-9]+)?(Ki|Mi|Gi|Ti|k|M|G|T)?$"
_MEMORY_SCALE = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12} | {
    unit + "i": 1024**power for power, unit in enumerate("KMGT", start=1)
}


def _parameter_count(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    match = _COUNT.fullmatch(value)
    if not match:
        raise ValueError(
            "a parameter count is an integer or a number with K, M, B or T, for example 7B or 350M"
        )
    count = Decimal(match[1]) * _SCALE[match[2]]
    if count != int(count):
        raise ValueError("a parameter count is a whole number of parameters")
    return int(count)


ParameterCount = Annotated[
    int,
    Field(ge=0, le=2**63 - 1),
    BeforeValidator(_parameter_count),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?[KMBT]$"},
            ]
        }
    ),
]
"""A number of parameters; ``7B`` and ``350M`` are accepted on input, the integer is canonical."""


def parse_duration(value: Any) -> Any:
    """A timedelta from ``90s``, ``15m``, ``1h30m`` or ``2d``; raises ValueError."""
    if isinstance(value, timedelta):
        return value
    match = _DURATION.fullmatch(value) if isinstance(value, str) and len(value) <= 20 else None
    if not match:
        raise ValueError("a duration is written with units, for example 90s, 15m, 1h30m or 2d")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    if days > 3650 or hours > 87600 or minutes > 5256000 or seconds > 315360000:
        raise ValueError("a duration is at most ten years")
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def format_duration(value: timedelta) -> str:
    """The shortest spelling that parses back, for example ``1h30m``; zero is ``0s``."""
    rest = int(value.total_seconds())
    text = ""
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema(
        {"type": "string", "pattern": "^(?=[0-9])([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"}
    ),
]

Memory = Annotated[str, Field(pattern=_MEMORY, max_length=24)]
"""An amount of memory as Kubernetes writes it: ``512Mi``, ``2Gi``, ``1.5G``."""


def memory_bytes(text: str) -> int:
    """The number of bytes that a `Memory` means, rounded down."""
    number = text.rstrip("KMGTik")
    return int(Decimal(number) * _MEMORY_SCALE[text[len(number) :]])
