"""Names of refs: any change of what they mean is seen in the files, or Git is asked."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from git_folder import GitFolder

from registry_tool.repository.ref_files import RefFiles, RefState
from registry_tool.repository.repository import Repository

Open = Callable[[GitFolder | Path], Repository]


@pytest.fixture
def refs(repository: Repository) -> RefFiles:
    return RefFiles(repository)


def age(folder: GitFolder) -> None:
    """Let the packed refs be older than they are."""
    past = time.time() - 60
    os.utime(folder.path / ".git/packed-refs", (past, past))


def settled(refs: RefFiles, name: str) -> RefState | None:
    """The state of a name once the last change is more than a second ago."""
    deadline = time.monotonic() + 10
    while (state := refs.state(name)) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    return state


@pytest.mark.parametrize("name", ["main", "HEAD", "refs/heads/main", "heads/main", "main~1^2"])
def test_a_commit_is_seen(refs: RefFiles, folder: GitFolder, name: str) -> None:
    before = refs.state(name)
    assert before is not None
    assert before == refs.state(name)
    folder.commit("Another")
    assert refs.state(name) not in (before, None)


def test_a_ref_that_takes_precedence_is_seen(refs: RefFiles, folder: GitFolder) -> None:
    before = refs.state("main")
    folder.git("tag", "main")
    assert refs.state("main") != before


def test_a_switch_to_another_branch_is_seen(refs: RefFiles, folder: GitFolder) -> None:
    before = refs.state("HEAD")
    folder.git("checkout", "--quiet", "-b", "other")
    assert refs.state("HEAD") != before


def test_the_target_of_a_symbolic_ref_counts(refs: RefFiles, folder: GitFolder) -> None:
    folder.git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
    before = refs.state("alias")
    assert before is not None
    folder.commit("Another")
    assert refs.state("alias") != before


def test_packed_refs_count(refs: RefFiles, folder: GitFolder) -> None:
    first = folder.git("rev-parse", "HEAD")
    loose = refs.state("main")
    folder.commit("Another")
    folder.git("pack-refs", "--all")
    packed = settled(refs, "main")
    assert packed not in (loose, None)
    folder.git("update-ref", "refs/heads/other", first)
    folder.git("pack-refs", "--all")
    assert settled(refs, "main") not in (packed, None)


def test_packed_refs_that_were_just_written_say_nothing(refs: RefFiles, folder: GitFolder) -> None:
    folder.git("pack-refs", "--all")
    assert refs.state("main") is None
    age(folder)
    # The time of the inode cannot be set back.
    assert refs.state("main") is None


def test_tables_of_refs_count(refs: RefFiles, folder: GitFolder) -> None:
    tables = folder.write(".git/reftable/tables.list", "0x01-0x02-aaaaaaaa.ref\n")
    before = refs.state("main")
    assert before is not None
    tables.write_text("0x01-0x03-bbbbbbbb.ref\n")
    assert refs.state("main") != before


def test_refs_that_are_kept_elsewhere_are_not_looked_at(
    folder: GitFolder, open_repository: Open
) -> None:
    folder.git("config", "extensions.refStorage", "elsewhere:///srv/refs")
    assert RefFiles(open_repository(folder)).state("main") is None


def test_a_linked_work_tree_has_a_head_of_its_own(folder: GitFolder, open_repository: Open) -> None:
    place = folder.path.parent / "linked"
    folder.git("worktree", "add", "--quiet", "-b", "side", str(place))
    linked = GitFolder(place)
    refs = RefFiles(open_repository(linked))
    head, main = refs.state("HEAD"), refs.state("main")
    linked.commit("On the side")
    assert refs.state("HEAD") not in (head, None)
    assert refs.state("main") == main
    folder.commit("On main")
    assert refs.state("main") not in (main, None)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "0123abc",
        "v1.0-3-g0123abc",
        "main@{1}",
        "main@{yesterday}",
        "@",
        ":/Add",
        "main^{/Add}",
        "HEAD:README.md",
        "../../etc/passwd",
        "heads/../config",
        "a" * 5000,
        "main\n",
        "-main",
    ],
)
def test_names_that_depend_on_more_are_left_to_git(refs: RefFiles, name: str) -> None:
    assert refs.state(name) is None
