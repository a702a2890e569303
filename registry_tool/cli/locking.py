"""Locks on the command line: where a release's files are, what its lock must be, and writing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_tool.builders.locking import compute_lock
from registry_tool.builders.templates import TemplateRenderer
from registry_tool.cli.finding import suggestion
from registry_tool.cli.formats.layout import counted, human_bytes
from registry_tool.domain.kinds import conventional_path
from registry_tool.domain.release import ArtifactLock, Release, Stage
from registry_tool.errors import ActionFailed, UsageProblem
from registry_tool.manifests.writing import to_yaml
from registry_tool.storage.storage import Storage

if TYPE_CHECKING:
    from registry_tool.cli.app import App
    from registry_tool.cli.editing import ManifestEdit
    from registry_tool.domain.desired import Desired
    from registry_tool.domain.model import Model

COMMENT = "Written by `registry-tool lock`. Do not edit: every file here is part of the build key."


@dataclass(frozen=True)
class Relocked:
    """A release's lock as storage has it now."""

    lock: ArtifactLock
    path: str
    """Where the lock is, or is to be."""
    before: ArtifactLock | None
    """The lock that the manifests have."""

    @property
    def unchanged(self) -> bool:
        """Whether the lock says already what storage has."""
        return self.before is not None and self.before.spec == self.lock.spec

    def summary(self) -> str:
        """For example ``4 files, 86.7 MiB, 3 layers, set digest 0f3a…``."""
        spec = self.lock.spec
        size = human_bytes(sum(file.size for file in spec.files))
        return (
            f"{counted(len(spec.files), 'file')}, {size}, {counted(len(spec.layers), 'layer')},"
            f" set digest {spec.set_digest}"
        )


def model_of(desired: Desired, release: Release) -> Model:
    """The model of a release; raises UsageProblem when there is none."""
    found = desired.models.get(release.spec.model)
    if found is None:
        raise UsageProblem(
            f"the model {release.spec.model} of {release.id} has no valid manifest",
            help="see registry-tool validate",
        )
    return found.manifest


def location_of(desired: Desired, release: Release) -> str:
    """Where the files of a release are."""
    return release.spec.storage_path or model_of(desired, release).spec.storage_path


def storage_of(desired: Desired) -> Storage:
    """Storage within the prefixes that the Registry allows."""
    return Storage(desired.registry.manifest.spec.storage.allowed)


def relock(app: App, desired: Desired, release: Release, *, jobs: int | None = None) -> Relocked:
    """Read the files of a release and compute its lock; writes nothing."""
    name = release.spec.template.name
    template = desired.templates.get(name)
    if template is None:
        raise UsageProblem(
            f'{release.id} names the template "{name}", which has no valid manifest',
            help=suggestion(name, desired.templates, "template"),
        )
    target = TemplateRenderer(template).target(release, model_of(desired, release))
    lock = compute_lock(
        release,
        target,
        storage_of(desired),
        location_of(desired, release),
        app.progress,
        jobs=jobs or app.jobs,
    )
    known = desired.locks.get(release.id)
    if known is None:
        return Relocked(lock, conventional_path(lock), None)
    same = lock.model_copy(update={"metadata": known.manifest.metadata})
    return Relocked(same, known.path, known.manifest)


def write_lock(edit: ManifestEdit, release: Release, new: Relocked) -> None:
    """Put a changed lock into an edit; raises ActionFailed for a release that is released."""
    require_lock_may_change(edit, release)
    edit.write(new.path, to_yaml(new.lock, comment=COMMENT))


def require_lock_may_change(edit: ManifestEdit, release: Release) -> None:
    """Raise ActionFailed where the last commit has the release as released, with a lock."""
    base = edit.base
    known = base.releases.get(release.id) if base is not None else None
    if base is None or known is None or release.id not in base.locks:
        return
    if known.manifest.spec.stage is Stage.RELEASED:
        raise ActionFailed(
            f"{release.id} is released: the files that it is made of may not change any more",
            help=f"ship them as a new version: registry-tool new release {release.spec.model}/VERSION",
            code="RT301",
        )
