"""Diagnostics for people: place, code, message, the source line with carets, notes and the fix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from registry_tool.cli.formats.layout import TAB, counted, printable, styled, width_of
from registry_tool.domain.diagnostics import Diagnostic, Severity, Span

EXCERPT_WIDTH = 100
"""Columns of a source line that are shown; a longer one is cut around the carets."""


def format_diagnostics(
    diagnostics: Sequence[Diagnostic], *, color: bool, width: int = EXCERPT_WIDTH
) -> str:
    """All diagnostics, one block each, and a line that counts them; empty without diagnostics."""
    if not diagnostics:
        return ""
    blocks = [_block(entry, color, width) for entry in diagnostics]
    return "\n".join([*blocks, totals(diagnostics) + "\n"])


def totals(diagnostics: Sequence[Diagnostic]) -> str:
    """For example ``2 errors, 1 warning in 2 files``."""
    errors = sum(entry.severity is Severity.ERROR for entry in diagnostics)
    warnings = len(diagnostics) - errors
    files = len({entry.path for entry in diagnostics})
    counts = [
        counted(count, noun) for count, noun in ((errors, "error"), (warnings, "warning")) if count
    ]
    return f"{', '.join(counts) or 'no errors'} in {counted(files, 'file')}"


def headline(diagnostic: Diagnostic, *, color: bool = False) -> str:
    """``path:line:column: error[RT214] message``, on one line."""
    label = f"{diagnostic.severity}[{diagnostic.code}]"
    place = f"{diagnostic.path}:{diagnostic.span.line}:{diagnostic.span.column}"
    return (
        f"{styled(printable(place), 'bold', color)}: "
        f"{styled(label, diagnostic.severity.value, color)} {printable(diagnostic.message)}"
    )


def _block(diagnostic: Diagnostic, color: bool, width: int) -> str:
    lines = [headline(diagnostic, color=color)]
    if diagnostic.source_line.strip():
        lines += _excerpt(diagnostic, color, width)
    for related in diagnostic.related:
        place = f"{related.path}:{related.line}:{related.column}"
        note = f"{printable(place)}: {printable(related.message)}"
        lines.append(f"{styled('note', 'bold', color)}: {note}")
    if diagnostic.help:
        first, *rest = diagnostic.help.splitlines()
        lines.append(f"{styled('help', 'cyan', color)}: {printable(first)}")
        lines += [f"      {printable(line)}" for line in rest]
    return "\n".join(lines) + "\n"


def _excerpt(diagnostic: Diagnostic, color: bool, width: int) -> list[str]:
    shown = _cut(_expand(diagnostic.source_line, diagnostic.span), width)
    number = str(diagnostic.span.line)
    gutter = " " * len(number)
    bar = styled("|", "dim", color)
    carets = styled("^" * shown.length, diagnostic.severity.value, color)
    return [
        f" {gutter} {bar}",
        f" {styled(number, 'dim', color)} {bar} {shown.text}",
        f" {gutter} {bar} {' ' * shown.start}{carets}",
    ]


@dataclass(frozen=True)
class _Excerpt:
    """A source line as displayed; `start` and `length` are the carets', in terminal columns."""

    text: str
    start: int
    length: int


def _expand(source: str, span: Span) -> _Excerpt:
    """Write tabs as spaces, invisible characters as escapes, and find the span in the result."""
    begin = span.column - 1
    end = span.end_column - 1 if span.end_line == span.line else len(source)
    pieces: list[str] = []
    at, start, stop = 0, None, None
    for index, character in enumerate(source):
        if index == begin:
            start = at
        if index == end:
            stop = at
        piece = " " * (TAB - at % TAB) if character == "\t" else printable(character)
        pieces.append(piece)
        at += width_of(piece)
    start = at if start is None else start
    stop = at if stop is None else stop
    return _Excerpt("".join(pieces), start, max(1, stop - start))


def _cut(excerpt: _Excerpt, width: int) -> _Excerpt:
    """At most `width` columns, with the carets' start inside and ``…`` where text was left out."""
    if width_of(excerpt.text) <= width:
        return excerpt
    room = width - 2
    first = 0 if excerpt.start + excerpt.length <= room else max(0, excerpt.start - room // 4)
    text, skipped = _columns(excerpt.text, first, room)
    lead = "…" if skipped else ""
    tail = "" if excerpt.text.endswith(text) else "…"
    start = excerpt.start - skipped + len(lead)
    length = max(1, min(excerpt.length, width_of(lead + text) - start))
    return _Excerpt(lead + text + tail, start, length)


def _columns(text: str, first: int, room: int) -> tuple[str, int]:
    """The characters in columns [first, first + room), and how many columns lie before them."""
    at, skipped, kept = 0, 0, []
    for character in text:
        size = width_of(character)
        if at < first:
            skipped = at + size
        elif at + size - skipped <= room:
            kept.append(character)
        else:
            break
        at += size
    return "".join(kept), skipped
