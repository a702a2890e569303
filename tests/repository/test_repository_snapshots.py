from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from git_folder import GitFolder

from registry_tool.errors import RepositoryProblem
from registry_tool.manifests.source import Source
from registry_tool.repository import work_tree
from registry_tool.repository.repository import Repository
from registry_tool.repository.trees import TreeEntry

PATHS = [
    "build_templates/static/template.yaml",
    "manifests/models/minilm.yaml",
    "manifests/registry.yaml",
]


def _paths(source: Source) -> list[str]:
    return [entry.path for entry in source.entries()]


def test_all_states_of_a_clean_repository_are_equal(
    folder: GitFolder, repository: Repository
) -> None:
    commit = repository.snapshot("HEAD")
    assert _paths(commit) == PATHS
    assert repository.index_snapshot().entries() == commit.entries()
    assert repository.work_tree_snapshot().entries() == commit.entries()
    oids = [entry.oid for entry in commit.entries()]
    expected = [b"kind: BuildTemplate\n", b"kind: Model\n", b"kind: Registry\n"]
    for source in (commit, repository.index_snapshot(), repository.work_tree_snapshot()):
        assert [data for _, data in source.read(oids)] == expected


def test_each_state_shows_its_own_changes(folder: GitFolder, repository: Repository) -> None:
    folder.write("manifests/staged.yaml", "staged\n")
    folder.git("add", "manifests/staged.yaml")
    folder.write("manifests/staged.yaml", "changed since\n")
    folder.write("manifests/untracked.yaml")
    (folder.path / "manifests/registry.yaml").unlink()
    assert _paths(repository.snapshot("HEAD")) == PATHS
    assert _paths(repository.index_snapshot()) == [*PATHS, "manifests/staged.yaml"]
    assert _paths(repository.work_tree_snapshot()) == [
        *PATHS[:2],
        "manifests/staged.yaml",
        "manifests/untracked.yaml",
    ]
    (staged,) = [e.oid for e in repository.index_snapshot().entries() if "staged" in e.path]
    assert list(repository.index_snapshot().read([staged])) == [(staged, b"staged\n")]


def test_ignored_files_are_not_there(
    folder: GitFolder, repository: Repository, tmp_path: Path
) -> None:
    folder.write(".gitignore", "*.tmp\n")
    folder.write("manifests/a.tmp")
    folder.write("manifests/b.mine")
    ignores = tmp_path / "my ignores"
    ignores.write_text("*.mine\n")
    Path(os.environ["HOME"], ".gitconfig").write_text(f"[core]\n excludesFile = {ignores}\n")
    assert _paths(repository.work_tree_snapshot()) == PATHS


def test_names_with_odd_characters_are_kept(folder: GitFolder, repository: Repository) -> None:
    names = ["-x", "--output=y", "new\nline", "tab\t", 'quo"te', "é", "\udcff", " space ", "*.yaml"]
    for name in names:
        folder.write(f"manifests/{name}", name.encode("utf-8", "replace").decode())
    expected = sorted([*PATHS, *(f"manifests/{name}" for name in names)])
    assert _paths(repository.work_tree_snapshot()) == expected
    folder.commit()
    assert _paths(repository.snapshot("HEAD")) == expected
    assert repository.index_snapshot().entries() == repository.work_tree_snapshot().entries()


