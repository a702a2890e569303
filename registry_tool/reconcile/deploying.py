"""The deploy step: gates, images that must be there, rendered branches, and a record for each change."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from registry_tool.deployers import compose
from registry_tool.domain.desired import Desired
from registry_tool.domain.environment import Environment, TargetType
from registry_tool.domain.manifest import API_VERSION
from registry_tool.domain.plan import Action
from registry_tool.domain.recorded import DEPLOY_BRANCHES, Recorded, deployments_folder
from registry_tool.domain.records import (
    DeploymentRecord,
    DeploymentRecordSpec,
    DeploymentResult,
    RecordedRelease,
    Timings,
)
from registry_tool.domain.references import ImageReference
from registry_tool.domain.revisions import Revision
from registry_tool.domain.subjects import DeploymentId, parse_deployment
from registry_tool.errors import EngineProblem, EnvironmentProblem
from registry_tool.failpoints import reach
from registry_tool.manifests.writing import to_yaml
from registry_tool.planning.gates import blocked
from registry_tool.reconcile.effects import Effects
from registry_tool.reconcile.outcomes import DONE, ActionOutcome, Outcome
from registry_tool.reconcile.provenance import provenance
from registry_tool.reconcile.services import Resolved, Services
from registry_tool.repository.recorder import PendingRecord

RENDERED = frozenset((TargetType.COMPOSE,))
"""Targets whose deployer renders files for another engine."""


@dataclass
class DeployResult:
    """What the deploy step has to record, and what became of each action."""

    records: list[PendingRecord] = field(default_factory=list)
    branches: dict[str, dict[str, bytes]] = field(default_factory=dict)
    outcomes: list[ActionOutcome] = field(default_factory=list)
    problems: list[EnvironmentProblem] = field(default_factory=list)


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

    def drifted(self) -> bool:
        """Whether a rendered branch differs from what the records say."""
        return bool(self._branches((), ()))

    def drift(self) -> list[str]:
        """What differs between the rendered branches and the records, one line for each file."""
        lines = []
        for branch, wanted in sorted(self._branches((), ()).items()):
            present = self._present(branch.removeprefix("deploy/"))
            for path in sorted(wanted.keys() | present.keys()):
                if path not in present:
                    lines.append(f"{branch}: {path} is missing")
                elif path not in wanted:
                    lines.append(f"{branch}: {path} does not belong there")
                elif wanted[path] != present[path]:
                    lines.append(f"{branch}: {path} is not what the records say")
        return lines

    def run(self, actions: Sequence[Action], not_built: Collection[str]) -> DeployResult:
        """Carry out deploy and undeploy actions. `not_built` are releases whose build just failed."""
        result = DeployResult()
        now: dict[DeploymentId, Action] = {}
        removed: dict[DeploymentId, Action] = {}
        for action in actions:
            deployment_id = parse_deployment(action.subject)
            refusal = self._refusal(action, deployment_id, not_built, result)
            if refusal is not None:
                result.outcomes.append(refusal)
            elif action.kind == "deploy":
                now[deployment_id] = action
            else:
                removed[deployment_id] = action
        started = self._effects.now()
        result.branches = self._branches(now.keys(), removed.keys())
        reach("rendered")
        for deployment_id, action in sorted({**now, **removed}.items()):
            result.records.append(self._record(deployment_id, action, started))
            result.outcomes.append(self._done(deployment_id, action))
        return result

    def _refusal(
        self,
        action: Action,
        deployment_id: DeploymentId,
        not_built: Collection[str],
        result: DeployResult,
    ) -> ActionOutcome | None:
        environment = self._desired.environments.get(deployment_id.environment)
        if environment is not None and environment.manifest.spec.target.type not in RENDERED:
            kind = environment.manifest.spec.target.type
            problem = EngineProblem(
                f"{deployment_id.subject}: this installation has no deployer for {kind}",
                help=f"set spec.target.type of environment/{deployment_id.environment} to compose",
            )
            result.problems.append(problem)
            return ActionOutcome(action, Outcome.UNAVAILABLE, problem.message)
        gate = self._gate(deployment_id)
        if gate is not None:
            return ActionOutcome(action, Outcome.BLOCKED, gate)
        if action.kind == "undeploy":
            return None
        release_id = self._services.release_of(deployment_id)
        if release_id is not None and release_id.subject in not_built:
            detail = f"{release_id.subject} was not built"
            return ActionOutcome(action, Outcome.BLOCKED, detail)
        resolved = self._services.resolve(deployment_id)
        if resolved is None or resolved.key.value != action.key:
            return ActionOutcome(action, Outcome.BLOCKED, "its release is not built as planned")
        return self._missing_image(action, resolved)

    def _gate(self, deployment_id: DeploymentId) -> str | None:
        who = provenance(self._effects.repository, self._revision, self._paths(deployment_id))
        return blocked(self._desired, self._recorded, deployment_id, self._effects.now(), who)

    def _missing_image(self, action: Action, resolved: Resolved) -> ActionOutcome | None:
        image = ImageReference.parse(resolved.service.image)
        repository = resolved.service.release.model
        store = self._effects.open_store(self._desired.registry.manifest)
        if image.digest is not None and store.resolve(repository, image.digest) is not None:
            return None
        detail = (
            f"{resolved.service.image} is not in the store any more; "
            f"registry-tool build {resolved.service.release} makes it again"
        )
        return ActionOutcome(action, Outcome.BLOCKED, detail)

    def _branches(
        self, now: Collection[DeploymentId], removed: Collection[DeploymentId]
    ) -> dict[str, dict[str, bytes]]:
        """Rendered branches that differ from what they are."""
        changed: dict[str, dict[str, bytes]] = {}
        for name in self._services.environments():
            environment = self._desired.environments.get(name)
            if environment is None or environment.manifest.spec.target.type not in RENDERED:
                continue
            present = self._present(name)
            wanted = self._services.of_environment(name, now, removed)
            if not present and not wanted.services:
                continue
            files = compose.render(
                environment.manifest, wanted.services, present.get(compose.FILE_NAME), wanted.keep
            )
            if files != present:
                changed[f"deploy/{name}"] = files
        return changed

    def _present(self, name: str) -> Mapping[str, bytes]:
        repository = self._effects.repository
        tip = repository.ref(DEPLOY_BRANCHES + name)
        if tip is None:
            return {}
        entries = repository.tree(tip)
        contents = dict(repository.read_blobs([entry.oid for entry in entries]))
        return {entry.path: contents[entry.oid] for entry in entries}

    def _paths(self, deployment_id: DeploymentId) -> list[str]:
        located = self._desired.deployments.get(deployment_id)
        if located is None:
            return [f"manifests/deployments/{deployment_id}.yaml"]
        paths = [located.path]
        release_id = self._services.release_of(deployment_id)
        if located.manifest.spec.track is not None and release_id is not None:
            paths.append(self._desired.releases[release_id].path)
        return paths

    def _environment(self, deployment_id: DeploymentId) -> Environment | None:
        located = self._desired.environments.get(deployment_id.environment)
        return located.manifest if located is not None else None

    def _record(
        self, deployment_id: DeploymentId, action: Action, started: datetime
    ) -> PendingRecord:
        spec = (
            self._deployed(deployment_id, started)
            if action.kind == "deploy"
            else self._removed(deployment_id, started)
        )

        def content(sequence: int) -> bytes:
            del sequence  # a deployment's record does not name itself
            return to_yaml(DeploymentRecord(api_version=API_VERSION, spec=spec))

        return PendingRecord(deployments_folder(deployment_id), action.key, content)

    def _timings(self, started: datetime) -> Timings:
        return Timings(started_at=started, finished_at=self._effects.now())

    def _deployed(self, deployment_id: DeploymentId, started: datetime) -> DeploymentRecordSpec:
        resolved = self._services.resolve(deployment_id)
        environment = self._environment(deployment_id)
        if resolved is None or environment is None:
            raise RuntimeError(f"{deployment_id.subject} was deployed without being resolved")
        service, previous = resolved.service, self._services.running(deployment_id)
        release = service.release
        return DeploymentRecordSpec(
            environment=deployment_id.environment,
            name=deployment_id.name,
            key=resolved.key.value,
            key_parts=dict(resolved.key.parts),
            build_key=resolved.build.spec.key,
            revision=str(self._revision),
            release=RecordedRelease(
                model=release.model, version=release.version, quantization=release.quantization
            ),
            target=environment.spec.target,
            weights=service.deployment.spec.weights,
            image=service.image,
            digest=ImageReference.parse(service.image).digest,
            previous_digest=previous.digest if previous else None,
            result=DeploymentResult.DELEGATED,
            timings=self._timings(started),
            who=provenance(self._effects.repository, self._revision, self._paths(deployment_id)),
        )

    def _removed(self, deployment_id: DeploymentId, started: datetime) -> DeploymentRecordSpec:
        latest = self._recorded.latest_deployment(deployment_id)
        if latest is None:
            raise RuntimeError(f"{deployment_id.subject} was removed without being recorded")
        before = self._services.running(deployment_id)
        return latest.record.spec.model_copy(
            update={
                "build_key": None,
                "revision": str(self._revision),
                "image": None,
                "digest": None,
                "previous_digest": before.digest if before else None,
                "result": DeploymentResult.REMOVED,
                "health": "unknown",
                "timings": self._timings(started),
                "who": provenance(
                    self._effects.repository, self._revision, self._paths(deployment_id)
                ),
                "error": None,
            }
        )

    def _done(self, deployment_id: DeploymentId, action: Action) -> ActionOutcome:
        if action.kind == "undeploy":
            return ActionOutcome(action, Outcome.DELETED, "")
        resolved = self._services.resolve(deployment_id)
        release = resolved.service.release if resolved else None
        detail = f"{release} rendered to deploy/{deployment_id.environment}"
        return ActionOutcome(action, DONE[action.change], detail)
