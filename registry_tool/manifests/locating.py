"""From findings to diagnostics: only the files that something is wrong with are read again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from registry_tool.domain.diagnostics import Diagnostic, Finding, RelatedPosition, Span
from registry_tool.manifests.source import Source

if TYPE_CHECKING:
    from registry_tool.manifests.document import Document

START = Span(1, 1, 1, 1)
"""The place of what concerns a file as a whole."""


def locate(source: Source, findings: Iterable[Finding]) -> tuple[Diagnostic, ...]:
    """Findings with source positions, in stable order. A file that `source` lacks has the position 1:1."""
    found = list(findings)
    paths = {finding.path for finding in found}
    paths |= {place.path for finding in found for place in finding.related}
    documents = _documents(source, paths)
    located = [_located(finding, documents) for finding in found]
    return tuple(sorted(located, key=lambda diagnostic: diagnostic.sort_key))


def _documents(source: Source, paths: set[str]) -> Mapping[str, Document]:
    if not paths:
        return {}
    from registry_tool.manifests.reading import read_document

    oids = {entry.path: entry.oid for entry in source.entries() if entry.path in paths}
    contents = dict(source.read(sorted(set(oids.values()))))
    return {path: read_document(contents[oid]) for path, oid in oids.items()}


def _located(finding: Finding, documents: Mapping[str, Document]) -> Diagnostic:
    span, line = START, ""
    document = documents.get(finding.path)
    if document is not None:
        span = document.span(document.region(finding.pointer, on_key=finding.on_key))
        line = document.line(span.line)
    related = []
    for place in finding.related:
        other = documents.get(place.path)
        start = other.span(other.region(place.pointer)) if other is not None else START
        related.append(RelatedPosition(place.path, start.line, start.column, place.message))
    return Diagnostic(
        finding.path,
        span,
        finding.severity,
        finding.code,
        finding.message,
        finding.help,
        tuple(related),
        line,
        finding.subject,
    )
