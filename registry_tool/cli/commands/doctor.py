"""`doctor`: this machine and this repository."""

from __future__ import annotations

import click

from registry_tool.cli.app import App, pass_app
from registry_tool.cli.options import format_option

FAILED = 3


@click.command("doctor")
@format_option("text", "json")
@pass_app
def doctor_command(app: App, output: str) -> int:
    """Check this machine and this repository; each line is ok, warn or fail, with the fix.

    Exits with 3 when something fails. Nothing is changed.
    """
    from registry_tool.cli.formats.json import document
    from registry_tool.cli.formats.layout import printable, styled
    from registry_tool.cli.views.checkup import examine

    colors = {"ok": "green", "warn": "yellow", "fail": "red"}
    checks = []
    for check in examine(app):
        checks.append(check)
        if output == "text":
            label = styled(f"{check.state:4}", colors[check.state], app.color)
            app.out(f"{label}  {check.name}: {printable(check.message)}")
            if check.fix:
                app.out(f"      fix: {printable(check.fix)}")
    if output == "json":
        app.out(document({"checks": [vars(check) for check in checks]}))
    return FAILED if any(check.state == "fail" for check in checks) else 0
