"""Diagnostics as JUnit XML: a failed test case for each error."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from registry_tool.cli.formats.layout import counted, printable
from registry_tool.cli.formats.text import headline
from registry_tool.domain.diagnostics import Diagnostic, Severity


def format_diagnostics(diagnostics: Sequence[Diagnostic], *, checked: int) -> str:
    """One suite; without errors its one passing case says how many manifests were checked."""
    errors = [entry for entry in diagnostics if entry.severity is Severity.ERROR]
    warnings = [entry for entry in diagnostics if entry.severity is not Severity.ERROR]
    root = ET.Element("testsuites")
    suite = ET.SubElement(
        root,
        "testsuite",
        name="registry-tool validate",
        tests=str(len(errors) or 1),
        failures=str(len(errors)),
        errors="0",
    )
    for entry in errors:
        _failure(suite, entry)
    if not errors:
        ET.SubElement(suite, "testcase", classname="manifests", name=counted(checked, "manifest"))
    if warnings:
        ET.SubElement(suite, "system-out").text = "\n".join(map(headline, warnings))
    ET.indent(root)
    body = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _failure(suite: ET.Element, diagnostic: Diagnostic) -> None:
    span = diagnostic.span
    case = ET.SubElement(
        suite,
        "testcase",
        classname=printable(diagnostic.path),
        name=f"{diagnostic.code} at line {span.line}, column {span.column}",
        file=printable(diagnostic.path),
        line=str(span.line),
    )
    message = printable(diagnostic.message)
    failure = ET.SubElement(case, "failure", type=diagnostic.code, message=message)
    notes = [
        f"note: {related.path}:{related.line}:{related.column}: {related.message}"
        for related in diagnostic.related
    ]
    details = [
        headline(diagnostic),
        *map(printable, notes),
        *([f"help: {printable(diagnostic.help)}"] if diagnostic.help else []),
    ]
    failure.text = "\n".join(details)
