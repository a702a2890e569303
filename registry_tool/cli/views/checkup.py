"""The checks of `doctor`: each looks at one thing and says what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from registry_tool.cli.formats.layout import counted, human_bytes
from registry_tool.cli.heads import head_commit
from registry_tool.domain.recorded import LEASE_REF
from registry_tool.errors import EngineProblem, RegistryToolError

if TYPE_CHECKING:
    from registry_tool.cli.app import App
    from registry_tool.domain.registry import Registry

State = Literal["ok", "warn", "fail"]
LOW_SPACE = 1024**3
ENGINE_SECONDS = 5.0
"""How long an engine gets to answer."""
OLD_LOCK = 600.0
"""Seconds after which a lock file of Git is taken for a left-over."""


@dataclass(frozen=True)
class Check:
    """What one check found. `fix` is the next step unless all is well."""

    name: str
    state: State
    message: str
    fix: str | None = None


def examine(app: App) -> Iterator[Check]:
    """All checks, in order; without a repository only those of the machine."""
    yield _python()
    try:
        _ = app.repository
    except RegistryToolError as problem:
        yield _failed("repository", problem)
        return
    checks: tuple[Callable[[App], Iterator[Check]], ...] = (
        _git,
        _repository,
        _history,
        _hooks,
        _lock_files,
        _lease,
        _store,
        _engine,
        _manifests,
        _records,
    )
    for check in checks:
        try:
            yield from check(app)
        except RegistryToolError as problem:
            yield _failed(check.__name__.strip("_").replace("_", " "), problem)


def _failed(name: str, problem: RegistryToolError) -> Check:
    code = f" ({problem.code})" if problem.code else ""
    return Check(name, "fail", f"{problem.message}{code}", problem.help)


def _python() -> Check:
    return Check("python", "ok", f"{platform.python_version()} at {sys.executable}")


def _git(app: App) -> Iterator[Check]:
    # Opening the repository has refused a Git that is too old.
    yield Check("git", "ok", app.repository.git_version)


def _repository(app: App) -> Iterator[Check]:
    repository = app.repository
    kind = "bare repository" if repository.work_tree is None else "work tree"
    place = repository.work_tree or repository.git_dir
    branch = repository.head_branch()
    if branch == "HEAD":
        yield Check(
            "repository", "warn", f"{kind} {place}, no branch checked out", "git switch main"
        )
    elif repository.ref(f"refs/heads/{branch}") is None:
        fix = "commit the manifests, or run registry-tool init"
        yield Check("repository", "warn", f"{kind} {place}, {branch} has no commit yet", fix)
    else:
        yield Check("repository", "ok", f"{kind} {place}, branch {branch}")


def _history(app: App) -> Iterator[Check]:
    if app.repository.is_shallow:
        yield Check("history", "fail", "the clone is shallow", "git fetch --unshallow")
    else:
        yield Check("history", "ok", "complete")


def _hooks(app: App) -> Iterator[Check]:
    from registry_tool.repository.hooks import CLIENT_HOOKS, MARKER, SERVER_HOOKS

    repository = app.repository
    bare = repository.work_tree is None
    wanted = SERVER_HOOKS if bare else CLIENT_HOOKS
    chosen = repository.config("core.hooksPath")
    folder = repository.common_dir / "hooks"
    if chosen is not None:
        folder = (repository.work_tree or repository.git_dir) / Path(chosen).expanduser()
    missing = [name for name in wanted if not _has_line(folder / name, MARKER)]
    if missing:
        side = "--server" if bare else "--client"
        fix = f"registry-tool hooks install {side} {repository.work_tree or repository.git_dir}"
        yield Check("hooks", "warn", f"not installed: {', '.join(missing)}", fix)
    else:
        yield Check("hooks", "ok", f"{' and '.join(wanted)} installed")


def _has_line(file: Path, line: str) -> bool:
    try:
        return line in file.read_text(errors="replace").splitlines()
    except OSError:
        return False


def _lock_files(app: App) -> Iterator[Check]:
    repository = app.repository
    old = time.time() - OLD_LOCK
    found = sorted(
        {
            file
            for file in (*repository.git_dir.glob("*.lock"), *_below(repository.common_dir))
            if file.stat().st_mtime < old
        }
    )
    for file in found:
        fix = f"if no Git command is running here: rm '{file}'"
        yield Check("lock files", "warn", f"{file} is left over", fix)
    if not found:
        yield Check("lock files", "ok", "none left over")


def _below(common_dir: Path) -> Iterator[Path]:
    yield from common_dir.glob("*.lock")
    yield from (common_dir / "refs").rglob("*.lock")


def _lease(app: App) -> Iterator[Check]:
    from registry_tool.repository.holder import LeaseNote

    repository = app.repository
    oid = repository.ref(LEASE_REF)
    if oid is None:
        yield Check("lease", "ok", "no reconciler is at work")
        return
    note = LeaseNote.parse(next(iter(repository.read_blobs([oid])))[1])
    if note is None:
        fix = f"if no reconciler is running: git update-ref -d {LEASE_REF}"
        yield Check("lease", "warn", "held, in a form that this version does not know", fix)
    elif note.is_dead() or note.expires_at <= datetime.now(UTC):
        fix = "nothing to do: the next apply takes it over"
        yield Check("lease", "warn", f"left behind by {note.holder}", fix)
    else:
        yield Check("lease", "ok", f"held by {note.holder}")


def _store(app: App) -> Iterator[Check]:
    registry = _registry(app)
    if registry is None or registry.spec.images.repository is None:
        yield _embedded(app.store_root)
        return
    from registry_tool.oci.registry_store import RegistryStore

    store = app.open_store(registry)
    if isinstance(store, RegistryStore):
        user = store.ping()
        who = f"as {user}" if user else "without a login"
        yield Check("store", "ok", f"the registry of {store.name} answers {who}")


def _registry(app: App) -> Registry | None:
    """The Registry manifest at HEAD, where there is a valid one."""
    from registry_tool.manifests.loading import load

    head = head_commit(app.repository)
    if head is None:
        return None
    desired = load(app.repository.snapshot(head), app.cache, jobs=app.jobs).desired
    return desired.registry.manifest if desired is not None else None


def _embedded(place: Path) -> Check:
    existing = next(path for path in (place, *place.parents) if path.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        fix = "give the user of registry-tool the right to write there, or set REGISTRY_TOOL_STORE"
        return Check("store", "fail", f"{existing} cannot be written", fix)
    free = shutil.disk_usage(existing).free
    message = f"{place}, {human_bytes(free)} free"
    if free < LOW_SPACE:
        return Check("store", "warn", message, "free some space, or set REGISTRY_TOOL_STORE")
    return Check("store", "ok", message)


def _engine(app: App) -> Iterator[Check]:
    """Whether a container engine answers, which only some builds need."""
    from registry_tool.builders.engine import Engine

    try:
        with closing(Engine(timeout=ENGINE_SECONDS)) as engine:
            info = engine.info
    except EngineProblem as problem:
        users = _engine_users(app)
        if users:
            needed = f"{problem.message}, and {', '.join(users)} cannot be built without"
            yield Check("engine", "warn", needed, problem.help)
        else:
            yield Check("engine", "ok", "none answers, and nothing here needs one")
        return
    if info.has_buildkit:
        yield Check("engine", "ok", str(info))
    else:
        fix = "templates with a Dockerfile need Docker 18.09 or newer with Linux containers"
        yield Check("engine", "warn", f"{info} has no BuildKit", fix)


def _engine_users(app: App) -> list[str]:
    """Templates at HEAD that an engine builds."""
    from registry_tool.domain.registry import BuilderChoice
    from registry_tool.reconcile.states import read_desired_at

    head = head_commit(app.repository)
    if head is None:
        return []
    desired = read_desired_at(app.repository, head, cache=app.cache, jobs=app.jobs).desired
    if desired is None:
        return []
    forced = desired.registry.manifest.spec.builds.builder is BuilderChoice.DOCKER
    used = {each.manifest.spec.template.name for each in desired.releases.values()}
    return sorted(
        f"template/{name}"
        for name, template in desired.templates.items()
        if name in used and (forced or template.manifest.spec.dockerfile is not None)
    )


def _manifests(app: App) -> Iterator[Check]:
    from registry_tool.reconcile.states import read_desired_at

    repository = app.repository
    head = head_commit(repository)
    if head is None:
        return
    state = read_desired_at(repository, head, cache=app.cache, jobs=app.jobs)
    if state.errors:
        message = f"{counted(len(state.errors), 'error')} at HEAD"
        fix = "registry-tool validate --rev HEAD"
        yield Check("manifests", "warn", message, fix)
    else:
        yield Check("manifests", "ok", f"{counted(state.checked, 'manifest')} at HEAD, no errors")
    if state.desired is not None:
        for prefix in state.desired.registry.manifest.spec.storage.allowed:
            yield _prefix(prefix)


def _prefix(prefix: str) -> Check:
    """Whether local storage can be read; other kinds are not asked."""
    from registry_tool.domain.storage import normal_storage_path

    place = normal_storage_path(prefix)
    if not place.startswith("/"):
        return Check("storage", "ok", f"{prefix} is allowed (not asked)")
    if not Path(place).is_dir():
        fix = "create or mount it, or correct spec.storage.allowed of the Registry"
        return Check("storage", "fail", f"{prefix} is not a directory", fix)
    if not os.access(place, os.R_OK | os.X_OK):
        fix = "give the user of registry-tool the right to read it"
        return Check("storage", "fail", f"{prefix} cannot be read", fix)
    return Check("storage", "ok", f"{prefix} can be read")


def _records(app: App) -> Iterator[Check]:
    from registry_tool.cli.recorded import records_of

    recorded = records_of(app)
    builds = sum(map(len, recorded.builds.values()))
    deployments = sum(map(len, recorded.deployments.values()))
    where = f"at {recorded.oid[:12]}" if recorded.oid else "yet"
    message = f"{counted(builds, 'build')} and {counted(deployments, 'deployment')} {where}"
    yield Check("records", "ok", message)
