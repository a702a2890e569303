"""What happens to one deployment: deploy it, remove it, leave it, or say why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from registry_tool.builders.templates import TemplateProblem
from registry_tool.domain.plan import Action
from registry_tool.domain.records import DeploymentRecordSpec, DeploymentResult
from registry_tool.domain.subjects import DeploymentId, ReleaseId
from registry_tool.planning.building import ReleaseOutcome
from registry_tool.planning.keys import Key, changed_parts
from registry_tool.planning.state import State, failure, listed

_RUNS = (DeploymentResult.SUCCEEDED, DeploymentResult.DELEGATED)


@dataclass(frozen=True, slots=True)
class DeploymentOutcome:
    """What is decided about a deployment: at most one of the two; neither means up to date."""

    action: Action | None = None
    skipped: str | None = None


def running(state: State, deployment_id: DeploymentId) -> DeploymentRecordSpec | None:
    """The record of what runs: the newest that succeeded, when it was not removed since."""
    for entry in reversed(state.recorded.deployments.get(deployment_id, ())):
        if entry.record.spec.result is DeploymentResult.REMOVED:
            return None
        if entry.record.spec.result in _RUNS:
            return entry.record.spec
    return None


def plan_deployment(
    state: State,
    deployment_id: DeploymentId,
    outcome_of: Callable[[ReleaseId], ReleaseOutcome],
) -> DeploymentOutcome:
    """Decide about one deployment that is in the desired state."""
    if deployment_id.subject in state.held:
        return DeploymentOutcome(skipped="invalid: `registry-tool validate` says why")
    deployment = state.desired.deployments[deployment_id].manifest
    release_id = state.tracks.release_of(deployment)
    if release_id is None or release_id not in state.desired.releases:
        return DeploymentOutcome(skipped="invalid: there is no such release")
    if deployment_id.environment not in state.desired.environments:
        return DeploymentOutcome(skipped="invalid: there is no such environment")
    decided = _decide(state, deployment_id, release_id, outcome_of(release_id))
    if deployment.spec.suspend and decided != DeploymentOutcome():
        return DeploymentOutcome(skipped="suspended")
    return decided


def _decide(
    state: State, deployment_id: DeploymentId, release_id: ReleaseId, outcome: ReleaseOutcome
) -> DeploymentOutcome:
    if outcome.key is None or not outcome.deployable:
        why = outcome.skipped or "it is not built"
        return DeploymentOutcome(skipped=f"{release_id.subject} cannot be had: {why}")
    try:
        key = state.keys.deployment(deployment_id, release_id, outcome.key.value)
    except TemplateProblem as problem:
        return DeploymentOutcome(skipped=f"invalid: {problem.message}")
    latest = state.recorded.latest_deployment(deployment_id)
    sequence = latest.sequence if latest else 0
    request = state.open_request(deployment_id.subject, key.value, sequence)
    if request is not None:
        reason = f"requested by {request.requested_by.name}"
        return _deploy(state, deployment_id, release_id, key, reason)
    if latest is not None:
        settled = _settled(state, deployment_id, latest.record.spec, key)
        if settled is not None:
            return settled
    return _deploy(state, deployment_id, release_id, key)


def _settled(
    state: State, deployment_id: DeploymentId, latest: DeploymentRecordSpec, key: Key
) -> DeploymentOutcome | None:
    """Why nothing is done: the key runs already, or has failed."""
    if latest.key == key.value:
        if latest.result in _RUNS:
            return DeploymentOutcome()
        if latest.result is DeploymentResult.REMOVED:
            return None
        word = "rolled back" if latest.result is DeploymentResult.ROLLED_BACK else "failed"
        retry = f"registry-tool retry {deployment_id.subject}"
        return DeploymentOutcome(skipped=f"{word}: {failure(latest.error)}; {retry}")
    current = running(state, deployment_id)
    back = latest.result is DeploymentResult.ROLLED_BACK
    if back and current is not None and current.key == key.value:
        return DeploymentOutcome()
    return None


def _deploy(
    state: State,
    deployment_id: DeploymentId,
    release_id: ReleaseId,
    key: Key,
    reason: str | None = None,
) -> DeploymentOutcome:
    current = running(state, deployment_id)
    changed = changed_parts(current.key_parts, key.parts) if current else ()
    if reason is None:
        reason = "not deployed yet"
        if current is not None:
            reason = _update_reason(current.release.id, release_id, changed)
    action = Action(
        kind="deploy",
        subject=deployment_id.subject,
        change="update" if current else "create",
        reason=reason,
        changed=changed,
        key=key.value,
    )
    return DeploymentOutcome(action=action)


def _update_reason(old: ReleaseId, new: ReleaseId, changed: tuple[str, ...]) -> str:
    if not changed:
        return "the last deployment failed"
    if old == new:
        return f"{listed(changed)} changed"
    others = tuple(name for name in changed if name != "build")
    replaced = f"release {old} is replaced by {new}"
    return f"{replaced}; {listed(others)} changed" if others else replaced


def plan_removal(state: State, deployment_id: DeploymentId) -> DeploymentOutcome:
    """Decide about a deployment that is recorded and no longer in the desired state."""
    latest = state.recorded.latest_deployment(deployment_id)
    if latest is None or latest.record.spec.result is DeploymentResult.REMOVED:
        return DeploymentOutcome()
    name = deployment_id.environment
    if deployment_id.subject in state.held or f"environment/{name}" in state.held:
        return DeploymentOutcome(skipped="invalid: `registry-tool validate` says why")
    environment = state.desired.environments.get(name)
    if environment is None:
        return DeploymentOutcome(
            skipped=f"environment/{name} was deleted while this runs; restore it, set allow_empty, "
            "and delete it after this was removed"
        )
    if not environment.manifest.spec.allow_empty and not state.populated(name):
        return DeploymentOutcome(skipped="would empty the environment; set allow_empty")
    return DeploymentOutcome(
        action=Action(
            kind="undeploy",
            subject=deployment_id.subject,
            change="delete",
            reason="no longer declared",
            key=latest.record.spec.key,
        )
    )
