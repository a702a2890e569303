"""`plan`: what would be built and deployed, and why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from registry_tool.cli.ahead import ahead
from registry_tool.cli.app import App, pass_app
from registry_tool.cli.options import format_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_tool.domain.plan import Plan
    from registry_tool.domain.recorded import Recorded
    from registry_tool.domain.revisions import Revision
    from registry_tool.reconcile.incremental.checked import Checked
    from registry_tool.repository.repository import Repository
    from registry_tool.repository.work_tree import WorkTreeSnapshot

PENDING = 4
"""Exit code of --exit-code when there is something to do."""
LARGE_INDEX = 4_000_000
"""Bytes of a Git index (about 40,000 files) beyond which looking for changes takes longer than planning."""


@click.command("plan")
@click.option(
    "--base",
    metavar="REV",
    help="Plan against the state that this revision would produce, instead of what is recorded.",
)
@click.option("--head", metavar="REV", help="The revision to plan; HEAD by default.")
@format_option("text", "json", "markdown")
@click.option("--exit-code", is_flag=True, help="Exit with 4 when there is something to do.")
@click.option("--observe", is_flag=True, help="Also compare what is recorded with what is there.")
@pass_app
def plan_command(
    app: App, base: str | None, head: str | None, output: str, exit_code: bool, observe: bool
) -> int:
    """Show what would be built and deployed, and why.

    Reads commits only: the same commits give the same plan on any machine. Save a plan with
    `--format json > plan.json` and have it done with `apply --plan plan.json`.
    """
    repository = app.repository
    revision = repository.revision(head)
    work_tree = _work_tree(repository) if head is None else None
    with ahead(lambda: work_tree and work_tree.state):
        import registry_tool.reconcile.incremental.planning  # noqa: F401
    plan, checked = _planned(app, revision, base)
    drift = _drift(app, checked, revision) if observe else None
    app.out(_render(plan, drift, output, color=app.color))
    if work_tree is not None:
        _note_uncommitted(app, work_tree)
    return PENDING if exit_code and (plan.actions or drift) else 0


def _planned(app: App, revision: Revision, base: str | None) -> tuple[Plan, Checked]:
    """The plan in proportion to what changed since the last one, or against another revision."""
    from registry_tool.cli.recorded import fetch_records, records_of
    from registry_tool.planning.planner import plan as make_plan
    from registry_tool.reconcile.incremental.checking import check_commit
    from registry_tool.reconcile.incremental.planning import plan_state

    repository, cache = app.repository, app.cache
    against = repository.resolve(base) if base is not None else None
    checked = check_commit(
        repository, revision.oid, base=against, cache=cache, jobs=lambda: app.jobs
    )
    checked.refuse_invalid(revision.short)
    if against is None:
        records = fetch_records(app)
        return plan_state(repository, checked, records, head=revision.oid, cache=cache), checked
    before = _after(app, against, records_of(app))
    return make_plan(checked.require_valid(revision.short), before, head=revision.oid), checked


def _drift(app: App, checked: Checked, revision: Revision) -> list[str]:
    """Where what is there differs from what is recorded."""
    from registry_tool.cli.observing import observe
    from registry_tool.cli.recorded import records_ref
    from registry_tool.reconcile.states import read_recorded

    recorded = read_recorded(app.repository, ref=records_ref(app.repository), cache=app.cache)
    return observe(app, checked.require_valid(revision.short), recorded, revision)


def _after(app: App, base: str, recorded: Recorded) -> Recorded:
    """What would be recorded once `base` is applied."""
    from registry_tool.planning.planner import plan as make_plan
    from registry_tool.planning.simulating import recorded_after
    from registry_tool.reconcile.states import read_desired_at

    state = read_desired_at(app.repository, base, cache=app.cache, jobs=app.jobs)
    if state.errors or state.desired is None:
        app.note(
            f"note: the base {base[:12]} has errors and would not be applied;"
            " this plan is against what is recorded"
        )
        return recorded
    return recorded_after(state.desired, recorded, make_plan(state.desired, recorded, head=base))


def _render(plan: Plan, drift: Sequence[str] | None, output: str, *, color: bool) -> str:
    from registry_tool.cli.formats import plan_markdown, plan_text

    if output == "json":
        if drift is None:
            return plan.to_json().decode()
        return json.dumps(plan.model_dump(mode="json") | {"drift": list(drift)}, indent=2)
    if output == "markdown":
        shown = plan_markdown.format_plan(plan)
        return shown if drift is None else shown + plan_markdown.format_drift(drift)
    shown = plan_text.format_plan(plan, color=color, drifted=bool(drift))
    return shown if drift is None else plan_text.format_drift(drift, color=color) + shown


def _work_tree(repository: Repository) -> WorkTreeSnapshot | None:
    """The work tree, where looking for changes in it does not take long."""
    if repository.work_tree is None or _index_size(repository) > LARGE_INDEX:
        return None
    return repository.work_tree_snapshot()


def _note_uncommitted(app: App, work_tree: WorkTreeSnapshot) -> None:
    """Say so when the work tree has changes that this plan does not know."""
    changed = sorted(work_tree.state.overlay)
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        app.note(f"note: not planned, because not committed: {changed[0]}{more}")


def _index_size(repository: Repository) -> int:
    try:
        return (repository.git_dir / "index").stat().st_size
    except OSError:
        return 0
