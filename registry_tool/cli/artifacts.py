"""Changing the files of a release in storage, without breaking another release that shares them."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from registry_tool.cli.locking import (
    Relocked,
    known_files,
    location_of,
    relock,
    require_lock_may_change,
    storage_of,
)
from registry_tool.domain.globs import matches
from registry_tool.domain.release import Stage
from registry_tool.domain.storage import locked_path_problem, normal_storage_path
from registry_tool.errors import ActionFailed, ContentMismatch, UsageProblem
from registry_tool.storage.stored_file import StoredFile

if TYPE_CHECKING:
    from registry_tool.cli.app import App
    from registry_tool.cli.editing import ManifestEdit
    from registry_tool.domain.release import Release
    from registry_tool.domain.subjects import ReleaseId

_CHUNK = 8 << 20


def named(files: Sequence[Path], target: str | None) -> dict[str, Path]:
    """The path in storage of each local file; raises UsageProblem."""
    wanted: dict[str, Path] = {}
    for file in files:
        if not file.is_file():
            raise UsageProblem(
                f"{file} is not a file" if file.exists() else f"{file} does not exist",
                help="name regular files; --to FOLDER/ puts them into a folder",
            )
        path = file.name if target is None else target + file.name * target.endswith("/")
        if path in wanted:
            raise UsageProblem(
                f"{wanted[path]} and {file} would both become {path}",
                help="let --to end in / to keep the names of several files",
            )
        problem = locked_path_problem(path)
        if problem:
            raise UsageProblem(f'"{path}" cannot be a path in storage: {problem}')
        wanted[path] = file
    return wanted


class ReleaseFiles:
    """The files of one release in storage, for changing them."""

    def __init__(self, app: App, edit: ManifestEdit, release: Release) -> None:
        self._app = app
        self._edit = edit
        self._release = release
        self.location = normal_storage_path(location_of(edit.desired, release))
        self.storage = storage_of(edit.desired)

    @cached_property
    def _paths(self) -> frozenset[str]:
        """What is in storage now."""
        return frozenset(file.path for file in self.storage.files(self.location, lambda _: True))

    def require_writable(self, path: str, *, replace: bool) -> None:
        """Raise unless the file may be added, or with `replace` replaced."""
        self._require_changeable()
        globs = self._release.spec.artifacts
        if not matches(path, globs.include, globs.exclude):
            raise UsageProblem(
                f"{path} would not belong to {self._release.id}: its spec.artifacts leave it out",
                help=f"add it to spec.artifacts.include of {self._release.id}, or choose --to PATH",
            )
        there = isinstance(self.storage.find(self.location, path), StoredFile)
        if not replace and there:
            raise ActionFailed(
                f"{self.location}/{path} exists already, and add never overwrites",
                help="registry-tool artifact update replaces it, and registry-tool lock"
                f" {self._release.id} takes it as it is",
            )
        if replace and not there:
            raise ActionFailed(
                f"{self.location}/{path} does not exist",
                help="registry-tool artifact add writes a new file",
            )
        if replace:
            self._require_not_shared(path)

    def require_removable(self, paths: Sequence[str]) -> None:
        """Raise unless all these files may be deleted."""
        self._require_changeable()
        for path in paths:
            if path not in self._paths:
                raise UsageProblem(
                    f"{self.location}/{path} does not exist",
                    help=f"registry-tool artifact list {self._release.id}",
                )
            self._require_not_shared(path)
        globs = self._release.spec.artifacts
        left = [
            path for path in self._paths - set(paths) if matches(path, globs.include, globs.exclude)
        ]
        if not left:
            raise ActionFailed(
                f"that would leave {self._release.id} without any file",
                help="add the new files first, or delete the release's manifests",
            )

    def copy(self, path: str, file: Path, *, replace: bool) -> str:
        """Copy a local file, with progress; the sha256 of what was copied."""
        progress, task = self._app.progress, f"copy {path}"
        size = file.stat().st_size
        digest = hashlib.sha256()

        def chunks() -> Iterator[bytes]:
            with file.open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
                    progress.advance(task, len(chunk))
                    yield chunk

        progress.start(task, f"Copying {path}", size)
        try:
            self.storage.write(self.location, path, chunks(), size=size, replace=replace)
        finally:
            progress.finish(task)
        return digest.hexdigest()

    def relocked(self, copied: Mapping[str, tuple[Path, str]]) -> Relocked:
        """The lock over what is in storage now.

        `copied` files are known by their local originals, where the storage confirmed that it got
        the same bytes; the others are read back.
        """
        desired = self._edit.desired
        confirmed = self.storage.confirms_writes(self.location)
        sources = {path: file for path, (file, _) in copied.items()} if confirmed else {}
        known = known_files(self._app, desired, self._release, sources)
        new = relock(self._app, desired, self._release, known=known, storage=self.storage)
        locked = {file.path: file.sha256 for file in new.lock.spec.files}
        for path, (file, sha256) in copied.items():
            if locked.get(path) != sha256:
                raise ContentMismatch(
                    f"{self.location}/{path} is not what was copied from {file}: expected sha256"
                    f" {sha256}, seen {locked.get(path, 'nothing')}",
                    help=f"nobody may change {file} or the storage meanwhile; copy it again with"
                    " registry-tool artifact update",
                )
        return new

    def _require_changeable(self) -> None:
        require_lock_may_change(self._edit, self._release)
        # Before storage is touched: a lock that cannot be committed afterwards would be left behind.
        lock = self._edit.desired.locks.get(self._release.id)
        self._edit.require_untouched([lock.path] if lock is not None else [])
        if self._release.spec.stage is Stage.RELEASED:
            raise ActionFailed(
                f"{self._release.id} is released: its files may not change any more",
                help=f"ship them as a new version:"
                f" registry-tool new release {self._release.spec.model}/VERSION",
                code="RT301",
            )

    def _require_not_shared(self, path: str) -> None:
        sharing = sorted(self._sharing(path))
        if sharing:
            raise ActionFailed(
                f"{self.location}/{path} is locked by {sharing[0]}, too"
                + (f" and {len(sharing) - 1} more" if len(sharing) > 1 else ""),
                help=f"give {self._release.id} a spec.storage_path of its own and copy its files there",
            )

    def _sharing(self, path: str) -> Iterator[ReleaseId]:
        """Other releases whose locks name the same stored file."""
        desired, place = self._edit.desired, posixpath.join(self.location, path)
        for release, lock in desired.locks.items():
            if release == self._release.id or release not in desired.releases:
                continue
            location = normal_storage_path(location_of(desired, desired.releases[release].manifest))
            if not place.startswith(location.rstrip("/") + "/"):
                continue
            if any(
                posixpath.join(location, file.path) == place for file in lock.manifest.spec.files
            ):
                yield release
