"""The plan: everything that desired and recorded state together ask for, with reasons."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass

from registry_tool.domain.desired import Desired
from registry_tool.domain.plan import Action, Plan, Skipped
from registry_tool.domain.recorded import Recorded
from registry_tool.domain.subjects import DeploymentId, ReleaseId
from registry_tool.planning.building import ReleaseOutcome, plan_release
from registry_tool.planning.deploying import DeploymentOutcome, plan_deployment, plan_removal
from registry_tool.planning.layers import Layers, planned_layers, with_bytes
from registry_tool.planning.state import State


@dataclass(frozen=True, slots=True)
class Decision:
    """What is decided about one subject. Of a build it has the layers, and not yet the bytes."""

    identity: ReleaseId | DeploymentId
    action: Action | None
    skipped: str | None
    layers: Layers = ()


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
    decisions = decide(state)
    builds = any(decision.layers for decision in decisions)
    return assemble(head, recorded.oid, decisions, state.stored_layers() if builds else ())


def decide(state: State) -> list[Decision]:
    """What is decided about every subject for which there is something to do or to say."""
    desired, recorded = state.desired, state.recorded
    outcomes = {release: plan_release(state, release) for release in sorted(desired.releases)}
    entries: list[tuple[ReleaseId | DeploymentId, ReleaseOutcome | DeploymentOutcome]] = [
        *outcomes.items()
    ]
    entries += [
        (deployment, plan_deployment(state, deployment, outcomes.__getitem__))
        for deployment in sorted(desired.deployments)
    ]
    gone = sorted(recorded.deployments.keys() - desired.deployments.keys())
    entries += [(deployment, plan_removal(state, deployment)) for deployment in gone]
    return [
        Decision(identity, outcome.action, outcome.skipped, _layers(state, identity, outcome))
        for identity, outcome in entries
        if outcome.action is not None or outcome.skipped is not None
    ]


def _layers(
    state: State,
    identity: ReleaseId | DeploymentId,
    outcome: ReleaseOutcome | DeploymentOutcome,
) -> Layers:
    if not isinstance(identity, ReleaseId) or outcome.action is None:
        return ()
    return tuple(dict(planned_layers(state, identity)).items())


def assemble(
    head: str, base: str | None, decisions: Iterable[Decision], stored: Container[str]
) -> Plan:
    """The plan that decisions make. `stored` are digests of layers that the store has.

    Each build, in plan order, may reuse what the ones before it write.
    """
    actions = []
    skipped = []
    layers: dict[str, Layers] = {}
    for decision in decisions:
        if decision.action is not None:
            actions.append(decision.action)
            layers[decision.action.subject] = decision.layers
        if decision.skipped is not None:
            skipped.append(Skipped(subject=decision.identity.subject, reason=decision.skipped))
    made = Plan.of(head, base, actions, skipped)
    if not any(action.kind == "build" for action in made.actions):
        return made
    return made.model_copy(update={"actions": tuple(with_bytes(made.actions, layers, stored))})
