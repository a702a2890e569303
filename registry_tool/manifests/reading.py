"""Strict YAML to a `Document`: the slow reader, which keeps positions and names every problem."""

from __future__ import annotations

import re
from typing import Any, TypeGuard

from yaml import MarkedYAMLError, YAMLError
from yaml._yaml import CParser
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)

from registry_tool.domain.diagnostics import Pointer
from registry_tool.manifests.document import (
    Document,
    MappingNode,
    Node,
    Problem,
    Region,
    Scalar,
    SequenceNode,
)
from registry_tool.manifests.parsing import MAX_DEPTH
from registry_tool.manifests.scalars import UnsafeNumber, resolve_plain
from registry_tool.manifests.syntax import explain_syntax_error
from registry_tool.manifests.text import FORBIDDEN, MAX_SIZE, describe_character

_TAB_BEFORE = re.compile(r"[ ]*\t[ \t]*")


def read_document(data: bytes) -> Document:
    """The document with all problems that can be told apart; reading ends at the first syntax error."""
    if len(data) > MAX_SIZE:
        return _unreadable(
            "RT002",
            f"the file has {len(data)} bytes, and a manifest has at most {MAX_SIZE}",
            "move large values out of the manifest",
        )
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        return _not_utf8(data, error)
    forbidden = tuple(_forbidden(match) for match in FORBIDDEN.finditer(text))
    if forbidden:
        return Document(text, None, forbidden)
    reader = _Reader(text)
    root = reader.read()
    return Document(text, root, tuple(reader.problems))


def _unreadable(code: str, message: str, help: str) -> Document:
    return Document("", None, (Problem(code, message, Region(0, 0), help),))


def _not_utf8(data: bytes, error: UnicodeDecodeError) -> Document:
    text = data.decode(errors="replace")
    index = len(data[: error.start].decode())
    problem = Problem(
        "RT001",
        f"byte 0x{data[error.start]:02x} is not part of a UTF-8 character",
        Region(index, index + 1),
        "save the file as UTF-8",
    )
    return Document(text, None, (problem,))


def _forbidden(match: re.Match[str]) -> Problem:
    name = describe_character(match[0])
    return Problem(
        "RT003",
        f"{name} is not allowed in a manifest",
        Region(match.start(), match.end()),
        "remove it; where a string needs it, write it as an escape in double quotes",
    )


class _Stop(Exception):
    """Nothing more can be read."""


