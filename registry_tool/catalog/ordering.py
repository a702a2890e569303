"""Texts that sort as versions do, so that a database can order releases."""

from __future__ import annotations

from functools import lru_cache


@lru_cache(maxsize=65536)
def version_order(version: str) -> str:
    """A text whose order by code points is SemVer precedence, of a canonical version.

    A number is led by a letter for its length. A pre-release's identifiers end in a comma, which is less than any of
    their characters, and the whole of it stands before the ``~`` of a final version.
    """
    core, dash, rest = version.partition("-")
    text = "".join(map(_number, core.split(".")))
    if not dash:
        return f"{text}~"
    parts = (f"0{_number(part)}," if part.isdigit() else f"1{part}," for part in rest.split("."))
    return f"{text}-{''.join(parts)}"


def _number(digits: str) -> str:
    return chr(ord("a") + len(digits)) + digits
