"""What an edit did to a file, as text."""

from __future__ import annotations

import difflib

from registry_tool.cli.formats.layout import styled


def unified_diff(path: str, before: bytes | None, after: bytes) -> str:
    """A diff as `git apply` takes it; `before` is None for a new file."""
    lines = difflib.unified_diff(
        _lines(before),
        _lines(after),
        "/dev/null" if before is None else f"a/{path}",
        f"b/{path}",
    )
    return "".join(line if line.endswith("\n") else line + "\n" for line in lines)


def changed_lines(before: bytes, after: bytes, *, color: bool) -> list[str]:
    """The lines that went and came, without what all of them are indented by."""
    shown = [
        line.rstrip()
        for line in difflib.ndiff(_lines(before), _lines(after))
        if line[:2] in {"- ", "+ "}
    ]
    indent = min((len(line) - len(line[2:].lstrip()) for line in shown), default=0)
    return [
        styled(f"  {line[:2]}{line[indent:]}", "red" if line[0] == "-" else "green", color)
        for line in shown
    ]


def _lines(data: bytes | None) -> list[str]:
    return [] if data is None else data.decode(errors="replace").splitlines(keepends=True)