class _Reader:
    """Builds the tree of one text and collects its problems."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.problems: list[Problem] = []
        self._parser = CParser(text.encode())

    def read(self) -> Node | None:
        try:
            return self._stream()
        except MarkedYAMLError as error:
            self.problems.append(explain_syntax_error(self.text, error))
        except YAMLError as error:
            self.problems.append(Problem("RT004", f"{error}", Region(0, 0)))
        except _Stop:
            pass
        return None

    def _next(self) -> Any:
        event = self._parser.get_event()
        self._check_indentation(event)
        return event

    def _stream(self) -> Node | None:
        self._next()
        start = self._next()
        if isinstance(start, StreamEndEvent):
            self._report(
                "RT008", "the file holds no document", start, "write a manifest, or delete the file"
            )
            return None
        self._check_directives(start)
        root = self._node(self._next(), (), 1)
        self._next()
        following = self._next()
        if isinstance(following, DocumentStartEvent):
            self._report(
                "RT008",
                "a second document starts here",
                following,
                "give each manifest a file of its own",
            )
        return root

    def _check_directives(self, start: DocumentStartEvent) -> None:
        if start.tags:
            self._report(
                "RT007", "a %TAG directive declares tags, which are not allowed", start, "remove it"
            )

    def _node(self, event: Any, pointer: Pointer, depth: int) -> Node:
        if isinstance(event, AliasEvent):
            help = "write the value out, or quote it if it is a string that starts with *"
            self._report("RT006", f"the alias *{event.anchor} is not allowed", event, help, pointer)
            return Scalar(None, _region(event), "")
        self._check_properties(event, pointer)
        if isinstance(event, ScalarEvent):
            return self._scalar(event, pointer)
        if depth > MAX_DEPTH:
            self._report(
                "RT010",
                f"collections are nested more than {MAX_DEPTH} deep",
                event,
                "flatten the value",
            )
            raise _Stop
        if isinstance(event, MappingStartEvent):
            return self._mapping(event, pointer, depth)
        return self._sequence(event, pointer, depth)

    def _scalar(self, event: Any, pointer: Pointer) -> Scalar:
        style: str = event.style or ""
        region = self._trimmed(_region(event)) if style in {"|", ">"} else _region(event)
        if style:
            return Scalar(event.value, region, style)
        try:
            return Scalar(resolve_plain(event.value), region, "")
        except UnsafeNumber:
            self.problems.append(
                Problem(
                    "RT011",
                    f"the number {event.value[:40]} is too large to be read the same everywhere",
                    region,
                    f'write "{event.value}" if a string is meant'
                    if len(event.value) <= 100
                    else None,
                    pointer=pointer,
                )
            )
            return Scalar(event.value, region, "")

    def _trimmed(self, region: Region) -> Region:
        """A block scalar without the blank lines that follow it."""
        written = self.text[region.start : region.end]
        return Region(region.start, region.start + len(written.rstrip()))

    def _mapping(self, start: Any, pointer: Pointer, depth: int) -> MappingNode:
        entries: list[tuple[Scalar, Node]] = []
        first: dict[Any, Scalar] = {}
        while True:
            event = self._next()
            if isinstance(event, MappingEndEvent):
                break
            key = self._key(event, pointer, depth)
            inner = (*pointer, str(key.value))
            if key.value in first and isinstance(key.value, str):
                self._report_duplicate(key, first[key.value], inner)
            first.setdefault(key.value, key)
            entries.append((key, self._node(self._next(), inner, depth + 1)))
        nodes = [node for entry in entries for node in entry]
        return MappingNode(entries, _extent(start, event, nodes), bool(start.flow_style))

    def _key(self, event: Any, pointer: Pointer, depth: int) -> Scalar:
        node = self._node(event, pointer, depth + 1)
        if not isinstance(node, Scalar):
            pointer = (*pointer, "")
            message = "a mapping key is a string, not a mapping or a list"
            help = "write a plain name; quote a value that starts with { or ["
            self.problems.append(Problem("RT012", message, node.region, help, pointer=pointer))
            return Scalar(None, node.region, "")
        pointer = (*pointer, str(node.value))
        if _is_merge(node):
            message = "merge keys are not allowed"
            self.problems.append(
                Problem("RT006", message, node.region, "write the fields out", pointer=pointer)
            )
        elif not isinstance(node.value, str) and not isinstance(event, AliasEvent):
            written = self.text[node.region.start : node.region.end]
            message = f"a mapping key is a string, not {written or 'empty'}"
            help = f'write "{written}"' if written else "write a key before the colon"
            self.problems.append(Problem("RT012", message, node.region, help, pointer=pointer))
        return node

    def _sequence(self, start: Any, pointer: Pointer, depth: int) -> SequenceNode:
        items: list[Node] = []
        while True:
            event = self._next()
            if isinstance(event, SequenceEndEvent):
                break
            items.append(self._node(event, (*pointer, len(items)), depth + 1))
        return SequenceNode(items, _extent(start, event, items), bool(start.flow_style))

    def _report(
        self, code: str, message: str, event: Any, help: str, pointer: Pointer | None = None
    ) -> None:
        self.problems.append(
            Problem(code, message, self._first_word(_region(event)), help, pointer=pointer)
        )

    def _report_duplicate(self, key: Scalar, first: Scalar, pointer: Pointer) -> None:
        self.problems.append(
            Problem(
                "RT005",
                f'the key "{key.value}" appears twice',
                key.region,
                "remove one of them",
                (first.region, "first here"),
                pointer,
            )
        )

    def _check_properties(self, event: Any, pointer: Pointer) -> None:
        if event.anchor is not None:
            help = "remove it, and write the value out where it was repeated"
            self._report(
                "RT006", f"the anchor &{event.anchor} is not allowed", event, help, pointer
            )
        if event.tag is not None:
            tag = str(event.tag).replace("tag:yaml.org,2002:", "!!")
            help = "remove it; quote a string that starts with !"
            self._report("RT007", f"the tag {tag} is not allowed", event, help, pointer)

    def _check_indentation(self, event: Any) -> None:
        """Refuse a tab before the first token of a line, also where the YAML parser lets it pass."""
        if isinstance(event, (MappingEndEvent, SequenceEndEvent)) or "\t" not in self.text:
            return
        start, end = event.start_mark.index, event.end_mark.index
        is_block = isinstance(event, ScalarEvent) and event.style in {"|", ">"}
        line = self.text.rfind("\n", 0, start) + 1
        while line <= (start if is_block else end) and line < len(self.text):
            match = _TAB_BEFORE.match(self.text, line)
            if match and match.end() <= end and (line > start or match.end() >= start):
                tab = self.text.index("\t", line)
                if not any(problem.region.start == tab for problem in self.problems):
                    message = "a tab indents this line"
                    self.problems.append(
                        Problem("RT009", message, Region(tab, match.end()), "indent with spaces")
                    )
            following = self.text.find("\n", line)
            if following < 0:
                return
            line = following + 1

    def _first_word(self, region: Region) -> Region:
        words = self.text[region.start : region.end].split(maxsplit=1)
        return Region(region.start, region.start + len(words[0]) if words else region.start)


def _region(event: Any) -> Region:
    return Region(event.start_mark.index, event.end_mark.index)


def _extent(start: Any, end: Any, nodes: list[Node]) -> Region:
    """From the first to the last character; the parser ends a block collection at the next token instead."""
    if start.flow_style or not nodes:
        return Region(start.start_mark.index, end.end_mark.index)
    return Region(start.start_mark.index, max(node.region.end for node in nodes))


def _is_merge(node: Node) -> TypeGuard[Scalar]:
    return isinstance(node, Scalar) and node.value == "<<" and not node.style
