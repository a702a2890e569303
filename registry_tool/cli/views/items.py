"""Manifests and records as JSON items, alike in every command that prints them."""

from __future__ import annotations

from typing import Any

from registry_tool.domain.desired import Desired, Located
from registry_tool.domain.manifest import Manifest
from registry_tool.domain.recorded import Sequenced
from registry_tool.domain.records import Build, DeploymentRecord
from registry_tool.domain.release import ArtifactLock, Yanked
from registry_tool.domain.subjects import ReleaseId


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


def releases_of(desired: Desired, model: str) -> list[ReleaseId]:
    """Releases of a model, newest version first."""
    from registry_tool.domain.versions import precedence

    found = [release for release in desired.releases if release.model == model]
    by_quantization = sorted(found, key=lambda release: release.quantization)
    return sorted(by_quantization, key=lambda release: precedence(release.version), reverse=True)
