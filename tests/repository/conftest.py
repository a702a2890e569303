"""Real repositories to work on, made with the real git."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from git_folder import FakeClock, GitFolder

from registry_tool.repository.repository import Repository


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def empty(tmp_path: Path) -> GitFolder:
    folder = GitFolder(tmp_path / "work")
    folder.path.mkdir()
    folder.git("init", "--quiet", "--initial-branch=main")
    return folder


@pytest.fixture
def folder(empty: GitFolder) -> GitFolder:
    """Two manifests, a template and a file that is none of our business, in one commit."""
    empty.write("manifests/registry.yaml", "kind: Registry\n")
    empty.write("manifests/models/minilm.yaml", "kind: Model\n")
    empty.write("build_templates/static/template.yaml", "kind: BuildTemplate\n")
    empty.write("README.md", "not read\n")
    empty.commit("Add minilm")
    return empty


@pytest.fixture
def open_repository() -> Iterator[Callable[[GitFolder | Path], Repository]]:
    """Opens repositories that are closed after the test."""
    with ExitStack() as stack:

        def open_one(place: GitFolder | Path) -> Repository:
            path = place.path if isinstance(place, GitFolder) else place
            return stack.enter_context(Repository.open(path))

        yield open_one


@pytest.fixture
def repository(
    folder: GitFolder, open_repository: Callable[[GitFolder | Path], Repository]
) -> Repository:
    return open_repository(folder)
