"""A manifest's text as a tree with positions, and everything that strict YAML has to say about it.

This is the authority on what a manifest's YAML may be; `parsing` is its fast half for files without problems.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from registry_tool.domain.diagnostics import Pointer, Span
from registry_tool.manifests.text import line_starts


@dataclass(frozen=True, slots=True)
class Region:
    """Characters of a text, from `start` to before `end`."""

    start: int
    end: int


@dataclass(slots=True)
class Scalar:
    """A scalar: what it means, and how it is written (`style` is empty for a plain one)."""

    value: Any
    region: Region
    style: str


@dataclass(slots=True)
class MappingNode:
    """A mapping. `entries` has repeated keys too; the first counts."""

    entries: list[tuple[Scalar, Node]]
    region: Region
    flow: bool
    _index: dict[Any, int] | None = None

    @property
    def children(self) -> list[Node]:
        """The values, in order."""
        return [node for _, node in self.entries]

    @property
    def value(self) -> dict[str, Any]:
        """As a plain value; keys that are not strings are left out."""
        values: dict[str, Any] = {}
        for key, node in self.entries:
            if isinstance(key.value, str):
                values.setdefault(key.value, node.value)
        return values

    def entry(self, name: str) -> tuple[Scalar, Node] | None:
        """The first entry of that key."""
        if self._index is None:
            self._index = {}
            for position, (key, _) in enumerate(self.entries):
                self._index.setdefault(key.value, position)
        found = self._index.get(name)
        return self.entries[found] if found is not None else None


@dataclass(slots=True)
class SequenceNode:
    """A sequence."""

    items: list[Node]
    region: Region
    flow: bool

    @property
    def children(self) -> list[Node]:
        """The items."""
        return self.items

    @property
    def value(self) -> list[Any]:
        """As a plain value."""
        return [item.value for item in self.items]


Node = Scalar | MappingNode | SequenceNode


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that strict YAML does not allow. `pointer` is None when nothing after it could be read."""

    code: str
    message: str
    region: Region
    help: str | None = None
    related: tuple[Region, str] | None = None
    pointer: Pointer | None = None


@dataclass(frozen=True)
class Document:
    """A manifest's text, its tree unless it could not be read, and its problems."""

    text: str
    root: Node | None
    problems: tuple[Problem, ...] = ()
    _starts: list[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_starts", line_starts(self.text))

    def find(self, pointer: Pointer) -> Node | None:
        """The node at a pointer, when it is present."""
        node = self.root
        for step in pointer:
            node = _child(node, step)
            if node is None:
                return None
        return node

    def region(self, pointer: Pointer, *, on_key: bool = False) -> Region:
        """Where a value, or its key, is written.

        What is absent is shown by the key of the nearest mapping or sequence that is present, where it would be;
        the whole document by its first key.
        """
        if self.root is None:
            return Region(0, 0)
        if not pointer:
            return _absent(self.root, None)
        node: Node = self.root
        key: Scalar | None = None
        for depth, step in enumerate(pointer):
            child = _child(node, step)
            if child is None:
                return _absent(node, key)
            entry = node.entry(str(step)) if isinstance(node, MappingNode) else None
            node = child
            key = entry[0] if entry else None
            if on_key and depth == len(pointer) - 1 and key is not None:
                return key.region
        return node.region

    def span(self, region: Region) -> Span:
        """A region as lines and columns."""
        line, column = self._position(region.start)
        end_line, end_column = self._position(region.end)
        return Span(line, column, end_line, end_column)

    def line(self, number: int) -> str:
        """The text of a line (from 1), without its end."""
        start = self._starts[number - 1]
        end = self._starts[number] if number < len(self._starts) else len(self.text)
        return self.text[start:end].rstrip("\r\n")

    def line_start(self, index: int) -> int:
        """Where the line with that character starts."""
        return self._starts[bisect_right(self._starts, index) - 1]

    def next_line(self, index: int) -> int:
        """Where the line after the one with that character starts; the text's length when there is none."""
        following = bisect_right(self._starts, index)
        return self._starts[following] if following < len(self._starts) else len(self.text)

    def raw(self, node: Node) -> str:
        """A node as it is written."""
        return self.text[node.region.start : node.region.end]

    def _position(self, index: int) -> tuple[int, int]:
        line = bisect_right(self._starts, index)
        return line, index - self._starts[line - 1] + 1


def _child(node: Node | None, step: str | int) -> Node | None:
    if isinstance(node, MappingNode):
        entry = node.entry(str(step))
        return entry[1] if entry else None
    if isinstance(node, SequenceNode) and isinstance(step, int) and 0 <= step < len(node.items):
        return node.items[step]
    return None


def _absent(parent: Node, parent_key: Scalar | None) -> Region:
    if parent_key is not None:
        return parent_key.region
    if isinstance(parent, MappingNode) and parent.entries and not parent.flow:
        return parent.entries[0][0].region
    return parent.region


def walk(node: Node | None, pointer: Pointer = ()) -> Iterator[tuple[Pointer, Node]]:
    """All nodes with their pointers, parents first."""
    if node is None:
        return
    yield pointer, node
    if isinstance(node, MappingNode):
        for key, child in node.entries:
            yield from walk(child, (*pointer, str(key.value)))
    elif isinstance(node, SequenceNode):
        for index, child in enumerate(node.items):
            yield from walk(child, (*pointer, index))
