"""Diagnostics as JSON, the stable shape for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from registry_tool.domain.diagnostics import Diagnostic

FORMAT_VERSION = 1


def format_diagnostics(diagnostics: Sequence[Diagnostic], *, checked: int) -> str:
    """`checked` counts the manifests looked at. Positions start at 1, the end is exclusive."""
    return document({"checked": checked, "diagnostics": [_entry(entry) for entry in diagnostics]})


def document(content: dict[str, Any]) -> str:
    """A JSON document of this tool: `format_version` first, indented for eyes, final newline."""
    return (
        json.dumps({"format_version": FORMAT_VERSION, **content}, indent=2, ensure_ascii=True)
        + "\n"
    )


def _entry(diagnostic: Diagnostic) -> dict[str, Any]:
    return {
        "path": diagnostic.path,
        "line": diagnostic.span.line,
        "column": diagnostic.span.column,
        "end_line": diagnostic.span.end_line,
        "end_column": diagnostic.span.end_column,
        "severity": diagnostic.severity.value,
        "code": diagnostic.code,
        "message": diagnostic.message,
        "help": diagnostic.help,
        "related": [
            {
                "path": related.path,
                "line": related.line,
                "column": related.column,
                "message": related.message,
            }
            for related in diagnostic.related
        ],
    }
