"""Edits of single values: the span of the value is replaced, every other byte stays.

Each edit is checked by reading its result: it must say what the old text said, with that one value changed.
"""

from __future__ import annotations

import copy
from typing import Any

from registry_tool.domain.diagnostics import Pointer
from registry_tool.errors import InvalidManifests, UsageProblem
from registry_tool.manifests.document import (
    Document,
    MappingNode,
    Node,
    Region,
    Scalar,
    SequenceNode,
)
from registry_tool.manifests.emitting import block_scalar, emit, entry, inline, scalar
from registry_tool.manifests.reading import read_document
from registry_tool.manifests.validating import diagnostics_of

_STEP = "  "


def set_value(data: bytes, pointer: Pointer, value: Any) -> bytes:
    """The text with the value at `pointer` replaced, or added where it is missing.

    `value` is a JSON value. A number one past a list's end appends to it. Raises InvalidManifests when the text is not
    strict YAML, UsageProblem when the pointer leads through something that cannot hold the value.
    """
    document = _readable(data)
    wanted = _with_value(document, pointer, value)
    node = document.find(pointer)
    if node is None:
        return _verified(document, _insertion(document, pointer, value), wanted, pointer)
    return _verified(document, _replacement(document, pointer, node, value), wanted, pointer)


def remove_value(data: bytes, pointer: Pointer) -> bytes:
    """The text without the entry or item at `pointer`. Comments on lines of their own stay.

    Raises InvalidManifests when the text is not strict YAML, UsageProblem when there is nothing at `pointer`.
    """
    document = _readable(data)
    if not pointer or document.find(pointer) is None:
        raise UsageProblem(f"there is no {_shown(pointer)} to remove")
    wanted = _value_of(document)
    holder = wanted
    for step in pointer[:-1]:
        holder = holder[step]
    del holder[pointer[-1]]
    return _verified(document, _removal(document, pointer), wanted, pointer)


def _readable(data: bytes) -> Document:
    document = read_document(data)
    if document.problems or document.root is None:
        diagnostics = diagnostics_of("", document, [], None)
        raise InvalidManifests("the file has YAML errors; nothing was edited", diagnostics)
    return document


class _Edit:
    """Some text in place of a region."""

    def __init__(self, region: Region, text: str) -> None:
        self.region = region
        self.text = text

    def apply(self, text: str) -> str:
        return text[: self.region.start] + self.text + text[self.region.end :]


def _verified(document: Document, edit: _Edit, wanted: Any, pointer: Pointer) -> bytes:
    text = edit.text
    if "\r\n" in document.text:
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
    data = _Edit(edit.region, text).apply(document.text).encode()
    result = read_document(data)
    if result.problems or result.root is None or result.root.value != wanted:
        raise UsageProblem(
            f"{_shown(pointer)} is written in a way that cannot be edited safely",
            help="edit the file by hand",
        )
    return data


def _value_of(document: Document) -> Any:
    """The document's value, to be changed."""
    return copy.deepcopy(document.root.value) if document.root is not None else None


def _with_value(document: Document, pointer: Pointer, value: Any) -> Any:
    """The document's value after the edit; raises UsageProblem where it is impossible."""
    if not pointer:
        raise UsageProblem("a whole document cannot be set")
    root = _value_of(document)
    holder = root
    for step, following in zip(pointer, (*pointer[1:], None), strict=True):
        if isinstance(holder, dict) and isinstance(step, str):
            if following is None:
                holder[step] = value
            elif holder.get(step) is None:
                holder[step] = [] if isinstance(following, int) else {}
        elif isinstance(holder, list) and isinstance(step, int) and 0 <= step <= len(holder):
            new = value if following is None else [] if isinstance(following, int) else {}
            if step == len(holder):
                holder.append(new)
            elif following is None:
                holder[step] = new
        else:
            raise UsageProblem(f"{_shown(pointer)} cannot be set: {step} leads nowhere")
        holder = holder[step] if following is not None else None
    return root


# --- replacing ---------------------------------------------------------------------------------


