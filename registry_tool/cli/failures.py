"""How failures are told: one clear message, or a crash report to send in, never a bare traceback."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import traceback
from pathlib import Path

import click

from registry_tool import __version__
from registry_tool.errors import InvalidManifests, RegistryToolError


def report(problem: RegistryToolError) -> int:
    """Print an expected failure on stderr; returns its exit code."""
    if isinstance(problem, InvalidManifests):
        from registry_tool.cli.formats.text import format_diagnostics

        click.echo(
            format_diagnostics(problem.diagnostics, color=sys.stderr.isatty()), err=True, nl=False
        )
    label = f"error[{problem.code}]" if problem.code else "error"
    click.echo(f"{click.style(label, fg='red', bold=True)}: {problem.message}", err=True)
    if problem.help:
        click.echo(f"{click.style('help', fg='cyan')}: {problem.help}", err=True)
    return problem.exit_code


def report_crash(crash: Exception) -> int:
    """Write a report of a bug to a file and say where it is; returns 1."""
    handle, name = tempfile.mkstemp(prefix="registry-tool-crash-", suffix=".txt")
    with os.fdopen(handle, "w") as file:
        file.write(
            f"registry-tool {__version__}, Python {platform.python_version()}, {platform.platform()}\n"
        )
        file.write(f"arguments: {sys.argv[1:]}\n\n")
        file.write("".join(traceback.format_exception(crash)))
    summary = str(crash).splitlines()[0] if str(crash) else ""
    click.echo(f"error: this is a bug: {type(crash).__name__}: {summary}", err=True)
    click.echo(f"help: a report to send in was written to {Path(name)}", err=True)
    return 1
