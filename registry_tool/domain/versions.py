"""Release versions: SemVer 2.0 without build metadata, in one canonical spelling.

A leading ``v`` and missing minor or patch numbers are accepted on input (``v3.0`` is ``3.0.0``); a pre-release
needs all three numbers. Precedence is SemVer's (section 11 of the specification), from the semver package.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, WithJsonSchema

if TYPE_CHECKING:
    import semver

_NUMBER = r"(0|[1-9][0-9]{0,17})"
_IDENTIFIER = r"(?:0|[1-9][0-9]{0,17}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_FULL = re.compile(
    rf"v?{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_IDENTIFIER}(?:\.{_IDENTIFIER})*)?", re.ASCII
)
_SHORT = re.compile(rf"v?{_NUMBER}(?:\.{_NUMBER})?", re.ASCII)
_CLAUSE = re.compile(r"(\^|~|>=|<=|>|<|=|!=)?\s*(v?[0-9][0-9A-Za-z.\-]*)", re.ASCII)

MAX_LENGTH = 64


def canonical_version(text: str) -> str:
    """The canonical spelling of a version; raises ValueError saying what is wrong."""
    if len(text) > MAX_LENGTH:
        raise ValueError(f"a version has at most {MAX_LENGTH} characters")
    if "+" in text:
        raise ValueError("build metadata (+…) is not allowed: an image tag cannot carry it")
    full = _FULL.fullmatch(text)
    if full:
        return f"{full[1]}.{full[2]}.{full[3]}{full[4] or ''}"
    short = _SHORT.fullmatch(text)
    if short:
        return f"{short[1]}.{short[2] or '0'}.0"
    raise ValueError(
        "a version is MAJOR.MINOR.PATCH with an optional -pre.release (SemVer 2.0), for example 1.10.0"
    )


Version = Annotated[
    str,
    AfterValidator(canonical_version),
    WithJsonSchema(
        {
            "type": "string",
            "maxLength": MAX_LENGTH,
            "pattern": r"^v?[0-9]+(\.[0-9]+(\.[0-9]+(-[0-9A-Za-z.-]+)?)?)?$",
            "examples": ["1.10.0", "2.0.0-rc.1"],
        }
    ),
]
"""A version in canonical spelling."""


@lru_cache(maxsize=65536)
def precedence(version: str) -> semver.Version:
    """A comparable value for a canonical version: sort by it to get SemVer order."""
    import semver

    return semver.Version.parse(version)


def is_prerelease(version: str) -> bool:
    """Whether the version has a ``-pre.release`` part."""
    return "-" in version


def _bounds(operator: str, version: str) -> tuple[tuple[str, str], ...]:
    parsed = precedence(version)
    if operator == "^":
        upper = (
            parsed.bump_major()
            if parsed.major
            else parsed.bump_minor()
            if parsed.minor
            else parsed.bump_patch()
        )
        return ((">=", version), ("<", str(upper)))
    if operator == "~":
        return ((">=", version), ("<", str(parsed.bump_minor())))
    return ((operator or "=", version),)


@lru_cache(maxsize=4096)
def parse_range(text: str) -> tuple[tuple[str, str], ...]:
    """A range as (operator, canonical version) pairs that must all hold.

    Clauses are joined by spaces or commas: ``^1.2``, ``~1.2.3``, ``>=1.0 <2.0.0``. ``*`` is the empty list. Raises
    ValueError.
    """
    rest = text.replace(",", " ").strip()
    if rest == "*":
        return ()
    bounds: list[tuple[str, str]] = []
    while rest:
        clause = _CLAUSE.match(rest)
        if not clause:
            raise ValueError(
                "a range is made of clauses such as ^1.2, ~1.2.3, >=1.0 or <2.0.0, joined by spaces"
            )
        bounds += _bounds(clause[1] or "=", canonical_version(clause[2]))
        rest = rest[clause.end() :].lstrip()
    if not bounds:
        raise ValueError('a range is not empty; "*" means any version')
    return tuple(bounds)


def _holds(operator: str, order: int) -> bool:
    return {
        "=": order == 0,
        "!=": order != 0,
        ">": order > 0,
        ">=": order >= 0,
        "<": order < 0,
        "<=": order <= 0,
    }[operator]


def satisfies(version: str, range_text: str) -> bool:
    """Whether a canonical version lies in a range. Pre-releases only match when the range names one."""
    if is_prerelease(version) and "-" not in range_text:
        return False
    parsed = precedence(version)
    return all(
        _holds(operator, parsed.compare(str(bound))) for operator, bound in parse_range(range_text)
    )


def canonical_range(text: str) -> str:
    """The range as written, once it parses; raises ValueError."""
    parse_range(text)
    return text


VersionRange = Annotated[
    str,
    AfterValidator(canonical_range),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^[0-9A-Za-z.,\s^~<>=!*-]+$",
            "examples": ["^1.2", "~1.2.3", ">=1.0 <2.0.0", "*"],
        }
    ),
]
