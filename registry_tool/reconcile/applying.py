"""Applying: the named steps of one reconciliation, in order, in one place.

    read → load → check → plan → build (and publish) → deploy → record

Each step fills in its part of a `Run`. The plan is made twice: first without the lease, because most reconciliations
find nothing to do, then again under the lease, because another reconciler may just have done it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TypeVar

from registry_tool.domain.desired import Desired
from registry_tool.domain.plan import Action, Plan
from registry_tool.domain.recorded import RECORDS_BRANCH, Recorded
from registry_tool.domain.revisions import Revision
from registry_tool.errors import BuildFailed, EnvironmentProblem, PlanChanged
from registry_tool.reconcile.building import BuildAttempt, Building, build_record
from registry_tool.reconcile.deploying import Deploying
from registry_tool.reconcile.effects import Effects
from registry_tool.reconcile.incremental.checked import Checked
from registry_tool.reconcile.incremental.checking import check_commit
from registry_tool.reconcile.incremental.planning import plan_state
from registry_tool.reconcile.observations import forget_observed
from registry_tool.reconcile.outcomes import DONE, ActionOutcome, ApplyReport, Outcome
from registry_tool.reconcile.recording import Recording
from registry_tool.reconcile.redaction import error_excerpt, redact
from registry_tool.reconcile.resolving import resolve_revision
from registry_tool.reconcile.states import read_recorded
from registry_tool.repository.lease import Lease

T = TypeVar("T")
NOWHERE = Revision("HEAD", "0" * 40)


def known(value: T | None) -> T:
    """What an earlier step filled in."""
    if value is None:
        raise RuntimeError("the steps of a reconciliation ran out of order")
    return value


@dataclass(frozen=True)
class ApplyOptions:
    """What to reconcile.

    Without `rev` the tip of the branch that HEAD names, or with `remote` that branch there. `saved` is a plan that must
    still be what would be done.
    """

    rev: str | None = None
    saved: Plan | None = None
    remote: str | None = None
    allow_old: bool = False
    on_plan: Callable[[Plan, Sequence[str]], None] | None = None
    """Told the plan, and the drift that is repaired on top of it, one line each."""
    on_outcome: Callable[[ActionOutcome], None] | None = None


@dataclass
class Run:
    """What one reconciliation has learnt so far; every step fills in its part."""

    effects: Effects
    options: ApplyOptions
    stack: ExitStack
    revision: Revision = NOWHERE
    checked: Checked | None = None
    recorded: Recorded = field(default_factory=Recorded)
    plan: Plan | None = None
    lease: Lease | None = None
    recording: Recording | None = None
    repairs: Sequence[Action] = ()
    rendered_drift: Sequence[str] = ()
    outcomes: list[ActionOutcome] = field(default_factory=list)
    problems: list[EnvironmentProblem] = field(default_factory=list)
    done: bool = False

    @property
    def manifests(self) -> Desired:
        """The checked manifests, loaded when they are asked for; only after the check step."""
        return known(self.checked).require_valid(self.revision.short)

    @property
    def actions(self) -> tuple[Action, ...]:
        """What is to be done; only after the plan step."""
        return known(self.plan).actions


def read(run: Run) -> None:
    """Fetch from the remote and resolve the revision."""
    options = run.options
    run.revision = resolve_revision(
        run.effects.repository, options.rev, remote=options.remote, allow_old=options.allow_old
    )


def load(run: Run) -> None:
    """Read manifests and records, as far as they changed since the last time."""
    effects = run.effects
    run.checked = check_commit(
        effects.repository, run.revision.oid, cache=effects.cache, jobs=lambda: effects.jobs
    )
    run.recorded = read_recorded(effects.repository, cache=effects.cache)


def check(run: Run) -> None:
    """Refuse an invalid revision."""
    known(run.checked).refuse_invalid(run.revision.short)


def plan(run: Run) -> None:
    """Plan; when there is something to do take the lease, read the records again and plan again."""
    first = run.plan = _planned(run)
    _require_saved_plan(run)
    _look_for_drift(run)
    if not first.actions and not run.repairs and not run.rendered_drift:
        _show(run, first)
        run.done = True
        return
    run.lease = run.stack.enter_context(run.effects.acquire_lease())
    # What was seen before is about to be changed.
    forget_observed(run.effects.repository.state_path)
    _look_again(run)
    _show(run, known(run.plan))
    run.recording = Recording(run.effects, run.lease, run.revision, run.options.remote)


def _planned(run: Run) -> Plan:
    effects = run.effects
    return plan_state(
        effects.repository,
        known(run.checked),
        run.recorded.oid,
        head=run.revision.oid,
        cache=effects.cache,
    )


def _look_again(run: Run) -> None:
    """Branch and records may have moved while another had the lease: never undo what it did for a newer tip."""
    revision = run.revision
    read(run)
    if run.revision == revision and run.effects.repository.ref(RECORDS_BRANCH) == run.recorded.oid:
        return
    load(run)
    check(run)
    run.plan = _planned(run)
    _require_saved_plan(run)
    _look_for_drift(run)


def _look_for_drift(run: Run) -> None:
    """What engines and rendered branches have that the records do not say."""
    deploying = Deploying(run.effects, run.manifests, run.recorded, run.revision)
    run.repairs, run.problems = deploying.repairs()
    run.rendered_drift = deploying.rendered_drift()


def _show(run: Run, shown: Plan) -> None:
    if run.options.on_plan is not None:
        repairs = [f"{action.subject}: {action.reason}" for action in run.repairs]
        run.options.on_plan(shown, [*repairs, *run.rendered_drift])


def _require_saved_plan(run: Run) -> None:
    saved, now = run.options.saved, known(run.plan)
    if saved is not None and (saved.head, saved.actions) != (now.head, now.actions):
        what = (
            "the revision moved" if saved.head != now.head else "the actions are no longer the same"
        )
        raise PlanChanged(
            f"the saved plan is out of date: {what} (saved {saved.head[:12]}, now {now.head[:12]})",
            help="look at a new plan: registry-tool plan --format json > plan.json",
        )


def build(run: Run) -> None:
    """Build and publish what is missing; every result becomes a record."""
    actions = [action for action in run.actions if action.kind == "build"]
    store = run.effects.open_store(run.manifests.registry.manifest)
    building = Building(run.effects, run.manifests, run.recorded, known(run.lease).check)
    for attempt in building.run(actions):
        record = build_record(attempt, store, run.recorded, run.revision)
        if record is not None:
            known(run.recording).add(record, build_key=attempt.order.key)
        run.outcomes.append(_build_outcome(attempt))
        if attempt.problem is not None:
            run.problems.append(attempt.problem)
        _tell(run, run.outcomes[-1])


def _build_outcome(attempt: BuildAttempt) -> ActionOutcome:
    if attempt.built is not None:
        return ActionOutcome(attempt.action, DONE[attempt.action.change], _built_detail(attempt))
    if attempt.failure is not None:
        return ActionOutcome(
            attempt.action,
            Outcome.FAILED,
            redact(attempt.failure.message),
            error_excerpt(attempt.failure.log) if isinstance(attempt.failure, BuildFailed) else "",
        )
    return ActionOutcome(attempt.action, Outcome.UNAVAILABLE, known(attempt.problem).message)


def _built_detail(attempt: BuildAttempt) -> str:
    built = known(attempt.built)
    image = built.images[0]
    how = "found in the store" if built.adopted else f"in {attempt.timings.seconds:.1f} s"
    return f"{image.reference}@{image.digest[:19]} {how}"


def deploy(run: Run) -> None:
    """Deploy and remove; the records, the rendered branches and the lease move together.

    What a gate blocks is looked at again while anything gets through: a promotion may wait for a deployment of the same
    run.
    """
    failed = {entry.action.subject for entry in run.outcomes if entry.outcome not in DONE.values()}
    stale = bool(run.outcomes)
    known(run.recording).flush()
    waiting = [action for action in run.actions if action.kind != "build"]
    while True:
        if stale:
            run.recorded = read_recorded(run.effects.repository, cache=run.effects.cache)
        outcomes = _deploy_round(run, waiting, failed)
        blocked = [entry for entry in outcomes if entry.outcome is Outcome.BLOCKED]
        moved = any(entry.outcome in DONE.values() for entry in outcomes)
        again = bool(blocked) and moved
        for entry in outcomes:
            if not (again and entry.outcome is Outcome.BLOCKED):
                run.outcomes.append(entry)
                _tell(run, entry)
        if not again:
            break
        waiting = [entry.action for entry in blocked]
        stale = True
    _repair(run)


def _deploy_round(
    run: Run, actions: Sequence[Action], failed: set[str], *, gated: bool = True
) -> list[ActionOutcome]:
    deploying = Deploying(run.effects, run.manifests, run.recorded, run.revision)
    result = deploying.run(
        actions, failed, known(run.recording), known(run.lease).check, gated=gated
    )
    run.problems += result.problems
    return result.outcomes


def _repair(run: Run) -> None:
    """Bring back what is recorded where engines have something else, and nothing of the plan changed it anyway."""
    planned = {action.subject for action in run.actions}
    actions = [action for action in run.repairs if action.subject not in planned]
    if not actions:
        return
    for action in actions:
        run.effects.progress.message(f"{action.subject}: {action.reason}")
    for entry in _deploy_round(run, actions, set(), gated=False):
        run.outcomes.append(entry)
        _tell(run, entry)


def record(run: Run) -> None:
    """Write what is still pending."""
    known(run.recording).flush()


Step = Callable[[Run], None]
STEPS: tuple[tuple[str, Step], ...] = (
    ("read", read),
    ("load", load),
    ("check", check),
    ("plan", plan),
    ("build", build),
    ("deploy", deploy),
    ("record", record),
)


def apply_once(effects: Effects, options: ApplyOptions) -> ApplyReport:
    """Reconcile once and tell what became of every action.

    Raises InvalidManifests, PlanChanged, LeaseLost, UsageProblem or EnvironmentProblem when nothing (more) can be done;
    failures of single actions are in the report.
    """
    with ExitStack() as stack:
        run = Run(effects, options, stack)
        for _, step in STEPS:
            step(run)
            if run.done:
                break
    return ApplyReport(
        revision=run.revision,
        plan=known(run.plan),
        outcomes=tuple(run.outcomes),
        records=run.effects.repository.ref(RECORDS_BRANCH),
        branches=tuple(run.recording.branches) if run.recording else (),
        problems=tuple(run.problems),
    )


def _tell(run: Run, entry: ActionOutcome) -> None:
    if run.options.on_outcome is not None:
        run.options.on_outcome(entry)


__all__ = ["STEPS", "ApplyOptions", "apply_once"]
