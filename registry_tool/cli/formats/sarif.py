"""Diagnostics as SARIF 2.1.0, for code-scanning services."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib import metadata
from typing import Any
from urllib.parse import quote

from registry_tool import __version__
from registry_tool.domain.diagnostics import CODES, Diagnostic, Span

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_DOCUMENTATION = "docs/diagnostics.md"


def format_diagnostics(diagnostics: Sequence[Diagnostic]) -> str:
    """One run whose rules are the codes that occur."""
    codes = sorted({entry.code for entry in diagnostics})
    index = {code: position for position, code in enumerate(codes)}
    page = _page()
    run = {
        "tool": {
            "driver": {
                "name": "registry-tool",
                "semanticVersion": __version__,
                "rules": [_rule(code, page) for code in codes],
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [_result(entry, index[entry.code]) for entry in diagnostics],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _page() -> str | None:
    """The published page of all codes: SARIF wants an absolute address; package metadata has it."""
    try:
        urls = metadata.metadata("registry-tool").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return None
    named = dict(str(entry).split(", ", 1) for entry in urls)
    base = named.get("Documentation")
    return f"{base.rstrip('/')}/diagnostics.md" if base else None


def _rule(code: str, page: str | None) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "id": code,
        "shortDescription": {"text": CODES.get(code, code)},
        "help": {"text": f"See {page or _DOCUMENTATION}, section {code}."},
    }
    return rule | ({"helpUri": f"{page}#{code.lower()}"} if page else {})


def _result(diagnostic: Diagnostic, index: int) -> dict[str, Any]:
    text = diagnostic.message + (f"\nhelp: {diagnostic.help}" if diagnostic.help else "")
    identity = f"{diagnostic.code}\0{diagnostic.path}\0{diagnostic.message}"
    result: dict[str, Any] = {
        "ruleId": diagnostic.code,
        "ruleIndex": index,
        "level": diagnostic.severity.value,
        "message": {"text": text},
        "locations": [_location(diagnostic.path, _region(diagnostic.span))],
        "partialFingerprints": {
            "registryToolDiagnostic/v1": hashlib.sha256(
                identity.encode("utf-8", "backslashreplace")
            ).hexdigest()
        },
    }
    if diagnostic.related:
        result["relatedLocations"] = [
            _location(related.path, {"startLine": related.line, "startColumn": related.column})
            | {"id": number, "message": {"text": related.message}}
            for number, related in enumerate(diagnostic.related, start=1)
        ]
    return result


def _region(span: Span) -> dict[str, int]:
    return {
        "startLine": span.line,
        "startColumn": span.column,
        "endLine": span.end_line,
        "endColumn": span.end_column,
    }


def _location(path: str, region: dict[str, int]) -> dict[str, Any]:
    uri = quote(path, errors="backslashreplace")
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"},
            "region": region,
        }
    }
