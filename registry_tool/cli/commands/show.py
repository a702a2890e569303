"""`show`: everything about one subject."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from registry_tool.cli.app import App, pass_app
from registry_tool.cli.options import format_option, rev_option
from registry_tool.errors import UsageProblem

if TYPE_CHECKING:
    from registry_tool.cli.reading import Committed
    from registry_tool.repository.history import CommitInfo


@click.command("show")
@click.argument("subject")
@rev_option()
@format_option("text", "json")
@pass_app
def show_command(app: App, subject: str, rev: str | None, output: str) -> None:
    """Show one SUBJECT: its manifest, what Git knows of it, builds, and where it runs.

    A SUBJECT is KIND/NAME, for example model/minilm, release/minilm/1.0.0/none,
    deployment/staging/search or artifact/SHA256. KIND may be left out where only one
    is meant: minilm/1.0.0.
    """
    from registry_tool.cli.formats.json import document
    from registry_tool.cli.formats.layout import styled
    from registry_tool.cli.reading import existing_subject, read_committed
    from registry_tool.cli.recorded import records_of
    from registry_tool.cli.views.page import Knowledge, page_of

    committed = read_committed(app, rev)
    wanted = existing_subject(subject, committed.desired, committed.revision.short)
    if wanted.startswith("artifact/"):
        _require_artifact(committed, wanted)

    def last_commit(paths: tuple[str, ...]) -> CommitInfo | None:
        return next(app.repository.commits(committed.revision.oid, paths, 1), None)

    page = page_of(wanted, Knowledge(committed.desired, records_of(app), last_commit))
    if output == "json":
        app.out(document({"revision": str(committed.revision), **page.item}))
        return
    lines = [f"{styled(wanted, 'bold', app.color)} at {committed.revision.short}\n"]
    for title, text in page.sections:
        lines.append(f"\n{styled(title, 'bold', app.color)}\n" if title else "\n")
        lines.append(text)
    app.out("".join(lines))


def _require_artifact(committed: Committed, subject: str) -> None:
    sha256 = subject.removeprefix("artifact/")
    locks = committed.desired.locks.values()
    if not any(file.sha256 == sha256 for located in locks for file in located.manifest.spec.files):
        raise UsageProblem(
            f"no release at {committed.revision.short} has a file with this SHA-256",
            help="registry-tool list artifacts shows all of them",
        )
