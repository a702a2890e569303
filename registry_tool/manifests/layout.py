"""Spaces: two a level, list items two in from their key, one behind a colon or a dash."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from registry_tool.manifests.document import (
    Document,
    MappingNode,
    Node,
    Region,
    Scalar,
    SequenceNode,
    walk,
)

_STEP = 2
_BLOCK_HEADER = re.compile(r"[|>][+-]?[ \t]*(?:#[^\n]*)?\n")


def spaced(document: Document) -> str:
    """The text with one space between a key's colon, or a dash, and what follows on the same line."""
    text = document.text
    edits: list[tuple[Region, str]] = []
    for _, node in walk(document.root):
        if isinstance(node, MappingNode) and not node.flow:
            for key, value in node.entries:
                between = text[key.region.end : value.region.start]
                if value.region.end > value.region.start and re.fullmatch(r" *: +", between):
                    edits.append((Region(key.region.end, value.region.start), ": "))
        elif isinstance(node, SequenceNode) and not node.flow:
            for item, dash in zip(node.items, dashes(document, node), strict=True):
                between = text[dash + 1 : item.region.start]
                if item.region.end > item.region.start and re.fullmatch(" {2,}", between):
                    edits.append((Region(dash + 1, item.region.start), " "))
    for region, replacement in sorted(edits, key=lambda edit: -edit[0].start):
        text = text[: region.start] + replacement + text[region.end :]
    return text


def dashes(document: Document, node: SequenceNode) -> list[int]:
    """Where the dashes of a block sequence are."""
    column = node.region.start - document.line_start(node.region.start)
    found = []
    for item in node.items:
        line = document.line_start(item.region.start)
        while document.text[line + column : line + column + 1] != "-" and line > node.region.start:
            line = document.line_start(line - 1)
        found.append(line + column)
    return found


@dataclass
class _Plan:
    """New columns: of lines by their old start, and of lines inside values by how far they move."""

    columns: dict[int, int] = field(default_factory=dict)
    shifts: dict[int, int] = field(default_factory=dict)
    known: bool = True


def aligned(document: Document) -> str:
    """The text with canonical indentation; unchanged where its layout is not a plain one."""
    plan = _Plan()
    if document.root is not None:
        _place(document, document.root, 0, plan)
    if not plan.known:
        return document.text
    lines = []
    start = 0
    for line in document.text.split("\n"):
        lines.append(_moved(document, plan, start, line))
        start += len(line) + 1
    if any(line is None for line in lines):
        return document.text
    return "\n".join(line for line in lines if line is not None)


def _moved(document: Document, plan: _Plan, start: int, line: str) -> str | None:
    """A line at its new column, or None when it is not known what it is."""
    words = line.lstrip(" ")
    if not words:
        return ""
    column = len(line) - len(words)
    if start in plan.columns:
        return " " * plan.columns[start] + words
    if start in plan.shifts:
        return " " * max(column + plan.shifts[start], 0) + words
    if words.startswith("#"):
        return " " * _comment_column(document, plan, start, column) + words
    return line if words.startswith(("---", "...", "%")) and column == 0 else None


def _comment_column(document: Document, plan: _Plan, start: int, column: int) -> int:
    """That of the next line; a comment deeper than that belongs to the lines above it."""
    later = [line for line in plan.columns if line > start]
    following = min(later) if later else None
    if following is not None and column <= _old_column(document, following):
        return plan.columns[following]
    for line in sorted((line for line in plan.columns if line < start), reverse=True):
        if _old_column(document, line) <= column:
            return plan.columns[line]
    return 0 if following is None else plan.columns[following]


def _old_column(document: Document, line: int) -> int:
    text = document.text
    end = line
    while text[end : end + 1] == " ":
        end += 1
    return end - line


def _place(document: Document, node: Node, column: int, plan: _Plan) -> None:
    """Give a value, whose first line is in its place, its columns. `column` is where a block collection starts."""
    if isinstance(node, Scalar) or node.flow:
        _place_inner_lines(document, node, column, plan)
    elif isinstance(node, MappingNode):
        for key, value in node.entries:
            _place_line(document, key.region.start, column, plan)
            _place(document, value, column + _STEP, plan)
    else:
        for item, dash in zip(node.items, dashes(document, node), strict=True):
            _place_line(document, dash, column, plan)
            _place(document, item, column + _STEP, plan)


def _place_line(document: Document, start: int, column: int, plan: _Plan) -> None:
    line = document.line_start(start)
    before = document.text[line:start]
    if not before.strip(" "):
        plan.columns[line] = column
    elif before.strip("- "):
        plan.known = False  # an explicit key, or something else that people do not write


def _place_inner_lines(document: Document, node: Node, column: int, plan: _Plan) -> None:
    """The further lines of a value move together."""
    region = node.region
    first = document.next_line(region.start)
    if first >= region.end:
        line = document.line_start(region.start)
        if not document.text[line : region.start].strip(" ") and region.end > region.start:
            plan.columns.setdefault(line, column)
        return
    is_block = isinstance(node, Scalar) and node.style in {"|", ">"}
    if is_block and not _BLOCK_HEADER.match(document.text, region.start):
        plan.known = False  # an indentation indicator
        return
    inner = []
    line = first
    while line < region.end:
        inner.append(line)
        line = document.next_line(line)
    filled = [line for line in inner if document.text[line : document.next_line(line)].strip()]
    shift = column - min((_old_column(document, line) for line in filled), default=column)
    for line in inner:
        plan.shifts[line] = shift
    own = document.line_start(region.start)
    if not document.text[own : region.start].strip(" "):
        plan.columns.setdefault(own, column)
