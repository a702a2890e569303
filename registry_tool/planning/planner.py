"""The plan: everything that desired and recorded state together ask for, with reasons."""

from __future__ import annotations

from collections.abc import Iterable

from registry_tool.domain.desired import Desired
from registry_tool.domain.plan import Action, Plan, Skipped
from registry_tool.domain.recorded import Recorded
from registry_tool.domain.subjects import DeploymentId, ReleaseId
from registry_tool.planning.building import ReleaseOutcome, plan_release
from registry_tool.planning.deploying import DeploymentOutcome, plan_deployment, plan_removal
from registry_tool.planning.layers import with_bytes
from registry_tool.planning.state import State


def plan(
    desired: Desired,
    recorded: Recorded,
    *,
    head: str,
    held: frozenset[str] = frozenset(),
) -> Plan:
    """What would be built, deployed and removed, and what would not, and why.

    `head` is the manifests' commit; `held` are subjects with errors, which stay as they are
    recorded together with all that depends on them. Equal arguments give equal bytes.
    """
    state = State(desired, recorded, held)
    outcomes = {release: plan_release(state, release) for release in sorted(desired.releases)}
    builds = list(outcomes.items())
    deployments = [
        (deployment, plan_deployment(state, deployment, outcomes.__getitem__))
        for deployment in sorted(desired.deployments)
    ]
    gone = sorted(recorded.deployments.keys() - desired.deployments.keys())
    deployments += [(deployment, plan_removal(state, deployment)) for deployment in gone]
    actions = [outcome.action for _, outcome in builds if outcome.action is not None]
    actions += [outcome.action for _, outcome in deployments if outcome.action is not None]
    entries: Iterable[tuple[ReleaseId | DeploymentId, ReleaseOutcome | DeploymentOutcome]] = (
        *builds,
        *deployments,
    )
    skipped = [
        Skipped(subject=identity.subject, reason=outcome.skipped)
        for identity, outcome in entries
        if outcome.skipped is not None
    ]
    return _counted(state, Plan.of(head, recorded.oid, actions, skipped))


def _counted(state: State, made: Plan) -> Plan:
    """The plan with bytes: each build in plan order may reuse what the ones before it wrote."""
    builds = [action for action in made.actions if action.kind == "build"]
    if not builds:
        return made
    counted: dict[str, Action] = {action.subject: action for action in with_bytes(state, builds)}
    actions = [
        counted[action.subject] if action.kind == "build" else action for action in made.actions
    ]
    return made.model_copy(update={"actions": tuple(actions)})
