"""Splices that take an entry of a mapping or an item of a list out."""

from __future__ import annotations

from registry_tool.domain.diagnostics import Pointer
from registry_tool.errors import UsageProblem
from registry_tool.manifests.document import Document, MappingNode, Node, Region, SequenceNode
from registry_tool.manifests.replacing import in_one_line
from registry_tool.manifests.splices import Splice, shown


def removal(document: Document, pointer: Pointer) -> Splice:
    """Take out what is at a pointer; what stays alone becomes an empty collection."""
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
        raise UsageProblem(f"{shown(pointer)} cannot be removed")
    if parent.flow:
        return _flow_removal(nodes, index)
    if len(nodes) == 1:
        return (
            in_one_line(document, pointer[:-1], parent, empty)
            if pointer[:-1]
            else Splice(parent.region, empty)
        )
    return _block_removal(document, parent, nodes, index)


def _flow_removal(nodes: list[Region], index: int) -> Splice:
    if index + 1 < len(nodes):
        return Splice(Region(nodes[index].start, nodes[index + 1].start), "")
    if index:
        return Splice(Region(nodes[index - 1].end, nodes[index].end), "")
    return Splice(nodes[0], "")


def _block_removal(document: Document, parent: Node, nodes: list[Region], index: int) -> Splice:
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
        return Splice(Region(one.start, nodes[index + 1].start), "")
    return Splice(Region(start, document.next_line(max(one.end - 1, one.start))), "")
