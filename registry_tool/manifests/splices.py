"""Splices: some text in place of a region, and the look-ups that making one needs."""

from __future__ import annotations

from dataclasses import dataclass

from registry_tool.domain.diagnostics import Pointer
from registry_tool.errors import UsageProblem
from registry_tool.manifests.document import (
    Document,
    MappingNode,
    Region,
    Scalar,
    SequenceNode,
)


@dataclass(frozen=True, slots=True)
class Splice:
    """Some text in place of a region."""

    region: Region
    text: str

    def apply(self, text: str) -> str:
        """The text with the region replaced."""
        return text[: self.region.start] + self.text + text[self.region.end :]


def in_flow(document: Document, pointer: Pointer) -> bool:
    """Whether the value is inside brackets or braces."""
    for depth in range(len(pointer)):
        node = document.find(pointer[:depth])
        if isinstance(node, (MappingNode, SequenceNode)) and node.flow:
            return True
    return False


def key_at(document: Document, pointer: Pointer) -> Scalar:
    """The key of a mapping's value; raises UsageProblem when there is none."""
    parent = document.find(pointer[:-1])
    found = parent.entry(str(pointer[-1])) if isinstance(parent, MappingNode) else None
    if found is None:
        raise UsageProblem(f"there is no {shown(pointer)}")
    return found[0]


def indent_of(document: Document, pointer: Pointer) -> str:
    """The indentation of the line on which the value's key or dash stands."""
    parent = document.find(pointer[:-1])
    if isinstance(parent, MappingNode):
        return " " * column_of(document, key_at(document, pointer).region.start)
    node = parent if parent is not None else document.root
    return " " * column_of(document, node.region.start) if node is not None else ""


def column_of(document: Document, index: int) -> int:
    """Characters before an index on its line."""
    return index - document.line_start(index)


def shown(pointer: Pointer) -> str:
    """A pointer for people."""
    return ".".join(map(str, pointer)) or "the document"
