"""Records of deployments: what was done, how it ended, and who asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from registry_tool.deployers.interface import Deployed
from registry_tool.domain.desired import Desired
from registry_tool.domain.manifest import API_VERSION
from registry_tool.domain.recorded import Recorded, deployments_folder
from registry_tool.domain.records import (
    DeploymentRecord,
    DeploymentRecordSpec,
    DeploymentResult,
    Provenance,
    RecordedRelease,
    Timings,
)
from registry_tool.domain.references import ImageReference
from registry_tool.domain.revisions import Revision
from registry_tool.domain.subjects import DeploymentId
from registry_tool.manifests.writing import to_yaml
from registry_tool.reconcile.effects import Effects
from registry_tool.reconcile.provenance import provenance
from registry_tool.reconcile.redaction import error_excerpt
from registry_tool.reconcile.services import Services
from registry_tool.repository.recorder import PendingRecord


class DeploymentRecords:
    """Writes the records of one reconciliation's deployments. Used from one thread."""

    def __init__(
        self,
        effects: Effects,
        desired: Desired,
        recorded: Recorded,
        revision: Revision,
        services: Services,
    ) -> None:
        self._effects = effects
        self._desired = desired
        self._recorded = recorded
        self._revision = revision
        self._services = services
        self.who = cache(self._who)

    def _who(self, deployment_id: DeploymentId) -> Provenance:
        return provenance(self._effects.repository, self._revision, self._paths(deployment_id))

    def _paths(self, deployment_id: DeploymentId) -> list[str]:
        located = self._desired.deployments.get(deployment_id)
        if located is None:
            return [f"manifests/deployments/{deployment_id}.yaml"]
        paths = [located.path]
        release_id = self._services.release_of(deployment_id)
        if located.manifest.spec.track is not None and release_id is not None:
            paths.append(self._desired.releases[release_id].path)
        return paths

    def rendered(self, deployment_id: DeploymentId, started: datetime) -> PendingRecord:
        """Its files are handed over to another engine."""
        return self._deployed(deployment_id, started, {"result": DeploymentResult.DELEGATED})

    def deployed(
        self, deployment_id: DeploymentId, started: datetime, ended: Deployed
    ) -> PendingRecord:
        """It was brought to an engine, or that was tried."""
        how = {"result": ended.result, "health": ended.health}
        error = error_excerpt(ended.error) if ended.error else None
        return self._deployed(deployment_id, started, {**how, "error": error})

    def _deployed(
        self, deployment_id: DeploymentId, started: datetime, how: Mapping[str, Any]
    ) -> PendingRecord:
        resolved = self._services.resolve(deployment_id)
        if resolved is None:
            raise RuntimeError(f"{deployment_id.subject} was deployed without being resolved")
        service, previous = resolved.service, self._services.running(deployment_id)
        release = service.release
        environment = self._desired.environments[deployment_id.environment].manifest
        spec = DeploymentRecordSpec(
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
            timings=self._timings(started),
            who=self.who(deployment_id),
            **how,
        )
        return _pending(deployment_id, spec)

    def removed(self, deployment_id: DeploymentId, started: datetime) -> PendingRecord:
        """Nothing runs under its name any more."""
        latest = self._recorded.latest_deployment(deployment_id)
        if latest is None:
            raise RuntimeError(f"{deployment_id.subject} was removed without being recorded")
        before = self._services.running(deployment_id)
        spec = latest.record.spec.model_copy(
            update={
                "build_key": None,
                "revision": str(self._revision),
                "image": None,
                "digest": None,
                "previous_digest": before.digest if before else None,
                "result": DeploymentResult.REMOVED,
                "health": "unknown",
                "timings": self._timings(started),
                "who": self.who(deployment_id),
                "error": None,
            }
        )
        return _pending(deployment_id, spec)

    def _timings(self, started: datetime) -> Timings:
        return Timings(started_at=started, finished_at=self._effects.now())


def _pending(deployment_id: DeploymentId, spec: DeploymentRecordSpec) -> PendingRecord:
    content = to_yaml(DeploymentRecord(api_version=API_VERSION, spec=spec))
    # A deployment's record does not name its own place.
    return PendingRecord(deployments_folder(deployment_id), spec.key, lambda _: content)
