"""Locks on the command line: where a release's files are, what its lock must be, and writing it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from registry_tool.builders.known_files import KnownFiles
from registry_tool.builders.locking import compute_lock
from registry_tool.builders.templates import TemplateRenderer
from registry_tool.cli.finding import suggestion
from registry_tool.cli.formats.layout import counted, human_bytes
from registry_tool.domain.kinds import conventional_path
from registry_tool.domain.release import ArtifactLock, Release, Stage
from registry_tool.domain.storage import normal_storage_path
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


def known_files(
    app: App, desired: Desired, release: Release, sources: Mapping[str, Path] | None = None
) -> KnownFiles:
    """What is known of a release's files without reading them; its own lock has the last word."""
    location = normal_storage_path(location_of(desired, release))

    def locks() -> Iterator[ArtifactLock]:
        own = desired.locks.get(release.id)
        if own is not None:
            yield own.manifest
        for other, lock in desired.locks.items():
            if other == release.id or other not in desired.releases:
                continue
            neighbour = desired.releases[other].manifest
            if neighbour.spec.storage_path is None and other.model not in desired.models:
                continue
            if normal_storage_path(location_of(desired, neighbour)) == location:
                yield lock.manifest

    return KnownFiles(tuple(locks()), app.cache, sources or {})


def relock(
    app: App,
    desired: Desired,
    release: Release,
    *,
    jobs: int | None = None,
    known: KnownFiles | None = None,
    storage: Storage | None = None,
) -> Relocked:
    """Compute the lock of a release, reading what is not `known`; writes nothing."""
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
        storage or storage_of(desired),
        location_of(desired, release),
        app.progress,
        jobs=jobs or app.jobs,
        known=known,
    )
    before = desired.locks.get(release.id)
    if before is None:
        return Relocked(lock, conventional_path(lock), None)
    same = lock.model_copy(update={"metadata": before.manifest.metadata})
    return Relocked(same, before.path, before.manifest)


def write_lock(edit: ManifestEdit, release: Release, new: Relocked) -> None:
    """Put a changed lock into an edit; raises ActionFailed when a released release would change.

    What storage calls the same bytes may change: they were copied, or uploaded again.
    """
    base = edit.base
    committed = base.locks.get(release.id) if base is not None else None
    if committed is None or _content(committed.manifest) != _content(new.lock):
        require_lock_may_change(edit, release)
    edit.write(new.path, to_yaml(new.lock, comment=COMMENT))


def _content(lock: ArtifactLock) -> object:
    files = [(file.path, file.role, file.size, file.sha256) for file in lock.spec.files]
    return lock.spec.target, files, lock.spec.layers


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
