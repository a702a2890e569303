"""Finding the repository that a path belongs to."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from registry_tool.errors import RepositoryProblem
from registry_tool.repository.command import GitCommand
from registry_tool.repository.problems import git_failed, not_a_repository


@dataclass(frozen=True, slots=True)
class Location:
    """Where a repository's parts are. All paths are absolute."""

    git_dir: Path
    common_dir: Path
    work_tree: Path | None
    object_format: str
    """``sha1`` or ``sha256``."""

    @property
    def directory(self) -> Path:
        """Where git runs."""
        return self.work_tree or self.git_dir

    def environment(self) -> dict[str, str]:
        """The variables that make git use exactly this repository, wherever it runs."""
        variables = {"GIT_DIR": str(self.git_dir)}
        if self.work_tree is not None:
            variables["GIT_WORK_TREE"] = str(self.work_tree)
        for name in ("GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"):
            given = os.environ.get(name)
            if given:
                variables[name] = str(Path(given).absolute())
        return variables


def locate(path: Path) -> Location:
    """The repository around `path`, or the one that GIT_DIR names when a hook runs this.

    Raises RepositoryProblem: RT601 when there is none, RT605 when its owner is someone else.
    """
    if not path.is_dir():
        raise not_a_repository(path)
    if not os.environ.get("GIT_DIR"):
        return _ask(path, path)
    location = _ask(Path.cwd(), path)
    resolved = path.resolve()
    places = [location.work_tree, location.git_dir, location.common_dir, Path.cwd()]
    if not any(place and resolved.is_relative_to(place.resolve()) for place in places):
        raise RepositoryProblem(
            f"GIT_DIR names the repository {location.git_dir}, and {path} is not in it",
            code="RT601",
            help="unset GIT_DIR and the other GIT_ variables, or name the same repository",
        )
    return location


def _ask(directory: Path, named: Path) -> Location:
    command = GitCommand(directory, {})
    arguments = (
        "rev-parse",
        "--path-format=absolute",
        "--git-dir",
        "--git-common-dir",
        "--show-object-format",
        # Fails, after the others were printed, where there is no work tree.
        "--show-toplevel",
    )
    found = command.run_as_operator(*arguments, accept=(0, 128))
    lines = found.text.split("\n")
    if len(lines) < 3:
        if "not a git repository" in found.stderr or "cannot change to" in found.stderr:
            raise not_a_repository(named)
        raise git_failed(arguments, found.stderr)
    git_dir, common_dir = Path(lines[0]), Path(lines[1])
    top = Path(lines[3]) if found.status == 0 and len(lines) > 3 else None
    if top is not None and (top == git_dir or top.is_relative_to(common_dir)):
        # Inside a hook, GIT_DIR alone makes Git take the current directory for the work tree.
        top = None
    return Location(git_dir, common_dir, top, lines[2])
