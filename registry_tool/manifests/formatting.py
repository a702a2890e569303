"""The canonical layout of a manifest: order of keys, quotes and indentation. Comments stay where they belong.

Lines are moved and indented and words put into quotes in the text itself, so that a comment moves with the line below
it and a value keeps its spelling. Each step's result is read again and must mean the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from registry_tool.errors import InvalidManifests
from registry_tool.manifests.document import Document, MappingNode, Scalar, walk
from registry_tool.manifests.emitting import scalar
from registry_tool.manifests.examining import diagnostics_of
from registry_tool.manifests.layout import aligned, spaced
from registry_tool.manifests.ordering import ordered
from registry_tool.manifests.reading import read_document
from registry_tool.manifests.scalars import reads_as_string

_ROUNDS = 6


def format_manifest(data: bytes) -> bytes:
    """The manifest in canonical layout; formatting that again changes nothing.

    Raises InvalidManifests when the text is not strict YAML. A file of another kind keeps the order of its keys.
    """
    document = read_document(data)
    if document.problems or document.root is None:
        diagnostics = diagnostics_of("", document, [], None)
        raise InvalidManifests("the file has YAML errors; nothing was formatted", diagnostics)
    for _ in range(_ROUNDS):
        before = document.text
        for rewrite in (_tidy, ordered, _with_quotes, spaced, aligned):
            document = _if_equal(document, rewrite)
        if document.text == before:
            return before.encode()
    return data


def _if_equal(document: Document, rewrite: Callable[[Document], str]) -> Document:
    """The rewritten document, or the old one where that would change a meaning or lose a comment."""
    text = rewrite(document)
    if text == document.text or document.root is None:
        return document
    after = read_document(text.encode())
    if after.problems or after.root is None or after.root.value != document.root.value:
        return document
    return after if _comments(after) == _comments(document) else document


def _tidy(document: Document) -> str:
    """Line feeds, one at the end; trailing spaces go where they mean nothing."""
    texts = [
        node.region
        for _, node in walk(document.root)
        if isinstance(node, Scalar) and node.style and "\n" in document.raw(node)
    ]
    lines, position, inside = [], 0, iter(texts)
    region = next(inside, None)
    for line in document.text.split("\n"):
        end = position + len(line)
        while region is not None and region.end < end:
            region = next(inside, None)
        keeps = region is not None and region.start < end <= region.end
        lines.append(line.removesuffix("\r") if keeps else line.rstrip())
        position = end + 1
    return "\n".join(lines).rstrip("\n") + "\n"


def _comments(document: Document) -> list[str]:
    """The comments of a document, sorted: layout may move them, and must not lose one."""
    scalars = [
        node.region for _, node in walk(document.root) if isinstance(node, Scalar) and node.style
    ]
    found = []
    for match in re.finditer(r"(?:^|(?<=\s))#[^\n]*", document.text):
        if not any(region.start <= match.start() < region.end for region in scalars):
            found.append(match[0].strip())
    return sorted(found)


def _with_quotes(document: Document) -> str:
    """Quotes around strings that YAML 1.1 would take for something else: ``no``, ``12:30``, ``1_000``."""
    text = document.text
    scalars = [node for _, node in walk(document.root) if isinstance(node, Scalar)]
    for _, node in walk(document.root):
        if isinstance(node, MappingNode):
            scalars += [key for key, _ in node.entries]
    edits = [
        (part.region, scalar(part.value))
        for part in scalars
        if not part.style and isinstance(part.value, str) and not reads_as_string(part.value)
    ]
    for region, replacement in sorted(edits, key=lambda edit: -edit[0].start):
        text = text[: region.start] + replacement + text[region.end :]
    return text
