"""Diagnostics as GitHub workflow commands, which become annotations on a pull request.

GitHub keeps ten errors and ten warnings of a step, so the rest is written as plain lines of the
log, and a notice says how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence

from registry_tool.cli.formats.layout import counted, printable
from registry_tool.cli.formats.text import headline, totals
from registry_tool.domain.diagnostics import Diagnostic, Severity

LIMIT = 10
"""Annotations of each severity."""


def format_diagnostics(diagnostics: Sequence[Diagnostic]) -> str:
    """Workflow commands, one a line; empty without diagnostics."""
    if not diagnostics:
        return ""
    annotated, left = _split(diagnostics)
    lines = [_annotation(entry) for entry in annotated]
    if left:
        lines += ["::group::" + _data(f"{len(left)} more"), *map(headline, left), "::endgroup::"]
        notice = f"{totals(diagnostics)}; {counted(len(left), 'diagnostic')} more in the log"
        lines.append(f"::notice title=registry-tool validate::{_data(notice)}")
    return "\n".join(lines) + "\n"


def _split(diagnostics: Sequence[Diagnostic]) -> tuple[list[Diagnostic], list[Diagnostic]]:
    annotated, left = [], []
    room = dict.fromkeys(Severity, LIMIT)
    for entry in diagnostics:
        if room[entry.severity]:
            room[entry.severity] -= 1
            annotated.append(entry)
        else:
            left.append(entry)
    return annotated, left


def _annotation(diagnostic: Diagnostic) -> str:
    span = diagnostic.span
    properties = {"file": diagnostic.path, "line": str(span.line), "endLine": str(span.end_line)}
    if span.end_line == span.line:
        properties |= {"col": str(span.column), "endColumn": str(span.end_column)}
    properties["title"] = f"{diagnostic.code} {diagnostic.message}"[:200]
    written = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{diagnostic.severity.value} {written}::{_data(_message(diagnostic))}"


def _message(diagnostic: Diagnostic) -> str:
    parts = [f"{diagnostic.code}: {diagnostic.message}"]
    parts += [
        f"note: {related.path}:{related.line}:{related.column}: {related.message}"
        for related in diagnostic.related
    ]
    if diagnostic.help:
        parts.append(f"help: {diagnostic.help}")
    return "\n".join(printable(line) for part in parts for line in part.split("\n"))


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(printable(text)).replace(":", "%3A").replace(",", "%2C")
