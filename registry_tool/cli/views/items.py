"""Manifests and records as JSON items, alike in every command that prints them."""

from __future__ import annotations

from typing import Any

from registry_tool.domain.desired import Desired, Located
from registry_tool.domain.manifest import Manifest
from registry_tool.domain.recorded import Sequenced
from registry_tool.domain.records import Build, DeploymentRecord
from registry_tool.domain.release import ArtifactLock, Yanked
from registry_tool.domain.subjects import ReleaseId
from registry_tool.domain.versions import precedence


def manifest_item(subject: str, located: Located[Manifest]) -> dict[str, Any]:
    """Subject, path and the manifest's own fields with defaults filled in."""
    fields = located.manifest.model_dump(mode="json", by_alias=True)
    return {"subject": subject, "path": located.path, "kind": fields["kind"]} | {
        part: fields[part] for part in ("metadata", "spec")
    }


def build_item(entry: Sequenced[Build]) -> dict[str, Any]:
    """A Build record with its sequence."""
    return {
        "subject": entry.record.release.subject,
        "sequence": entry.sequence,
        **entry.record.spec.model_dump(mode="json", by_alias=True),
    }


def deployment_item(entry: Sequenced[DeploymentRecord]) -> dict[str, Any]:
    """A DeploymentRecord with its sequence."""
    return {
        "subject": entry.record.deployment.subject,
        "sequence": entry.sequence,
        **entry.record.spec.model_dump(mode="json", by_alias=True),
    }


def lock_size(lock: ArtifactLock) -> int:
    """Bytes of all locked files."""
    return sum(file.size for file in lock.spec.files)


def stage_text(stage: str, yanked: Yanked | None) -> str:
    """``released``, or ``released, yanked``."""
    return f"{stage}, yanked" if yanked else stage


def releases_by_model(desired: Desired) -> dict[str, list[ReleaseId]]:
    """Releases of every model that has some, newest version first."""
    found: dict[str, list[ReleaseId]] = {}
    for release in sorted(desired.releases, key=lambda release: release.quantization):
        found.setdefault(release.model, []).append(release)
    for releases in found.values():
        releases.sort(key=lambda release: precedence(release.version), reverse=True)
    return found
