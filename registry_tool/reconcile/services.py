"""What an environment is to run: each deployment with its image, or the word to keep what is there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache

from registry_tool.builders.templates import TemplateProblem
from registry_tool.deployers.interface import ENGINES, IMAGE_ROLES, Place, ServiceSpec
from registry_tool.domain.deployment import WeightsMode
from registry_tool.domain.desired import Desired
from registry_tool.domain.recorded import Recorded
from registry_tool.domain.records import (
    Build,
    DeploymentRecordSpec,
    DeploymentResult,
    ImageRole,
)
from registry_tool.domain.subjects import DeploymentId, ReleaseId
from registry_tool.planning.building import ReleaseOutcome, plan_release
from registry_tool.planning.deploying import running
from registry_tool.planning.keys import Key, image_host
from registry_tool.planning.services import health
from registry_tool.planning.state import State


@dataclass(frozen=True)
class Resolved:
    """A deployment with its build, both keys known."""

    service: ServiceSpec
    key: Key
    build: Build


@dataclass(frozen=True)
class EnvironmentServices:
    """What a deployer renders anew, and the names whose present state it keeps."""

    services: tuple[ServiceSpec, ...]
    keep: frozenset[str]


class Services:
    """Resolves the deployments of one pair of desired and recorded state."""

    def __init__(self, desired: Desired, recorded: Recorded) -> None:
        self._state = State(desired, recorded, frozenset())
        self._outcome = cache(self._plan_release)

    def _plan_release(self, release_id: ReleaseId) -> ReleaseOutcome:
        return plan_release(self._state, release_id)

    def running(self, deployment_id: DeploymentId) -> DeploymentRecordSpec | None:
        """The record of what runs now."""
        return running(self._state, deployment_id)

    def release_of(self, deployment_id: DeploymentId) -> ReleaseId | None:
        """The release that a declared deployment means, when it exists."""
        deployment = self._state.desired.deployments[deployment_id].manifest
        release_id = self._state.tracks.release_of(deployment)
        return release_id if release_id in self._state.desired.releases else None

    def resolve(self, deployment_id: DeploymentId) -> Resolved | None:
        """A declared deployment with its succeeded build; None while that is not there."""
        state = self._state
        deployment = state.desired.deployments[deployment_id].manifest
        release_id = self.release_of(deployment_id)
        if release_id is None or release_id not in state.desired.locks:
            return None
        outcome = self._outcome(release_id)
        if outcome.key is None or not outcome.built:
            return None
        build = state.recorded.succeeded_build(release_id, state.store, outcome.key.value)
        if build is None:
            return None
        try:
            key = state.keys.deployment(deployment_id, release_id, outcome.key.value)
            check = health(deployment.spec, state.keys.rendered(release_id))
        except TemplateProblem:
            return None
        release = state.desired.releases[release_id].manifest
        mode = deployment.spec.weights
        service = ServiceSpec(
            deployment=deployment,
            release=release_id,
            key=key.value,
            image=self._reference(build, IMAGE_ROLES[mode]),
            weights_image=self._reference(build, ImageRole.WEIGHTS)
            if mode is not WeightsMode.BAKED
            else None,
            target=state.desired.locks[release_id].manifest.spec.target,
            storage=release.spec.storage_path
            or state.desired.models[release_id.model].manifest.spec.storage_path,
            health=check,
        )
        return Resolved(service, key, build)

    def _reference(self, build: Build, role: ImageRole) -> str:
        image = build.image(role)
        host = image_host(self._state.desired.registry.manifest)
        return f"{host}/{build.spec.model}@{image.digest if image else ''}"

    def of_environment(
        self, name: str, now: Collection[DeploymentId], removed: Collection[DeploymentId]
    ) -> EnvironmentServices:
        """What an environment runs once `now` is deployed and `removed` is gone.

        Deployments whose key runs already are rendered again, so that what was changed by hand is repaired. All others
        that run keep what they have.
        """
        services: list[ServiceSpec] = []
        keep: set[str] = set()
        known = {*self._state.desired.deployments, *self._state.recorded.deployments}
        for deployment_id in sorted(known):
            if deployment_id.environment != name or deployment_id in removed:
                continue
            current = self.running(deployment_id)
            declared = deployment_id in self._state.desired.deployments
            resolved = self.resolve(deployment_id) if declared else None
            settled = (
                current is not None and resolved is not None and current.key == resolved.key.value
            )
            if resolved is not None and (deployment_id in now or settled):
                services.append(resolved.service)
            elif current is not None:
                keep.add(deployment_id.name)
        return EnvironmentServices(tuple(services), frozenset(keep))

    def settled(self, name: str) -> tuple[ServiceSpec, ...]:
        """What runs in an environment exactly as it is declared, if nobody touched it since."""
        found: list[ServiceSpec] = []
        for deployment_id in sorted(self._state.desired.deployments):
            declared = self._state.desired.deployments[deployment_id].manifest
            if deployment_id.environment != name or declared.spec.suspend:
                continue
            current, resolved = self.running(deployment_id), self.resolve(deployment_id)
            if current is not None and resolved is not None and current.key == resolved.key.value:
                found.append(resolved.service)
        return tuple(found)

    def names(self, name: str) -> frozenset[str]:
        """Names in an environment that are declared, or recorded and not removed."""
        recorded = self._state.recorded
        known = set(self._state.desired.deployments)
        for deployment_id in recorded.deployments:
            latest = recorded.latest_deployment(deployment_id)
            if latest and latest.record.spec.result is not DeploymentResult.REMOVED:
                known.add(deployment_id)
        return frozenset(entry.name for entry in known if entry.environment == name)

    def engine_places(self, deployment_id: DeploymentId) -> tuple[Place, ...]:
        """Where it may still run by the records since it was last removed, the newest place last."""
        places: dict[tuple[str, str | None], Place] = {}
        for entry in self._state.recorded.deployments.get(deployment_id, ()):
            spec = entry.record.spec
            if spec.result is DeploymentResult.REMOVED:
                places.clear()
            elif spec.target.type in ENGINES:
                target = (spec.target.type, spec.target.host)
                places.pop(target, None)
                places[target] = Place(deployment_id.environment, spec.target)
        return tuple(places.values())

    def environments(self) -> list[str]:
        """Names of all environments in which something is declared or recorded."""
        known = {*self._state.desired.deployments, *self._state.recorded.deployments}
        return sorted({deployment_id.environment for deployment_id in known})
