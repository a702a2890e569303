"""Range requests: one range of bytes, as RFC 9110 has them."""

from __future__ import annotations

import re
from typing import NamedTuple

_RANGE = re.compile(r"bytes\s*=\s*(?:(\d{1,19})-(\d{1,19})?|-(\d{1,19}))\s*", re.ASCII)


class Span(NamedTuple):
    """Bytes `start` to `end`, the end left out."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """How many bytes."""
        return self.end - self.start

    def content_range(self, size: int) -> str:
        """The value of a Content-Range header."""
        return f"bytes {self.start}-{self.end - 1}/{size}"


class Unsatisfiable(Exception):
    """The range lies beyond the end."""


def parse_range(header: str | None, size: int) -> Span | None:
    """The range that a Range header asks for; raises Unsatisfiable.

    None for everything that a server may answer with the whole content: no header, another unit,
    several ranges, nonsense.
    """
    match = _RANGE.fullmatch(header) if header else None
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        if int(suffix) == 0 or size == 0:
            raise Unsatisfiable
        return Span(max(0, size - int(suffix)), size)
    start = int(first)
    end = size if last is None else min(size, int(last) + 1)
    if last is not None and int(last) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return Span(start, end)
