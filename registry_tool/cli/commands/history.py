"""`history`: who changed what, and what was done."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import click

from registry_tool.cli.app import App, pass_app
from registry_tool.cli.options import format_option
from registry_tool.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from registry_tool.cli.reading import Committed
    from registry_tool.cli.views.history import Event


@click.command("history")
@click.argument("subject", required=False)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="How many entries to show.",
)
@format_option("text", "json")
@pass_app
def history_command(app: App, subject: str | None, limit: int, output: str) -> None:
    """Show commits of manifests and records of what was done, newest first.

    With a SUBJECT such as release/minilm/1.0.0 only its own; moved files are followed.
    """
    from registry_tool.cli.formats.json import document
    from registry_tool.cli.reading import read_committed
    from registry_tool.cli.recorded import records_of
    from registry_tool.cli.views.history import all_commits, newest_first, records_about

    committed = read_committed(app, None)
    if subject is None:
        commits = all_commits(app.repository, committed.revision.oid, limit)
    else:
        subject = _subject(subject, committed)
        commits = _commits_of(app, committed, subject, limit)
    events = newest_first(chain(records_about(records_of(app), subject), commits))[:limit]
    if subject is not None and not events:
        raise _unknown(committed, subject)
    if output == "json":
        items = [event.as_json() for event in events]
        app.out(document({"revision": str(committed.revision), "events": items}))
    else:
        app.out(_table(events, color=app.color))


def _subject(text: str, committed: Committed) -> str:
    """What is meant; it may be gone from the manifests, but then its kind must be named."""
    from registry_tool.cli.reading import all_subjects, subject_of_any_kind
    from registry_tool.domain.subjects import parse_subject

    try:
        return parse_subject(text)
    except UsageProblem:
        found = subject_of_any_kind(text, all_subjects(committed.desired))
        if found is None:
            raise
        return found


def _commits_of(app: App, committed: Committed, subject: str, limit: int) -> Iterator[Event]:
    """The subject's commits; one that is gone is looked for where it lay by convention."""
    from registry_tool.cli.views.history import commits_of, files_at

    repository, oid = app.repository, committed.revision.oid
    files = files_at(repository, oid, subject, app.cache) or _conventional_files(subject)
    return commits_of(repository, oid, files, subject, limit=limit, cache=app.cache)


def _conventional_files(subject: str) -> dict[str, str]:
    kind, _, name = subject.partition("/")
    if kind == "artifact":
        raise UsageProblem(
            "the history of a file is that of its releases",
            help=f"registry-tool show {subject} lists them",
        )
    if kind == "template":
        return {"template": f"build_templates/{name}"}
    base = f"manifests/{kind}s/{name}"
    lock = {"lock": f"{base}.lock.yaml"} if kind == "release" else {}
    return {"manifest": f"{base}.yaml"} | lock


def _unknown(committed: Committed, subject: str) -> UsageProblem:
    from registry_tool.cli.reading import all_subjects, nearest

    return UsageProblem(
        f"nothing is known of {subject}", help=nearest(subject, all_subjects(committed.desired))
    )


def _table(events: Sequence[Event], *, color: bool) -> str:
    from registry_tool.cli.formats.layout import moment, table

    rows = [
        (
            moment(event.at),
            event.kind,
            event.name[:12] if event.kind == "commit" else event.name,
            event.who,
            event.text,
        )
        for event in events
    ]
    return table(("when", "what", "which", "who", ""), rows, color=color)
