"""How plain scalars are read, and how strings are written so that every YAML reader reads them alike."""

from __future__ import annotations

import json
import math
import re
from functools import lru_cache

from yaml.resolver import Resolver

JsonScalar = str | int | float | bool | None

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_LARGEST = 2**63 - 1
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "~": None, "": None}
_NUMBER_STARTS = frozenset("-0123456789")

# Texts that YAML 1.1, YAML 1.2 or a person would take for a number, and JSON would not.
_OTHER_NUMBER = re.compile(
    r"[-+]?(?:0[0-9_]+|0[oO][0-7_]+|0[xX][0-9a-fA-F_]+|0[bB][01_]+|[0-9][0-9_]*)(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?",
    re.ASCII,
)


class UnsafeNumber(ValueError):
    """A JSON number that common readers cannot hold exactly."""


def resolve_plain(text: str) -> JsonScalar:
    """The value of a plain scalar: a JSON number, ``true``, ``false``, ``null``, ``~``, nothing, or a string.

    Raises UnsafeNumber for integers of more than 64 bits and for numbers that are infinite as a double.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    match = _NUMBER.fullmatch(text)
    if match is None:
        return text
    if match.lastindex is None:
        number = int(text) if len(text) <= 20 else _LARGEST + 1
        if not -_LARGEST <= number <= _LARGEST:
            raise UnsafeNumber(text)
        return number
    real = float(text)
    if not math.isfinite(real):
        raise UnsafeNumber(text)
    return real


def ambiguous_number(text: str) -> tuple[str, ...]:
    """The numbers that a text such as ``010`` or ``1_000`` could mean, as JSON; empty when it is no number."""
    if not _OTHER_NUMBER.fullmatch(text) or len(text) > 20:
        return ()
    plain = text.replace("_", "").lower().lstrip("+")
    digits = plain.lstrip("-")
    sign = "-" if plain.startswith("-") else ""
    if digits.startswith(("0x", "0o", "0b")):
        return (sign + str(int(digits, 0)),)
    readings = []
    if re.fullmatch(r"0[0-9]+", digits):
        readings.append(sign + str(int(digits)))
        if re.fullmatch(r"[0-7]+", digits) and int(digits, 8) != int(digits):
            readings.append(sign + str(int(digits, 8)))
        return tuple(readings)
    number = float(plain)
    if not math.isfinite(number):
        return ()
    return (str(int(number)) if number.is_integer() else json.dumps(number),)


@lru_cache(maxsize=4096)
def reads_as_string(text: str) -> bool:
    """Whether every YAML reader takes the plain text for a string: YAML 1.1, 1.2 and this one."""
    if text in _WORDS or _NUMBER.fullmatch(text) or _OTHER_NUMBER.fullmatch(text):
        return False
    resolvers = Resolver.yaml_implicit_resolvers
    candidates = resolvers.get(text[0], []) + resolvers.get(None, [])
    return not any(pattern.match(text) for _, pattern in candidates)
