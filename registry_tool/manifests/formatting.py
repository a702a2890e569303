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
from registry_tool.manifests.layout import aligned, spaced
from registry_tool.manifests.ordering import ordered
from registry_tool.manifests.reading import read_document
from registry_tool.manifests.scalars import reads_as_string
from registry_tool.manifests.validating import diagnostics_of

_ROUNDS = 4


def format_manifest(data: bytes) -> bytes:
    """The manifest in canonical layout; formatting that again changes nothing.

    Raises InvalidManifests when the text is not strict YAML. A file of another kind keeps the order of its keys.
    """
    document = read_document(data)
    if document.problems or document.root is None:
        diagnostics = diagnostics_of("", document, [], None)
        raise InvalidManifests("the file has YAML errors; nothing was formatted", diagnostics)
    text = _tidy(document.text)
    for rewrite in (ordered, _with_quotes, spaced, aligned):
        text = _if_equal(text, rewrite)
    return text.encode()


def _if_equal(text: str, rewrite: Callable[[Document], str]) -> str:
    """The rewritten text once rewriting it again changes nothing, or the old one where it would change a meaning."""
    before = read_document(text.encode())
    candidate = text
    for _ in range(_ROUNDS):
        previous = candidate
        candidate = _tidy(rewrite(read_document(candidate.encode())))
        after = read_document(candidate.encode())
        if after.problems or after.root is None or before.root is None:
            return text
        if after.root.value != before.root.value or _comments(after) != _comments(before):
            return text
        if candidate == previous:
            return candidate
    return text


def _tidy(text: str) -> str:
    """Line feeds, one at the end; trailing spaces go where they mean nothing."""
    text = text.replace("\r\n", "\n")
    document = read_document(text.encode())
    texts = [
        (node.region.start, node.region.end)
        for _, node in walk(document.root)
        if isinstance(node, Scalar) and node.style
    ]
    lines, position, inside = [], 0, iter(texts)
    span = next(inside, None)
    for line in text.split("\n"):
        end = position + len(line)
        while span is not None and span[1] < end:
            span = next(inside, None)
        keeps = span is not None and span[0] < end <= span[1]
        lines.append(line if keeps else line.rstrip())
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