def test_symlinks_are_reported_and_not_followed(
    folder: GitFolder, repository: Repository, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.yaml").write_text("secret\n")
    (folder.path / "manifests/link.yaml").symlink_to(outside / "secret.yaml")
    (folder.path / "manifests/dangling.yaml").symlink_to("nowhere")
    (folder.path / "manifests/folder").symlink_to(outside)
    listed = {entry.path: entry for entry in repository.work_tree_snapshot().entries()}
    for name in ("link.yaml", "dangling.yaml", "folder"):
        assert listed[f"manifests/{name}"].mode == "120000"
    assert not any("secret" in path for path in listed)
    folder.commit()
    in_tree = {entry.path: entry for entry in repository.snapshot("HEAD").entries()}
    assert in_tree == listed
    link = listed["manifests/link.yaml"].oid
    target = str(outside / "secret.yaml").encode()
    assert list(repository.work_tree_snapshot().read([link])) == [(link, target)]
    assert list(repository.snapshot("HEAD").read([link])) == [(link, target)]


def test_a_folder_replaced_by_a_symlink_hides_its_files(
    folder: GitFolder, repository: Repository, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    (folder.path / "manifests/models").rename(outside)
    (folder.path / "manifests/models").symlink_to(outside)
    entries = repository.work_tree_snapshot().entries()
    assert [(entry.path, entry.mode) for entry in entries] == [
        (PATHS[0], "100644"),
        ("manifests/models", "120000"),
        (PATHS[2], "100644"),
    ]


def test_submodules_and_nested_repositories_are_reported(
    folder: GitFolder, repository: Repository
) -> None:
    nested = GitFolder(folder.path / "manifests/nested")
    nested.path.mkdir()
    nested.git("init", "--quiet")
    nested.write("inner.yaml")
    inner = nested.commit()
    expected = ("manifests/nested", "160000")
    assert expected in [(e.path, e.mode) for e in repository.work_tree_snapshot().entries()]
    folder.git("add", "manifests/nested")
    folder.git("commit", "--quiet", "--message", "Add a submodule")
    assert TreeEntry("manifests/nested", "160000", inner) in repository.snapshot("HEAD").entries()
    assert expected in [(e.path, e.mode) for e in repository.work_tree_snapshot().entries()]


def test_a_pipe_in_the_place_of_a_file_is_never_opened(
    folder: GitFolder, repository: Repository
) -> None:
    target = folder.path / "manifests/registry.yaml"
    target.unlink()
    os.mkfifo(target)
    found = {entry.path: entry.mode for entry in repository.work_tree_snapshot().entries()}
    assert found["manifests/registry.yaml"] == "010000"


def test_executable_files_have_their_mode(folder: GitFolder, repository: Repository) -> None:
    folder.write("build_templates/static/run.sh", "#!/bin/sh\n").chmod(0o755)
    folder.commit()
    for source in (repository.snapshot("HEAD"), repository.work_tree_snapshot()):
        modes = {entry.path: entry.mode for entry in source.entries()}
        assert modes["build_templates/static/run.sh"] == "100755"


def test_a_merge_with_conflicts_has_no_index_state(
    folder: GitFolder, repository: Repository
) -> None:
    for branch, text in (("one", "1\n"), ("two", "2\n")):
        folder.git("checkout", "--quiet", "-b", branch, "main")
        folder.write("manifests/registry.yaml", text)
        folder.commit(branch)
    folder.git("merge", "one", check=False)
    with pytest.raises(RepositoryProblem, match=r"registry\.yaml has merge conflicts"):
        repository.index_snapshot().entries()


def test_a_file_that_changes_between_listing_and_reading_is_noticed(
    folder: GitFolder, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a cache would keep one content under the oid of another."""
    monkeypatch.setattr(work_tree, "_KEPT_BYTES", 0)
    folder.write("manifests/registry.yaml", "kind: Edited\n")
    snapshot = repository.work_tree_snapshot()
    oids = [entry.oid for entry in snapshot.entries()]
    folder.write("manifests/registry.yaml", "kind: Changed\n")
    with pytest.raises(RepositoryProblem, match="changed while it was being read") as caught:
        list(snapshot.read(oids))
    assert caught.value.transient


def test_a_warm_listing_hashes_nothing(
    folder: GitFolder, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_tree, "_RACY_NANOSECONDS", 0)
    time.sleep(0.01)
    first = repository.work_tree_snapshot().entries()
    hashed: list[str] = []
    content = work_tree._content

    def counting(path: Path) -> bytes:
        hashed.append(path.name)
        return content(path)

    monkeypatch.setattr(work_tree, "_content", counting)
    assert repository.work_tree_snapshot().entries() == first
    assert hashed == []
    folder.write("manifests/registry.yaml", "kind: Another\n")
    changed = repository.work_tree_snapshot().entries()
    assert hashed == ["registry.yaml"]
    assert changed != first
    assert changed == repository.work_tree_snapshot().entries()


def test_a_change_of_the_same_size_and_time_is_noticed(
    folder: GitFolder, repository: Repository
) -> None:
    path = folder.write("manifests/registry.yaml", "kind: Aaaa\n")
    stamp = path.stat()
    before = repository.work_tree_snapshot().entries()
    path.write_text("kind: Bbbb\n")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert repository.work_tree_snapshot().entries() != before


@pytest.mark.parametrize("damage", ["garbage", "folder", "locked", "other table"])
def test_the_stat_cache_may_be_damaged_at_any_time(
    folder: GitFolder, repository: Repository, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry_tool.repository.cache_file._BUSY_SECONDS", 0.05)
    cache = repository.state_dir / "work-tree.sqlite"
    expected = repository.snapshot("HEAD").entries()
    locks = []
    if damage == "garbage":
        cache.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    elif damage == "folder":
        cache.mkdir()
    else:
        connection = sqlite3.connect(cache)
        connection.execute("CREATE TABLE files (something TEXT)")
        connection.commit()
        if damage == "locked":
            connection.execute("BEGIN EXCLUSIVE")
        locks.append(connection)
    for _ in range(2):
        assert repository.work_tree_snapshot().entries() == expected
    for connection in locks:
        connection.close()


def test_a_repository_that_cannot_be_written_is_still_read(
    folder: GitFolder, open_repository: Callable[[GitFolder], Repository]
) -> None:
    (folder.path / ".git/registry-tool").write_text("in the way")
    repository = open_repository(folder)
    assert _paths(repository.work_tree_snapshot()) == PATHS
    with pytest.raises(RepositoryProblem, match="cannot be made") as caught:
        _ = repository.state_dir
    assert caught.value.code == "RT610"
