"""What runs where: each deployment's wanted and recorded release, and what is about to change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from registry_tool.cli.views.listing import wanted_release
from registry_tool.domain.desired import Desired
from registry_tool.domain.plan import Plan
from registry_tool.domain.recorded import Recorded
from registry_tool.domain.records import DeploymentRecord, DeploymentResult
from registry_tool.domain.subjects import DeploymentId


@dataclass(frozen=True)
class Standing:
    """One deployment: `wanted` is None once its manifest is gone; the rest is None before its first record."""

    deployment: DeploymentId
    wanted: str | None
    release: str | None = None
    digest: str | None = None
    result: str | None = None
    health: str | None = None
    since: datetime | None = None
    who: str | None = None
    pending: str | None = None
    drift: bool = False

    def as_json(self) -> dict[str, Any]:
        """For programs; times in ISO 8601."""
        fields = {name: value for name, value in vars(self).items() if name != "deployment"}
        since = self.since.isoformat() if self.since else None
        return {
            "subject": self.deployment.subject,
            "environment": self.deployment.environment,
            "name": self.deployment.name,
            **fields,
            "since": since,
        }


def standings(
    desired: Desired,
    recorded: Recorded,
    plan: Plan | None,
    *,
    environment: str | None = None,
    drift: Sequence[str] = (),
) -> Iterator[Standing]:
    """All deployments that have a manifest or still run, sorted. Without a plan nothing is pending."""
    pending = _pending(plan)
    for deployment in sorted(desired.deployments.keys() | recorded.deployments.keys()):
        if environment not in {None, deployment.environment}:
            continue
        located = desired.deployments.get(deployment)
        latest = recorded.latest_deployment(deployment)
        record = latest.record if latest else None
        if located is None and not _still_runs(record):
            continue
        wanted = wanted_release(located.manifest) if located else None
        yield Standing(
            deployment,
            wanted,
            pending=pending.get(deployment.subject),
            drift=any(_concerns(line, deployment) for line in drift),
            **(_recorded_part(record) if record else {}),
        )


def _concerns(line: str, deployment: DeploymentId) -> bool:
    """Whether a line of drift speaks of a deployment or its environment's rendered branch."""
    return line.startswith((f"{deployment.subject}: ", f"deploy/{deployment.environment}: "))


def _still_runs(record: DeploymentRecord | None) -> bool:
    return record is not None and record.spec.result is not DeploymentResult.REMOVED


def _recorded_part(record: DeploymentRecord) -> dict[str, Any]:
    spec = record.spec
    return {
        "release": str(spec.release.id),
        "digest": spec.digest,
        "result": spec.result.value,
        "health": spec.health,
        "since": spec.timings.finished_at,
        "who": spec.who.author.name if spec.who else None,
    }


def _pending(plan: Plan | None) -> dict[str, str]:
    if plan is None:
        return {}
    found = {entry.subject: f"skipped: {entry.reason}" for entry in plan.skipped}
    for action in plan.actions:
        verb = "remove" if action.kind == "undeploy" else action.kind
        found[action.subject] = f"{verb}: {action.reason}"
    return found