def _replacement(document: Document, pointer: Pointer, node: Node, value: Any) -> _Edit:
    region = node.region
    in_flow = _in_flow(document, pointer)
    if isinstance(node, Scalar) and not isinstance(value, (dict, list)):
        text = _same_style(document, pointer, node, value, in_flow)
    elif (
        in_flow
        or (not isinstance(node, Scalar) and node.flow)
        or not value
        or not isinstance(value, (dict, list))
    ):
        text = inline(value)
    else:
        return _block_replacement(document, pointer, node, value)
    if not isinstance(node, Scalar) and not node.flow:
        return _collapse(document, pointer, node, text)
    before = document.text[region.start - 1 : region.start]
    lead = " " if region.start == region.end and before in {":", "-"} else ""
    return _Edit(region, lead + text)


def _same_style(
    document: Document, pointer: Pointer, node: Scalar, value: Any, in_flow: bool
) -> str:
    """The new scalar in quotes if the old one was, as a block if it was one and the new text allows it."""
    if isinstance(value, str):
        if node.style in {"|", ">"}:
            indent = _indent_of(document, pointer)
            return (block_scalar(value, indent) or scalar(value)).rstrip("\n")
        if node.style == "'" and "\n" not in value and value.isprintable():
            return "'" + value.replace("'", "''") + "'"
        if node.style == '"':
            return _double_quoted(value)
        block = block_scalar(value, _indent_of(document, pointer)) if not in_flow else None
        if block is not None:
            return block.rstrip("\n")
    return scalar(value, in_flow=in_flow)


def _double_quoted(value: str) -> str:
    text = scalar(value)
    return text if text.startswith('"') else f'"{text}"'


def _block_replacement(document: Document, pointer: Pointer, node: Node, value: Any) -> _Edit:
    """A collection in block style below its key, or after its dash."""
    indent = _indent_of(document, pointer)
    if isinstance(pointer[-1], int):
        inner = indent + _STEP
        return _Edit(
            node.region, _lead(document, node) + emit(value, inner)[len(inner) :].rstrip("\n")
        )
    if not isinstance(node, Scalar) and node.children:
        inner = " " * _column(document, node.region.start)
        return _Edit(node.region, emit(value, inner)[len(inner) :].rstrip("\n"))
    key_end = _key(document, pointer).region.end
    colon = document.text.index(":", key_end) + 1
    return _Edit(Region(colon, node.region.end), "\n" + emit(value, indent + _STEP).rstrip("\n"))


def _collapse(document: Document, pointer: Pointer, node: Node, text: str) -> _Edit:
    """One line in place of a block collection."""
    if isinstance(pointer[-1], int):
        return _Edit(node.region, text)
    key_end = _key(document, pointer).region.end
    colon = document.text.index(":", key_end) + 1
    return _Edit(Region(colon, node.region.end), f" {text}")


def _lead(document: Document, node: Node) -> str:
    empty = node.region.start == node.region.end
    return " " if empty and document.text[node.region.start - 1 : node.region.start] == "-" else ""


# --- inserting ---------------------------------------------------------------------------------


def _insertion(document: Document, pointer: Pointer, value: Any) -> _Edit:
    """Add what is missing to the deepest part that is there."""
    present = pointer
    while document.find(present) is None:
        present = present[:-1]
    for step in reversed(pointer[len(present) + 1 :]):
        value = [value] if isinstance(step, int) else {step: value}
    parent, step = document.find(present), pointer[len(present)]
    if isinstance(parent, MappingNode) and isinstance(step, str):
        if not parent.entries or parent.flow:
            return _flow_insertion(
                document, parent, f"{scalar(step, in_flow=True)}: {inline(value)}"
            )
        indent = " " * _column(document, parent.entries[0][0].region.start)
        kind = parent.entry("kind") if step == "metadata" and not present else None
        return _line_after(document, kind[1] if kind else parent, entry(step, value, indent))
    if isinstance(parent, SequenceNode):
        if not parent.items or parent.flow:
            return _flow_insertion(document, parent, inline(value))
        indent = " " * _column(document, parent.region.start)
        return _line_after(document, parent, emit([value], indent))
    if isinstance(parent, Scalar) and parent.value is None and present:
        content = {step: value} if isinstance(step, str) else [value]
        return _replacement(document, present, parent, content)
    raise UsageProblem(f"{_shown(pointer)} cannot be added: {_shown(present)} is a plain value")


