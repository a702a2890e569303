"""`artifact`: the files of releases in storage, and how they compare with the locks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from registry_tool.cli.app import App, pass_app
from registry_tool.cli.edit_options import EditOptions, edit_options
from registry_tool.cli.editing import ManifestEdit
from registry_tool.cli.finding import find_release, here
from registry_tool.cli.formats.layout import counted, human_bytes, table
from registry_tool.cli.options import format_option
from registry_tool.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from registry_tool.builders.locking import Mismatch
    from registry_tool.cli.locking import Relocked
    from registry_tool.domain.desired import Desired
    from registry_tool.domain.release import ArtifactLock, Release


@click.group("artifact")
def artifact_command() -> None:
    """Work with the files of a release in storage, checked against its lock."""


@artifact_command.command("add")
@click.argument("release")
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--to", "target", metavar="PATH", help="The name in storage, or a folder that ends in /."
)
@edit_options
@pass_app
def artifact_add(
    app: App,
    *,
    release: str,
    files: tuple[Path, ...],
    target: str | None,
    edit: EditOptions,
) -> int:
    """Copy FILEs into the storage of RELEASE and lock it anew; never overwrite a file."""
    return _put(app, release, files, target, edit, replace=False)


@artifact_command.command("update")
@click.argument("release")
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--to", "target", metavar="PATH", help="The name in storage, or a folder that ends in /."
)
@edit_options
@pass_app
def artifact_update(
    app: App,
    *,
    release: str,
    files: tuple[Path, ...],
    target: str | None,
    edit: EditOptions,
) -> int:
    """Replace files of RELEASE in storage by FILEs and lock it anew, while it is not released."""
    return _put(app, release, files, target, edit, replace=True)


def _put(
    app: App,
    text: str,
    files: tuple[Path, ...],
    target: str | None,
    options: EditOptions,
    *,
    replace: bool,
) -> int:
    from registry_tool.cli.artifacts import ReleaseFiles, named

    session = ManifestEdit(app, options)
    release = session.release(text).manifest
    stored = ReleaseFiles(app, session, release)
    wanted = named(files, target)
    for path in wanted:
        stored.require_writable(path, replace=replace)
    if options.dry_run:
        for path, file in wanted.items():
            app.out(f"would copy {file} to {stored.location}/{path}")
        return 0
    copied = {}
    for path, file in wanted.items():
        copied[path] = (file, stored.copy(path, file, replace=replace))
        app.out(f"{'updated' if replace else 'created'} {stored.location}/{path}")
    new = stored.relocked(copied)
    return _write(app, session, release, new, f"{'Update' if replace else 'Add'} {_names(wanted)}")


@artifact_command.command("remove")
@click.argument("release")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@edit_options
@pass_app
def artifact_remove(app: App, *, release: str, paths: tuple[str, ...], edit: EditOptions) -> int:
    """Delete PATHs of RELEASE from storage and lock it anew, while it is not released."""
    from registry_tool.cli.artifacts import ReleaseFiles

    session = ManifestEdit(app, edit)
    found = session.release(release).manifest
    stored = ReleaseFiles(app, session, found)
    stored.require_removable(paths)
    if edit.dry_run:
        for path in paths:
            app.out(f"would delete {stored.location}/{path}")
        return 0
    for path in paths:
        stored.storage.delete(stored.location, path)
        app.out(f"deleted {stored.location}/{path}")
    return _write(app, session, found, stored.relocked({}), f"Remove {_names(paths)}")


def _names(paths: Iterable[str]) -> str:
    return ", ".join(paths)


def _write(app: App, session: ManifestEdit, release: Release, new: Relocked, what: str) -> int:
    from registry_tool.cli.locking import write_lock

    if new.unchanged:
        app.out(f"unchanged {release.subject}: {new.summary()}")
        return 0
    write_lock(session, release, new)
    if session.finish(f"{what} of {release.id}", briefly=True):
        app.out(f"locked {release.subject}: {new.summary()}")
        session.next_step()
    return 0


@artifact_command.command("list")
@click.argument("release", default="all", metavar="[RELEASE|all]")
@format_option("text", "json")
@pass_app
def artifact_list(app: App, *, release: str, output: str) -> int:
    """List the locked files of RELEASE, or of all releases, without looking at storage."""
    from registry_tool.cli.locking import location_of

    desired, where = here(app)
    locks = _locks(app, desired, release, where)
    if output == "json":
        items = [
            {
                "model": lock.spec.model,
                "version": lock.spec.version,
                "quantization": lock.spec.quantization,
                "location": location_of(desired, desired.releases[lock.id].manifest),
                **file.model_dump(mode="json"),
            }
            for lock in locks
            for file in lock.spec.files
        ]
        app.out(json.dumps({"format_version": 1, "items": items}, indent=2))
        return 0
    rows = [
        (str(lock.id), file.path, file.role.value, human_bytes(file.size), file.sha256)
        for lock in locks
        for file in lock.spec.files
    ]
    if rows:
        app.out(table(("release", "path", "role", "size", "sha256"), rows, color=app.color))
    total = sum(file.size for lock in locks for file in lock.spec.files)
    app.note(f"{counted(len(rows), 'file')}, {human_bytes(total)}")
    return 0


def _locks(app: App, desired: Desired, text: str, where: str) -> list[ArtifactLock]:
    if text != "all":
        return [_lock_of(desired, text, where)]
    without = sorted(str(release) for release in set(desired.releases) - set(desired.locks))
    if without:
        app.note(f"note: without a lock: {', '.join(without)}")
    known = sorted(set(desired.locks) & set(desired.releases))
    return [desired.locks[release].manifest for release in known]


def _lock_of(desired: Desired, text: str, where: str) -> ArtifactLock:
    release = find_release(desired, text, where).manifest
    lock = desired.locks.get(release.id)
    if lock is None:
        raise UsageProblem(
            f"{release.id} has no lock in {where}, so its files are not known",
            help=f"registry-tool lock {release.id}",
        )
    return lock.manifest


@artifact_command.command("pull")
@click.argument("release")
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@pass_app
def artifact_pull(app: App, *, release: str, directory: Path | None) -> int:
    """Download the files of RELEASE into DIR and check every byte of them.

    DIR is MODEL-VERSION[-QUANTIZATION] by default. An interrupted download goes on where it ended;
    files that are there already are checked and kept.
    """
    from registry_tool.cli.downloading import pull
    from registry_tool.cli.locking import location_of, storage_of

    desired, where = here(app)
    lock = _lock_of(desired, release, where)
    name = "-".join(lock.id[:2] if lock.spec.quantization == "none" else lock.id)
    folder = directory or Path(name)
    location = location_of(desired, desired.releases[lock.id].manifest)
    kept = pull(lock, storage_of(desired), location, folder, app.progress, jobs=app.jobs)
    new = len(lock.spec.files) - kept
    size = human_bytes(sum(file.size for file in lock.spec.files))
    state = f"{new} downloaded, {kept} there already" if kept else "all downloaded"
    app.out(
        f"pulled {lock.subject} to {folder}: {counted(len(lock.spec.files), 'file')}, {size}"
        f" ({state if new else 'unchanged'}); sha256 verified"
    )
    return 0


@artifact_command.command("verify")
@click.argument("releases", metavar="RELEASE|all", nargs=-1, required=True)
@click.option("--deep", is_flag=True, help="Read all files and compare their sha256.")
@format_option("text", "json")
@pass_app
def artifact_verify(app: App, *, releases: tuple[str, ...], deep: bool, output: str) -> int:
    """Compare storage with the lock of each RELEASE; exits with 1 when they differ.

    By default by what storage says of each file (presence, size, and of an object store version
    and entity tag), with --deep by their content.
    """
    from registry_tool.builders.locking import verify_files
    from registry_tool.cli.locking import location_of, storage_of

    desired, where = here(app)
    storage = storage_of(desired)
    locks = {lock.id: lock for text in releases for lock in _locks(app, desired, text, where)}
    found: list[tuple[ArtifactLock, list[Mismatch]]] = []
    for release, lock in locks.items():
        location = location_of(desired, desired.releases[release].manifest)
        found.append(
            (lock, verify_files(lock, storage, location, app.progress, deep, jobs=app.jobs))
        )
    app.out(_verified_json(found) if output == "json" else _verified_text(found, deep=deep))
    return int(any(mismatches for _, mismatches in found))


def _verified_json(found: list[tuple[ArtifactLock, list[Mismatch]]]) -> str:
    items = [
        {
            "release": lock.subject,
            "files": len(lock.spec.files),
            "mismatches": [
                {
                    "path": entry.path,
                    "kind": entry.kind.value,
                    "expected": entry.expected,
                    "seen": entry.seen,
                }
                for entry in mismatches
            ],
        }
        for lock, mismatches in found
    ]
    return json.dumps({"format_version": 1, "items": items}, indent=2)


def _verified_text(found: list[tuple[ArtifactLock, list[Mismatch]]], *, deep: bool) -> str:
    lines: list[str] = []
    for lock, mismatches in found:
        tags = any(file.etag for file in lock.spec.files)
        how = "content" if deep else "presence, size, entity tag" if tags else "presence and size"
        files = counted(len(lock.spec.files), "file")
        if not mismatches:
            lines.append(f"verified {lock.subject}: {files}, {how}")
            continue
        lines.append(f"differs {lock.subject}: {len(mismatches)} of {files}")
        lines += [f"  {entry}" for entry in mismatches]
    return "\n".join(lines)
