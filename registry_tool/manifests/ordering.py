"""Keys in canonical order: entries move as whole lines, with the comments that belong to them."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from registry_tool.domain.diagnostics import Pointer
from registry_tool.domain.kinds import MANIFEST_KINDS, RECORD_KINDS
from registry_tool.manifests.document import Document, MappingNode, walk
from registry_tool.manifests.fields import field_names, model_at
from registry_tool.manifests.reading import read_document


def ordered(document: Document) -> str:
    """The text with the keys of every typed block mapping in the order in which the types declare them."""
    root = document.root
    kind = root.value.get("kind") if isinstance(root, MappingNode) else None
    model = (MANIFEST_KINDS | RECORD_KINDS).get(str(kind))
    if model is None or root is None:
        return document.text
    for pointer, node in walk(root):
        order = _order(model, pointer)
        if isinstance(node, MappingNode) and order and not node.flow:
            keys = [str(key.value) for key, _ in node.entries]
            wanted = sorted(keys, key=lambda key: order.index(key) if key in order else len(order))
            if keys != wanted:
                # One mapping at a time: positions are those of the text that was read.
                return ordered(read_document(_reordered(document, node, wanted).encode()))
    return document.text


def _order(model: type[BaseModel], pointer: Pointer) -> tuple[str, ...]:
    owner = model_at(model, pointer)
    return field_names(owner) if owner is not None else ()


def _reordered(document: Document, node: MappingNode, wanted: list[str]) -> str:
    """Each entry is moved with the comment lines above it and the comment behind it."""
    text = document.text
    bounds = list(_entry_bounds(document, node))
    start, end = bounds[0][0], bounds[-1][1]
    parts = {
        str(key.value): text[one:two]
        for (key, _), (one, two) in zip(node.entries, bounds, strict=True)
    }
    # Behind the dash of a list item the first entry has no indentation of its own.
    column = document.line_start(node.region.start)
    lead = text[column : node.region.start]
    indent = " " * len(lead)
    if lead.strip():
        first = str(node.entries[0][0].value)
        parts[first] = indent + parts[first]
    pieces = [parts[key] if parts[key].endswith("\n") else parts[key] + "\n" for key in wanted]
    if lead.strip():
        if not pieces[0].startswith(indent) or pieces[0].lstrip().startswith("#"):
            return text
        pieces[0] = pieces[0][len(indent) :]
    return text[:start] + "".join(pieces) + text[end:]


def _entry_bounds(document: Document, node: MappingNode) -> Iterator[tuple[int, int]]:
    """From the line after the previous entry to the end of the entry's last line."""
    previous: int | None = None
    for key, value in node.entries:
        line = document.line_start(key.region.start)
        inline = document.text[line : key.region.start].strip()
        first = key.region.start if inline else _comments_above(document, line)
        start = first if previous is None else previous
        last = max(value.region.end - 1, key.region.start)
        previous = document.next_line(last)
        yield start, previous


def _comments_above(document: Document, line: int) -> int:
    """Where the comment lines directly above a line begin; the head of the file stays where it is."""
    start = line
    while start > 0:
        above = document.line_start(start - 1)
        if not document.text[above:start].strip().startswith("#"):
            return start
        start = above
    return line
