"""Installing hooks.

Client checks before a commit or push, server rules and the start of a reconcile.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from registry_tool.errors import RepositoryProblem
from registry_tool.repository.repository import Repository

CLIENT_HOOKS = ("pre-commit", "pre-push")
SERVER_HOOKS = ("pre-receive", "post-receive")
MARKER = "# Installed by `registry-tool hooks install`; installing again updates this file."

_SCRIPT = """\
#!/bin/sh
{marker}
python={python}
# -P: a package in the current directory is never taken for this program.
if [ -x "$python" ] && "$python" -P -c 'import registry_tool' 2>/dev/null; then
    exec "$python" -P -m registry_tool hooks run {name} "$@"
fi
exec registry-tool hooks run {name} "$@"
"""


@dataclass(frozen=True, slots=True)
class InstalledHook:
    """A hook file and what installing did to it."""

    path: Path
    change: Literal["created", "updated", "unchanged"]


def install_client(repository: Repository) -> list[InstalledHook]:
    """Check manifests before each commit and push.

    Raises RepositoryProblem when a foreign hook is there.
    """
    return _install(repository, CLIENT_HOOKS)


def install_server(repository: Repository) -> list[InstalledHook]:
    """Check pushes and reconcile after them.

    Raises RepositoryProblem when a foreign hook is there.
    """
    return _install(repository, SERVER_HOOKS)


def hook_script(name: str, python: str = sys.executable) -> bytes:
    """The text of a hook that runs this installation, or what PATH has when it is gone."""
    return _SCRIPT.format(marker=MARKER, python=shlex.quote(python), name=name).encode()


def _install(repository: Repository, names: Sequence[str]) -> list[InstalledHook]:
    folder = _hooks_folder(repository)
    paths = {name: folder / name for name in names}
    foreign = [path for path in paths.values() if os.path.lexists(path) and not _is_ours(path)]
    if foreign:
        listed = ", ".join(str(path) for path in foreign)
        raise RepositoryProblem(
            f"there are hooks of somebody else: {listed}",
            code="RT610",
            help="nothing was installed; move them away, or add this line to them: "
            f"registry-tool hooks run {foreign[0].name}",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [
            InstalledHook(path, _write(path, hook_script(name))) for name, path in paths.items()
        ]
    except OSError as problem:
        raise RepositoryProblem(
            f"hooks cannot be written to {folder}: {problem.strerror}",
            code="RT610",
            help="run the command as the user that owns the repository",
        ) from problem


def _hooks_folder(repository: Repository) -> Path:
    arguments = ("config", "--show-scope", "--get", "core.hooksPath")
    scope = repository.command.run_as_operator(*arguments, accept=(0, 1)).text.partition("\t")[0]
    if scope in {"global", "system"}:
        raise RepositoryProblem(
            "core.hooksPath names one folder of hooks for all repositories",
            code="RT610",
            help="give this repository its own: git config --local core.hooksPath .git/hooks",
        )
    found = repository.command.run_as_operator(
        "rev-parse", "--path-format=absolute", "--git-path", "hooks"
    )
    return Path(found.text)


def _is_ours(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    return MARKER.encode() in path.read_bytes().splitlines()


def _write(path: Path, script: bytes) -> Literal["created", "updated", "unchanged"]:
    exists = path.exists()
    if exists and path.read_bytes() == script and os.access(path, os.X_OK):
        return "unchanged"
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_bytes(script)
        fresh.chmod(0o755)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    return "updated" if exists else "created"
