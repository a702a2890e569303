"""The deploy step: gates, images that must be there, rendered branches, engines, and a record for each change."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from registry_tool.deployers.interface import ENGINES, Deployed, Place
from registry_tool.domain.desired import Desired
from registry_tool.domain.plan import Action
from registry_tool.domain.recorded import Recorded
from registry_tool.domain.records import DeploymentResult
from registry_tool.domain.references import ImageReference
from registry_tool.domain.revisions import Revision
from registry_tool.domain.subjects import DeploymentId, parse_deployment
from registry_tool.errors import EngineProblem, EnvironmentProblem, RegistryToolError
from registry_tool.failpoints import reach
from registry_tool.planning.gates import blocked
from registry_tool.reconcile.deployment_records import DeploymentRecords
from registry_tool.reconcile.effects import Effects
from registry_tool.reconcile.engine_work import (
    Deployers,
    EngineResult,
    EngineRunner,
    EngineWork,
    deployer_of,
)
from registry_tool.reconcile.outcomes import DONE, ActionOutcome, Outcome
from registry_tool.reconcile.recording import Recording
from registry_tool.reconcile.redaction import error_excerpt, redact
from registry_tool.reconcile.rendering import RENDERERS, Rendering
from registry_tool.reconcile.services import Resolved, Services

Drift = Mapping[DeploymentId, Sequence[str]]
"""In what deployments on engines are not what is recorded."""


@dataclass
class DeployResult:
    """What became of each action, and what outside could not be used."""

    outcomes: list[ActionOutcome] = field(default_factory=list)
    problems: list[EnvironmentProblem] = field(default_factory=list)


@dataclass
class _Sorted:
    """Actions by who carries them out."""

    rendered: dict[DeploymentId, Action] = field(default_factory=dict)
    unrendered: dict[DeploymentId, Action] = field(default_factory=dict)
    works: list[EngineWork] = field(default_factory=list)


class Deploying:
    """Carries out the deployments of one plan."""

    def __init__(
        self, effects: Effects, desired: Desired, recorded: Recorded, revision: Revision
    ) -> None:
        self._effects = effects
        self._desired = desired
        self._recorded = recorded
        self._revision = revision

    @cached_property
    def _services(self) -> Services:
        return Services(self._desired, self._recorded)

    @cached_property
    def _rendering(self) -> Rendering:
        return Rendering(self._effects.repository, self._desired, self._services)

    @cached_property
    def _records(self) -> DeploymentRecords:
        return DeploymentRecords(
            self._effects, self._desired, self._recorded, self._revision, self._services
        )

    @cached_property
    def _deployers(self) -> Deployers:
        store = self._effects.open_store(self._desired.registry.manifest)
        return self._effects.open_deployers(store)

    # --- looking ---------------------------------------------------------------------------------

    def rendered_drift(self) -> list[str]:
        """What differs between the rendered branches and the records, one line for each file."""
        return self._rendering.drift()

    def engine_drift(self) -> tuple[Drift, list[EnvironmentProblem]]:
        """In what deployments on engines differ from the records, and engines that could not be asked."""
        drift: dict[DeploymentId, Sequence[str]] = {}
        problems: list[EnvironmentProblem] = []
        for name, environment in sorted(self._desired.environments.items()):
            place = Place(name, environment.manifest.spec.target)
            services = self._services.settled(name) if place.target.type in ENGINES else ()
            if not services:
                continue
            known = self._services.names(name)
            try:
                found = deployer_of(self._deployers, place).drift(place, services, known)
            except RegistryToolError as problem:
                problems.append(_unobserved(name, problem))
                continue
            drift |= {DeploymentId(name, deployed): found[deployed] for deployed in sorted(found)}
        return drift, problems

    def repairs(self) -> tuple[list[Action], list[EnvironmentProblem]]:
        """What brings back what is recorded where engines have something else; it is in no plan."""
        drift, problems = self.engine_drift()
        actions = []
        for deployment_id, what in drift.items():
            declared = deployment_id in self._desired.deployments
            resolved = self._services.resolve(deployment_id) if declared else None
            if resolved is not None:
                actions.append(
                    Action(
                        kind="deploy",
                        subject=deployment_id.subject,
                        change="update",
                        reason=f"drift: {'; '.join(what)}",
                        key=resolved.key.value,
                    )
                )
        return actions, problems

    # --- doing -----------------------------------------------------------------------------------

    def run(
        self,
        actions: Sequence[Action],
        not_built: Collection[str],
        recording: Recording,
        lease_check: Callable[[], None],
        *,
        gated: bool = True,
    ) -> DeployResult:
        """Carry out deploy and undeploy actions, and record them.

        `not_built` are releases whose build just failed. A repair is not `gated`: it changes nothing that is recorded.
        """
        result = DeployResult()
        work = self._sort(actions, not_built, result, gated=gated)
        self._render(work, recording, result, lease_check)
        deployers = self._deployers if work.works else {}
        for ended in EngineRunner(self._effects, deployers, lease_check).run(work.works):
            self._take(ended, recording, result)
        recording.flush()
        return result

    def _sort(
        self,
        actions: Sequence[Action],
        not_built: Collection[str],
        result: DeployResult,
        *,
        gated: bool,
    ) -> _Sorted:
        work = _Sorted()
        for action in actions:
            deployment_id = parse_deployment(action.subject)
            gate = self._gate(deployment_id) if gated else None
            refusal = gate or self._refusal(action, deployment_id, not_built)
            if refusal is not None:
                result.outcomes.append(ActionOutcome(action, Outcome.BLOCKED, refusal))
                continue
            environment = self._desired.environments.get(deployment_id.environment)
            target = environment.manifest.spec.target if environment is not None else None
            leave = self._services.engine_places(deployment_id)
            if target is not None and target.type in RENDERERS:
                chosen = work.rendered if action.kind == "deploy" else work.unrendered
                chosen[deployment_id] = action
                if leave:
                    work.works.append(EngineWork(deployment_id, None, leave=leave))
            elif action.kind == "undeploy":
                work.works.append(EngineWork(deployment_id, action, leave=leave))
            elif target is not None:
                place = Place(deployment_id.environment, target)
                work.works.append(self._work(deployment_id, action, place, leave))
        return work

    def _work(
        self,
        deployment_id: DeploymentId,
        action: Action,
        place: Place,
        places: Sequence[Place],
    ) -> EngineWork:
        resolved = self._services.resolve(deployment_id)
        leave = tuple(
            other
            for other in places
            if (other.target.type, other.target.host) != (place.target.type, place.target.host)
        )
        return EngineWork(
            deployment_id, action, place, resolved.service if resolved else None, leave
        )

    def _render(
        self,
        work: _Sorted,
        recording: Recording,
        result: DeployResult,
        lease_check: Callable[[], None],
    ) -> None:
        started = self._effects.now()
        branches = self._rendering.branches(work.rendered.keys(), work.unrendered.keys())
        reach("rendered")
        lease_check()
        for deployment_id, action in sorted({**work.rendered, **work.unrendered}.items()):
            if action.kind == "deploy":
                recording.add(self._records.rendered(deployment_id, started))
            else:
                recording.add(self._records.removed(deployment_id, started))
            result.outcomes.append(self._rendered_outcome(deployment_id, action))
        recording.flush(branches)

    def _rendered_outcome(self, deployment_id: DeploymentId, action: Action) -> ActionOutcome:
        if action.kind == "undeploy":
            return ActionOutcome(action, Outcome.DELETED, "")
        release = self._services.release_of(deployment_id)
        detail = f"{release} rendered to deploy/{deployment_id.environment}"
        return ActionOutcome(action, DONE[action.change], detail)

    def _take(self, ended: EngineResult, recording: Recording, result: DeployResult) -> None:
        """Record how work on an engine ended, and tell."""
        action, deployment_id = ended.work.action, ended.work.deployment
        if ended.problem is not None:
            result.problems.append(ended.problem)
        if action is None:
            return
        if ended.ended is None:
            why = ended.problem.message if ended.problem is not None else ""
            result.outcomes.append(ActionOutcome(action, Outcome.UNAVAILABLE, why))
            return
        if action.kind == "deploy":
            recording.add(self._records.deployed(deployment_id, ended.started, ended.ended))
        elif ended.ended.result is DeploymentResult.SUCCEEDED:
            recording.add(self._records.removed(deployment_id, ended.started))
        result.outcomes.append(self._engine_outcome(deployment_id, action, ended.ended))

    def _engine_outcome(
        self, deployment_id: DeploymentId, action: Action, ended: Deployed
    ) -> ActionOutcome:
        if ended.result is not DeploymentResult.SUCCEEDED:
            output, _, reason = ended.error.rstrip().rpartition("\n")
            back = ended.result is DeploymentResult.ROLLED_BACK
            detail = f"rolled back: {redact(reason)}" if back else redact(reason)
            return ActionOutcome(action, Outcome.FAILED, detail, error_excerpt(output))
        if action.kind == "undeploy":
            return ActionOutcome(action, Outcome.DELETED, "")
        health = f", {ended.health}" if ended.health != "unknown" else ""
        detail = f"{self._services.release_of(deployment_id)} runs{health}"
        return ActionOutcome(action, DONE[action.change], detail)

    # --- what stands in the way ------------------------------------------------------------------

    def _gate(self, deployment_id: DeploymentId) -> str | None:
        who = self._records.who(deployment_id)
        return blocked(self._desired, self._recorded, deployment_id, self._effects.now(), who)

    def _refusal(
        self, action: Action, deployment_id: DeploymentId, not_built: Collection[str]
    ) -> str | None:
        """Why a deployment cannot be begun; a removal always can."""
        if action.kind == "undeploy":
            return None
        release_id = self._services.release_of(deployment_id)
        if release_id is not None and release_id.subject in not_built:
            return f"{release_id.subject} was not built"
        resolved = self._services.resolve(deployment_id)
        if resolved is None or resolved.key.value != action.key:
            return "its release is not built as planned"
        return self._missing_image(resolved)

    def _missing_image(self, resolved: Resolved) -> str | None:
        image = ImageReference.parse(resolved.service.image)
        repository = resolved.service.release.model
        store = self._effects.open_store(self._desired.registry.manifest)
        if image.digest is not None and store.resolve(repository, image.digest) is not None:
            return None
        return (
            f"{resolved.service.image} is not in the store any more; "
            f"registry-tool build {resolved.service.release} makes it again"
        )


def _unobserved(environment: str, problem: RegistryToolError) -> EnvironmentProblem:
    return EngineProblem(
        f"environment/{environment} cannot be observed: {problem.message}",
        help=problem.help,
        code=problem.code,
    )