def _flow_insertion(document: Document, parent: Node, text: str) -> _Edit:
    end = parent.region.end - 1
    inside = document.text[parent.region.start + 1 : end].rstrip()
    if "\n" in document.text[parent.region.start : end] and "#" in inside:
        raise UsageProblem("a list or mapping with comments in brackets cannot be edited")
    at = parent.region.start + 1 + len(inside)
    separator = "" if not inside.strip() else " " if inside.endswith(",") else ", "
    return _Edit(Region(at, at), separator + text)


def _line_after(document: Document, node: Node, lines: str) -> _Edit:
    """New lines after the last line of a block collection."""
    at = document.next_line(max(node.region.end - 1, node.region.start))
    if _keeps_trailing_lines(document, node):
        raise UsageProblem("nothing can be added after a block text that ends in blank lines")
    if at == len(document.text) and not document.text.endswith("\n"):
        return _Edit(Region(at, at), "\n" + lines.rstrip("\n"))
    return _Edit(Region(at, at), lines)


def _keeps_trailing_lines(document: Document, node: Node) -> bool:
    last = node
    while not isinstance(last, Scalar):
        inner = last.children
        if not inner:
            return False
        last = inner[-1]
    return last.style in {"|", ">"} and document.raw(last).split("\n")[0].rstrip("\r").endswith("+")


# --- removing ----------------------------------------------------------------------------------


def _removal(document: Document, pointer: Pointer) -> _Edit:
    parent = document.find(pointer[:-1])
    if isinstance(parent, MappingNode):
        nodes = [
            Region(key.region.start, max(node.region.end, key.region.end))
            for key, node in parent.entries
        ]
        index = [key.value for key, _ in parent.entries].index(pointer[-1])
        empty = "{}"
    elif isinstance(parent, SequenceNode):
        nodes = [node.region for node in parent.items]
        index = int(pointer[-1])
        empty = "[]"
    else:
        raise UsageProblem(f"{_shown(pointer)} cannot be removed")
    if parent.flow:
        return _flow_removal(nodes, index)
    if len(nodes) == 1:
        return (
            _collapse(document, pointer[:-1], parent, empty)
            if pointer[:-1]
            else _Edit(parent.region, empty)
        )
    return _block_removal(document, parent, nodes, index)


def _flow_removal(nodes: list[Region], index: int) -> _Edit:
    if index + 1 < len(nodes):
        return _Edit(Region(nodes[index].start, nodes[index + 1].start), "")
    if index:
        return _Edit(Region(nodes[index - 1].end, nodes[index].end), "")
    return _Edit(nodes[0], "")


def _block_removal(document: Document, parent: Node, nodes: list[Region], index: int) -> _Edit:
    one = nodes[index]
    start = document.line_start(one.start)
    if isinstance(parent, SequenceNode):
        dash = document.text.rfind("-", 0, one.start + 1 if one.start == one.end else one.start)
        start = document.line_start(dash)
        first = document.text[start:dash].strip() == ""
    else:
        first = document.text[start : one.start].strip() == ""
    if not first:
        # The first entry of a list item: what follows moves up behind the dash.
        return _Edit(Region(one.start, nodes[index + 1].start), "")
    return _Edit(Region(start, document.next_line(max(one.end - 1, one.start))), "")


# --- looking -----------------------------------------------------------------------------------


def _in_flow(document: Document, pointer: Pointer) -> bool:
    """Whether the value is inside brackets or braces."""
    for depth in range(len(pointer)):
        node = document.find(pointer[:depth])
        if isinstance(node, (MappingNode, SequenceNode)) and node.flow:
            return True
    return False


def _key(document: Document, pointer: Pointer) -> Scalar:
    parent = document.find(pointer[:-1])
    found = parent.entry(str(pointer[-1])) if isinstance(parent, MappingNode) else None
    if found is None:
        raise UsageProblem(f"there is no {_shown(pointer)}")
    return found[0]


def _indent_of(document: Document, pointer: Pointer) -> str:
    """The indentation of the line on which the value's key or dash stands."""
    parent = document.find(pointer[:-1])
    if isinstance(parent, MappingNode):
        return " " * _column(document, _key(document, pointer).region.start)
    node = parent if parent is not None else document.root
    return " " * _column(document, node.region.start) if node is not None else ""


def _column(document: Document, index: int) -> int:
    return index - document.line_start(index)


def _shown(pointer: Pointer) -> str:
    return ".".join(map(str, pointer)) or "the document"
