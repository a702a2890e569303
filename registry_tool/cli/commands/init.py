"""`init`: a registry repository that validates, plans and applies from the first minute."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import click
from pydantic import TypeAdapter, ValidationError

from registry_tool.cli.app import App, pass_app
from registry_tool.cli.formats.layout import counted
from registry_tool.cli.replacing import replace_file
from registry_tool.cli.scaffold.example_files import EXAMPLE_FOLDER, example_files
from registry_tool.cli.scaffold.registry_files import REGISTRY_PATH, RegistryFiles
from registry_tool.domain.storage import StoragePath, normal_storage_path
from registry_tool.errors import (
    EnvironmentProblem,
    InvalidManifests,
    RepositoryProblem,
    UsageProblem,
)
from registry_tool.manifests.loading import load
from registry_tool.repository.editing import commit_files
from registry_tool.repository.hooks import install_client
from registry_tool.repository.repository import Repository
from registry_tool.storage.storage import Storage


@click.command("init")
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--storage",
    metavar="PATH|URL",
    help="Where checkpoint files live; by default a folder beside DIR, named DIR-storage.",
)
@click.option(
    "--example/--no-example",
    default=None,
    help="With an example model, whose few small files go to the storage (default: unless"
    " --storage is given).",
)
@click.option("--hooks/--no-hooks", default=True, help="Whether to install the client hooks.")
@click.option("--commit/--no-commit", default=True, help="Whether to commit the new files.")
@pass_app
def init_command(
    app: App,
    directory: Path | None,
    storage: str | None,
    example: bool | None,
    hooks: bool,
    commit: bool,
) -> int:
    """Scaffold a registry repository in DIR (here by default) and commit it.

    Existing files are never overwritten, and running it again changes nothing.
    """
    root = (directory if directory is not None else app.repo_path).absolute()
    chosen = _storage_location(storage) if storage is not None else None
    if _ensure_repository(root):
        app.out(f"created {root} (a Git repository)")
        _note_outer_repository(app, root)
    with Repository.open(root) as repository:
        known = _known_storage(root, repository)
        if known and chosen and chosen not in known:
            raise UsageProblem(
                f"{root} is a registry already; --storage counts only when it is made",
                help=f"add {chosen} to spec.storage.allowed in {REGISTRY_PATH}",
            )
        location = known[0] if known else chosen or f"{root}-storage"
        wants_example = not known and storage is None if example is None else example
        scaffold = RegistryFiles(location, repository.head_branch(), wants_example)
        files = scaffold.all() if wants_example or not known else scaffold.around()
        changed = _write_missing(app, root, files)
        if wants_example:
            changed |= _write_example(app, location)
        if commit:
            changed |= _commit(app, repository, _as_scaffolded(root, scaffold))
        if hooks:
            changed |= _install_hooks(app, repository)
    if not changed:
        app.out(f"unchanged {root}: everything is there")
    elif not known:
        _say_what_now(app, root, location, wants_example)
    return 0


def _storage_location(text: str) -> str:
    path = text if "://" in text else str(Path(text).expanduser().absolute())
    try:
        return normal_storage_path(TypeAdapter(StoragePath).validate_python(path))
    except ValidationError as problem:
        reason = problem.errors()[0]["msg"].removeprefix("Value error, ")
        raise UsageProblem(
            f'"{text}" cannot be the storage: {reason}',
            help="for example --storage /mnt/models or --storage s3://bucket/models",
        ) from problem


def _ensure_repository(root: Path) -> bool:
    """Make the directory and the repository where they are missing; returns whether it did."""
    if (root / ".git").exists():
        return False
    if (root / "HEAD").is_file() and (root / "objects").is_dir():
        raise UsageProblem(
            f"{root} is a bare repository, and a registry is written in a work tree",
            help="init an empty directory, then: git remote add origin URL && git push -u origin main",
        )
    try:
        Repository.create(root).close()
    except OSError as problem:
        raise EnvironmentProblem(
            f"{root} cannot be made: {problem.strerror}", help="choose another DIR", code="RT610"
        ) from problem
    return True


def _note_outer_repository(app: App, root: Path) -> None:
    """Say so when the new repository lies in the work tree of another one."""
    try:
        with Repository.open(root.parent) as outer:
            around = outer.work_tree
    except RepositoryProblem:
        return
    if around is not None:
        app.note(f"note: {around} is a repository, too, and does not track what is in this one")


def _known_storage(root: Path, repository: Repository) -> tuple[str, ...]:
    """The storage prefixes of a registry that is there already; empty for a new one."""
    loaded = load(repository.work_tree_snapshot())
    if loaded.desired is None and not (root / REGISTRY_PATH).exists():
        return ()
    if loaded.desired is None:
        raise InvalidManifests("there are manifests, and no valid Registry", loaded.diagnostics)
    return loaded.desired.registry.manifest.spec.storage.allowed


def _write_missing(app: App, root: Path, files: Mapping[str, bytes]) -> bool:
    """Write the files that do not exist, and say so; schemas and templates a folder at a time."""
    missing = [path for path in files if not os.path.lexists(root / path)]
    for path in missing:
        replace_file(root / path, files[path])
    for shown, count in Counter(map(_shown, missing)).items():
        app.out(f"created {shown}" + (f" ({counted(count, 'file')})" if shown[-1] == "/" else ""))
    return bool(missing)


def _shown(path: str) -> str:
    folder, *rest = path.split("/")
    if folder == "schemas":
        return "schemas/"
    return f"build_templates/{rest[0]}/" if folder == "build_templates" else path


def _write_example(app: App, location: str) -> bool:
    """Put the files of the example model into the storage, unless something is there."""
    storage = Storage([location])
    folder = f"{location.rstrip('/')}/{EXAMPLE_FOLDER}"
    if location.startswith("/"):
        Path(folder).mkdir(parents=True, exist_ok=True)
    there = {file.path for file in storage.files(folder)}
    missing = {path: data for path, data in example_files().items() if path not in there}
    for path, data in missing.items():
        storage.write(folder, path, [data])
    if missing:
        app.out(f"created {folder}/ ({counted(len(missing), 'file')} of the example model)")
    return bool(missing)


def _as_scaffolded(root: Path, scaffold: RegistryFiles) -> dict[str, bytes]:
    """The files that are as this run, or an earlier one that could not commit them, wrote them."""
    return {
        path: data
        for variant in (replace(scaffold, example=False), replace(scaffold, example=True))
        for path, data in variant.all().items()
        if (root / path).is_file() and (root / path).read_bytes() == data
    }


def _commit(app: App, repository: Repository, files: Mapping[str, bytes]) -> bool:
    """Commit the files that no commit has yet."""
    tip = repository.ref(f"refs/heads/{repository.head_branch()}")
    new = {
        path: data
        for path, data in files.items()
        if tip is None or repository.blob_at(tip, path) is None
    }
    if not new:
        return False
    message = "Set up the model registry" if tip is None else "Add files of the model registry"
    oid = commit_files(repository, new, message)
    app.out(f"committed {oid[:12]} on {repository.head_branch()}: {message}")
    return True


def _install_hooks(app: App, repository: Repository) -> bool:
    """Install the client hooks, unless somebody else's are in the way."""
    try:
        installed = [hook for hook in install_client(repository) if hook.change != "unchanged"]
    except RepositoryProblem as problem:
        app.note(f"note: no hooks installed: {problem.message}; {problem.help}")
        return False
    if installed:
        names = " and ".join(hook.path.name for hook in installed)
        app.out(f"installed the hooks {names}, which check manifests")
    return bool(installed)


def _say_what_now(app: App, root: Path, location: str, example: bool) -> None:
    app.note(f"\nCheckpoint files are read from {location} ({REGISTRY_PATH}).")
    if location.startswith("/") and not Path(location).exists():
        app.note("note: it does not exist on this machine yet")
    app.note("next:")
    if root != Path.cwd():
        app.note(f"  cd {os.path.relpath(root)}")
    steps = (
        ["registry-tool plan", "registry-tool apply"]
        if example
        else ["registry-tool new model NAME", "registry-tool new release NAME/1.0.0"]
    )
    for step in steps:
        app.note(f"  {step}")
