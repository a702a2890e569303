"""How text is laid out on a terminal: safe characters, width, colours, tables, byte counts."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime

TAB = 4
_STYLES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "cyan": "36",
    "error": "1;31",
    "warning": "1;33",
}


def printable(text: str) -> str:
    """`text` on one line; what could move the cursor or hide text is written as an escape."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else _escaped(character) for character in text
    )


def _escaped(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def width_of(text: str) -> int:
    """Columns that printable `text` takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(_character_width(character) for character in text)


def _character_width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def styled(text: str, style: str, color: bool) -> str:
    """`text` in one of the named styles, or as it is without colours."""
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if color and text else text


def human_bytes(count: int) -> str:
    """For people: ``0 B``, ``512 B``, ``86.7 MiB``."""
    if count < 1024:
        return f"{count} B"
    size = float(count)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        size /= 1024
        if size < 1023.95:
            return f"{size:.1f} {unit}"
    return f"{size / 1024:.1f} PiB"


def counted(count: int, noun: str) -> str:
    """``1 error``, ``2 errors``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def moment(when: datetime) -> str:
    """A time for people, in UTC to the second."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, color: bool = False) -> str:
    """Left-aligned columns under headings; every cell is made printable. Ends with a newline."""
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [
        max([width_of(heading), *(width_of(row[column]) for row in cells)])
        for column, heading in enumerate(headings)
    ]
    lines = [styled(_table_line([heading.upper() for heading in headings], widths), "bold", color)]
    lines += [_table_line(row, widths) for row in cells]
    return "\n".join(lines) + "\n"


def _table_line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell + " " * (width - width_of(cell)) for cell, width in zip(cells, widths, strict=True)
    ]
    return "  ".join(padded).rstrip()


def fields(pairs: Sequence[tuple[str, str]], *, color: bool = False) -> str:
    """``name:  value`` lines, values aligned, their further lines indented. Ends with a newline."""
    if not pairs:
        return ""
    indent = max(width_of(name) for name, _ in pairs) + 3
    lines = []
    for name, value in pairs:
        first, *rest = value.splitlines() or [""]
        label = styled(f"{name}:", "bold", color) + " " * (indent - width_of(name) - 1)
        lines.append(f"{label}{printable(first)}".rstrip())
        lines += [(" " * indent + printable(line)).rstrip() for line in rest]
    return "\n".join(lines) + "\n"
