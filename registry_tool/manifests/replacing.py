"""Splices that replace a value by another one, or add one that is missing."""

from __future__ import annotations

from typing import Any

from registry_tool.domain.diagnostics import Pointer
from registry_tool.errors import UsageProblem
from registry_tool.manifests.document import (
    Document,
    MappingNode,
    Node,
    Region,
    Scalar,
    SequenceNode,
)
from registry_tool.manifests.emitting import block_scalar, emit, entry, inline, scalar
from registry_tool.manifests.splices import Splice, column_of, in_flow, indent_of, key_at, shown

_STEP = "  "


def replacement(document: Document, pointer: Pointer, node: Node, value: Any) -> Splice:
    """Put another value in the place of one."""
    region = node.region
    flow = in_flow(document, pointer)
    if isinstance(node, Scalar) and not isinstance(value, (dict, list)):
        text = _same_style(document, pointer, node, value, flow)
    elif (
        flow
        or (not isinstance(node, Scalar) and node.flow)
        or not value
        or not isinstance(value, (dict, list))
    ):
        text = inline(value)
    else:
        return _block_replacement(document, pointer, node, value)
    if not isinstance(node, Scalar) and not node.flow:
        return in_one_line(document, pointer, node, text)
    before = document.text[region.start - 1 : region.start]
    lead = " " if region.start == region.end and before in {":", "-"} else ""
    return Splice(region, lead + text)


def _same_style(document: Document, pointer: Pointer, node: Scalar, value: Any, flow: bool) -> str:
    """The new scalar in quotes if the old one was, as a block if it was one and the new text allows it."""
    if isinstance(value, str):
        if node.style in {"|", ">"}:
            indent = indent_of(document, pointer)
            return (block_scalar(value, indent) or scalar(value)).rstrip("\n")
        if node.style == "'" and "\n" not in value and value.isprintable():
            return "'" + value.replace("'", "''") + "'"
        if node.style == '"':
            return _double_quoted(value)
        block = block_scalar(value, indent_of(document, pointer)) if not flow else None
        if block is not None:
            return block.rstrip("\n")
    return scalar(value, in_flow=flow)


def _double_quoted(value: str) -> str:
    text = scalar(value)
    return text if text.startswith('"') else f'"{text}"'


def _block_replacement(document: Document, pointer: Pointer, node: Node, value: Any) -> Splice:
    """A collection in block style below its key, or after its dash."""
    indent = indent_of(document, pointer)
    if isinstance(pointer[-1], int):
        inner = indent + _STEP
        return Splice(
            node.region, _lead(document, node) + emit(value, inner)[len(inner) :].rstrip("\n")
        )
    inner = " " * column_of(document, node.region.start)
    if not isinstance(node, Scalar) and (len(inner) > len(indent) or isinstance(value, list)):
        return Splice(node.region, emit(value, inner)[len(inner) :].rstrip("\n"))
    key_end = key_at(document, pointer).region.end
    colon = document.text.index(":", key_end) + 1
    return Splice(Region(colon, node.region.end), "\n" + emit(value, indent + _STEP).rstrip("\n"))


def in_one_line(document: Document, pointer: Pointer, node: Node, text: str) -> Splice:
    """One line in place of a block collection."""
    if isinstance(pointer[-1], int):
        return Splice(node.region, text)
    key_end = key_at(document, pointer).region.end
    colon = document.text.index(":", key_end) + 1
    return Splice(Region(colon, node.region.end), f" {text}")


def _lead(document: Document, node: Node) -> str:
    empty = node.region.start == node.region.end
    return " " if empty and document.text[node.region.start - 1 : node.region.start] == "-" else ""


def insertion(document: Document, pointer: Pointer, value: Any) -> Splice:
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
        indent = " " * column_of(document, parent.entries[0][0].region.start)
        kind = parent.entry("kind") if step == "metadata" and not present else None
        return _line_after(document, kind[1] if kind else parent, entry(step, value, indent))
    if isinstance(parent, SequenceNode):
        if not parent.items or parent.flow:
            return _flow_insertion(document, parent, inline(value))
        indent = " " * column_of(document, parent.region.start)
        return _line_after(document, parent, emit([value], indent))
    if isinstance(parent, Scalar) and parent.value is None and present:
        content = {step: value} if isinstance(step, str) else [value]
        return replacement(document, present, parent, content)
    raise UsageProblem(f"{shown(pointer)} cannot be added: {shown(present)} is a plain value")


def _flow_insertion(document: Document, parent: Node, text: str) -> Splice:
    end = parent.region.end - 1
    inside = document.text[parent.region.start + 1 : end].rstrip()
    if "\n" in document.text[parent.region.start : end] and "#" in inside:
        raise UsageProblem("a list or mapping with comments in brackets cannot be edited")
    at = parent.region.start + 1 + len(inside)
    separator = "" if not inside.strip() else " " if inside.endswith(",") else ", "
    return Splice(Region(at, at), separator + text)


def _line_after(document: Document, node: Node, lines: str) -> Splice:
    """New lines after the last line of a block collection."""
    at = document.next_line(max(node.region.end - 1, node.region.start))
    if _keeps_trailing_lines(document, node):
        raise UsageProblem("nothing can be added after a block text that ends in blank lines")
    if at == len(document.text) and not document.text.endswith("\n"):
        return Splice(Region(at, at), "\n" + lines.rstrip("\n"))
    return Splice(Region(at, at), lines)


def _keeps_trailing_lines(document: Document, node: Node) -> bool:
    last = node
    while not isinstance(last, Scalar):
        inner = last.children
        if not inner:
            return False
        last = inner[-1]
    return last.style in {"|", ">"} and document.raw(last).split("\n")[0].rstrip("\r").endswith("+")
