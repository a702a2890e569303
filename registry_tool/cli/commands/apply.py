"""`apply`: reconcile once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
from pydantic import ValidationError

from registry_tool.builders.docker import DockerBuilder
from registry_tool.builders.native import NativeBuilder
from registry_tool.cli.app import App, pass_app
from registry_tool.cli.engines import engine_deployers
from registry_tool.cli.formats.plan_text import format_drift, format_plan
from registry_tool.cli.options import format_option
from registry_tool.domain.plan import Plan
from registry_tool.errors import UsageProblem
from registry_tool.reconcile.applying import ApplyOptions
from registry_tool.reconcile.applying import apply_once as reconcile_once
from registry_tool.reconcile.effects import Effects, utc_now
from registry_tool.reconcile.live import LiveReport
from registry_tool.reconcile.outcomes import ActionOutcome, ApplyReport, Outcome
from registry_tool.repository.lease import Lease
from registry_tool.storage.storage import Storage

LEASE_SECONDS = 60.0
_LINES = 10
"""Lines that are shown of what failed."""


def effects_for(app: App, *, remote: str | None = None, wait: float = 600.0) -> Effects:
    """The real outside world, put together for one run."""

    def acquire_lease() -> Lease:
        return Lease.acquire(
            app.repository,
            remote=remote,
            ttl=LEASE_SECONDS,
            wait=wait,
            clock=utc_now,
            on_wait=app.note,
        )

    return Effects(
        repository=app.repository,
        open_store=app.open_store,
        open_storage=Storage,
        builders={"native": NativeBuilder(), "docker": DockerBuilder()},
        acquire_lease=acquire_lease,
        open_deployers=partial(engine_deployers, app),
        cache=app.cache,
        progress=app.progress,
        jobs=app.jobs,
    )


def apply_once(app: App, *, rev: str | None = None) -> int:
    """Reconcile this repository and print what became of it; returns the exit code."""
    return _apply(app, ApplyOptions(rev=rev), wait=600.0, output="text")


def _apply(app: App, options: ApplyOptions, *, wait: float, output: str) -> int:
    live = LiveReport(app.repository.state_dir, utc_now)

    def show(plan: Plan, drift: Sequence[str]) -> None:
        live.planned(plan)
        if output == "text":
            if drift:
                app.out(format_drift(drift, color=app.color))
            app.out(format_plan(plan, color=app.color, drifted=bool(drift)))

    def tell(entry: ActionOutcome) -> None:
        live.ended(entry)
        if output == "text":
            app.out(f"{entry.outcome}: {entry.action.subject}  {entry.detail}".rstrip())
            _note_output(app, entry)

    effects = live.watch(effects_for(app, remote=options.remote, wait=wait))
    with live:
        report = reconcile_once(effects, replace(options, on_plan=show, on_outcome=tell))
    app.out(_as_json(report) if output == "json" else _as_text(report))
    for problem in report.problems:
        app.note(f"error: {problem.message}" + (f"\nhelp: {problem.help}" if problem.help else ""))
    return report.exit_code


def _note_output(app: App, entry: ActionOutcome) -> None:
    """What was written last before a failure, and where the rest is."""
    if entry.outcome is not Outcome.FAILED:
        return
    for line in entry.output.splitlines()[-_LINES:]:
        app.note(f"    | {line}")
    if entry.action.kind == "build":
        app.note(f"all of it: registry-tool log {entry.action.subject.removeprefix('release/')}")


def _as_json(report: ApplyReport) -> str:
    document = {
        "format_version": 1,
        "revision": str(report.revision),
        "plan": report.plan.model_dump(mode="json"),
        "results": [
            {
                "kind": entry.action.kind,
                "subject": entry.action.subject,
                "key": entry.action.key,
                "result": entry.outcome,
                "detail": entry.detail,
            }
            for entry in report.outcomes
        ],
        "records": report.records,
        "branches": list(report.branches),
    }
    return json.dumps(document, indent=2)


def _as_text(report: ApplyReport) -> str:
    counts: dict[str, int] = {}
    for entry in report.outcomes:
        counts[entry.outcome] = counts.get(entry.outcome, 0) + 1
    total = ", ".join(f"{count} {name}" for name, count in counts.items()) or "nothing to do"
    records = f" Records: {report.records[:12]}." if report.records else ""
    return f"Apply of {report.revision.short}: {total}.{records}"


def _saved_plan(path: str | None) -> Plan | None:
    if path is None:
        return None
    try:
        return Plan.model_validate_json(Path(path).read_bytes())
    except OSError as problem:
        raise UsageProblem(f"cannot read the plan {path}: {problem.strerror}") from problem
    except ValidationError as problem:
        raise UsageProblem(
            f"{path} is not a saved plan: {problem.errors()[0]['msg']}",
            help="save one with: registry-tool plan --format json > plan.json",
        ) from problem


@click.command("apply")
@click.option("--rev", metavar="REV", help="The revision to apply; the branch's tip by default.")
@click.option(
    "--plan",
    "plan_file",
    metavar="FILE",
    help="Refuse unless the actions are those of this saved plan.",
)
@click.option(
    "--push",
    "remote",
    metavar="[REMOTE]",
    is_flag=False,
    flag_value="origin",
    help="Fetch from a remote first (origin by default) and push records and rendered branches there.",
)
@click.option("--allow-old", is_flag=True, help="Accept a revision behind the branch's tip.")
@click.option(
    "--wait", default=600.0, show_default=True, help="Seconds to wait for another reconciler."
)
@format_option("text", "json")
@pass_app
def apply_command(
    app: App,
    rev: str | None,
    plan_file: str | None,
    remote: str | None,
    allow_old: bool,
    wait: float,
    output: str,
) -> int:
    """Reconcile once: build what is missing, deploy it, and record what was done as commits.

    Running it again changes nothing. It may be interrupted at any point and run again.
    """
    options = ApplyOptions(
        rev=rev, saved=_saved_plan(plan_file), remote=remote, allow_old=allow_old
    )
    return _apply(app, options, wait=wait, output=output)
