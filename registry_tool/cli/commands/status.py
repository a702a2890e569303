"""`status`: what runs where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from registry_tool.cli.app import App, pass_app
from registry_tool.cli.options import format_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_tool.cli.views.status import Standing
    from registry_tool.domain.desired import Desired
    from registry_tool.domain.plan import Plan
    from registry_tool.domain.recorded import Recorded
    from registry_tool.domain.revisions import Revision
    from registry_tool.reconcile.incremental.checked import Checked


@click.command("status")
@click.argument("environment", required=False)
@format_option("text", "json")
@pass_app
def status_command(app: App, environment: str | None, output: str) -> None:
    """Show what runs where: recorded releases, and what is about to change.

    Reads the manifests at HEAD and the records. Where the reconciler runs, it also looks at rendered
    branches and engines.
    """
    from registry_tool.cli.finding import require_environment
    from registry_tool.cli.formats.json import document
    from registry_tool.cli.formats.layout import printable
    from registry_tool.cli.recorded import records_of
    from registry_tool.cli.views.status import standings
    from registry_tool.reconcile.incremental.checking import check_commit

    revision = app.repository.revision()
    checked = check_commit(app.repository, revision.oid, cache=app.cache, jobs=lambda: app.jobs)
    desired = checked.require_readable(revision.short)
    recorded = records_of(app)
    known = {deployment.environment for deployment in recorded.deployments}
    if environment is not None and environment not in known:
        require_environment(desired, environment, revision.short)
    plan = _plan(app, checked, recorded, revision.oid)
    drift = _drift(app, desired, recorded, revision) if plan is not None else []
    rows = list(standings(desired, recorded, plan, environment=environment, drift=drift))
    if output == "json":
        app.out(
            document(
                {
                    "revision": str(revision),
                    "records": recorded.oid,
                    "deployments": [row.as_json() for row in rows],
                    "drift": drift,
                }
            )
        )
        return
    records = f", records {recorded.oid[:12]}" if recorded.oid else ", nothing recorded yet"
    app.note(f"Manifests {revision.short}{records}")
    if rows:
        app.out(_table(rows, color=app.color))
    else:
        app.note("no deployments" + (f" in {environment}" if environment else ""))
    for line in drift:
        app.out(f"drift: {printable(line)}")


def _drift(app: App, desired: Desired, recorded: Recorded, revision: Revision) -> list[str]:
    from registry_tool.cli.observing import can_observe, observe

    return observe(app, desired, recorded, revision) if can_observe(app) else []


def _plan(app: App, checked: Checked, recorded: Recorded, head: str) -> Plan | None:
    from registry_tool.reconcile.incremental.planning import plan_state

    if checked.errors:
        app.note(
            "note: the manifests have errors, so nothing is shown as pending;"
            f" see registry-tool validate --rev {head[:12]}"
        )
        return None
    return plan_state(app.repository, checked, recorded.oid, head=head, cache=app.cache)


def _table(rows: Sequence[Standing], *, color: bool) -> str:
    from registry_tool.cli.formats.layout import moment, table

    cells = [
        (
            row.deployment.environment,
            row.deployment.name,
            row.wanted or "(removed)",
            "same" if row.release == row.wanted else row.release or "nothing",
            row.digest.removeprefix("sha256:")[:12] if row.digest else "",
            ", ".join(filter(None, (row.result, row.health if row.health != "unknown" else None))),
            moment(row.since) if row.since else "",
            row.who or "",
            "; ".join(filter(None, (row.pending, "drift" if row.drift else None))),
        )
        for row in rows
    ]
    headings = (
        "environment",
        "name",
        "wanted",
        "runs",
        "digest",
        "result",
        "since",
        "who",
        "pending",
    )
    return table(headings, cells, color=color)
