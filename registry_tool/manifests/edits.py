"""Edits of single values: the span of the value is replaced, every other byte stays.

Each edit is checked by reading its result: it must say what the old text said, with that one value changed.
"""

from __future__ import annotations

import copy
from typing import Any

from registry_tool.domain.diagnostics import Pointer
from registry_tool.errors import InvalidManifests, UsageProblem
from registry_tool.manifests.document import Document
from registry_tool.manifests.examining import diagnostics_of
from registry_tool.manifests.reading import read_document
from registry_tool.manifests.removing import removal
from registry_tool.manifests.replacing import insertion, replacement
from registry_tool.manifests.splices import Splice, shown


def set_value(data: bytes, pointer: Pointer, value: Any) -> bytes:
    """The text with the value at `pointer` replaced, or added where it is missing.

    `value` is a JSON value. A number one past a list's end appends to it. Raises InvalidManifests when the text is not
    strict YAML, UsageProblem when the pointer leads through something that cannot hold the value.
    """
    document = _readable(data)
    wanted = _with_value(document, pointer, value)
    node = document.find(pointer)
    if node is None:
        return _verified(document, insertion(document, pointer, value), wanted, pointer)
    return _verified(document, replacement(document, pointer, node, value), wanted, pointer)


def remove_value(data: bytes, pointer: Pointer) -> bytes:
    """The text without the entry or item at `pointer`. Comments on lines of their own stay.

    Raises InvalidManifests when the text is not strict YAML, UsageProblem when there is nothing at `pointer`.
    """
    document = _readable(data)
    if not pointer or document.find(pointer) is None:
        raise UsageProblem(f"there is no {shown(pointer)} to remove")
    wanted = _value_of(document)
    holder = wanted
    for step in pointer[:-1]:
        holder = holder[step]
    del holder[pointer[-1]]
    return _verified(document, removal(document, pointer), wanted, pointer)


def _readable(data: bytes) -> Document:
    document = read_document(data)
    if document.problems or document.root is None:
        diagnostics = diagnostics_of("", document, [], None)
        raise InvalidManifests("the file has YAML errors; nothing was edited", diagnostics)
    return document


def _verified(document: Document, edit: Splice, wanted: Any, pointer: Pointer) -> bytes:
    text = edit.text
    if "\r\n" in document.text:
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
    data = Splice(edit.region, text).apply(document.text).encode()
    result = read_document(data)
    if result.problems or result.root is None or result.root.value != wanted:
        raise UsageProblem(
            f"{shown(pointer)} is written in a way that cannot be edited safely",
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
            raise UsageProblem(f"{shown(pointer)} cannot be set: {step} leads nowhere")
        holder = holder[step] if following is not None else None
    return root
