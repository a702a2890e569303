"""States and what differs between them, beside the plain comparison of all their files."""

from __future__ import annotations

from git_folder import GitFolder

from registry_tool.repository.differences import FileChange, TreeState, differences
from registry_tool.repository.repository import Repository
from registry_tool.repository.snapshots import Snapshot
from registry_tool.repository.work_tree import WorkTreeSnapshot


def assert_told(
    repository: Repository, old: Snapshot | WorkTreeSnapshot, new: Snapshot | WorkTreeSnapshot
) -> list[FileChange]:
    before = {entry.path: entry for entry in old.entries()}
    after = {entry.path: entry for entry in new.entries()}
    expected = [
        FileChange(path, before.get(path), after.get(path))
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    ]
    found = differences(repository.command, old.state, new.state)
    assert found == expected
    return found


def test_commits_index_and_work_tree_are_compared_as_their_files_are(
    folder: GitFolder, repository: Repository
) -> None:
    first = repository.snapshot("HEAD")
    folder.write("manifests/models/staged.yaml", "kind: Staged\n")
    folder.write("manifests/registry.yaml", "kind: Changed\n")
    folder.git("add", "--all")
    folder.write("manifests/models/staged.yaml", "kind: StagedAndChanged\n")
    folder.write("manifests/models/untracked.yaml", "kind: Untracked\n")
    folder.write("elsewhere/file.yaml", "kind: Nothing\n")
    index, tree = repository.index_snapshot(), repository.work_tree_snapshot()
    assert len(assert_told(repository, first, index)) == 2
    assert len(assert_told(repository, first, tree)) == 3
    assert len(assert_told(repository, index, tree)) == 2
    assert assert_told(repository, tree, repository.work_tree_snapshot()) == []
    folder.git("add", "--all")
    folder.git("commit", "--quiet", "-m", "All of it")
    second = repository.snapshot("HEAD")
    assert assert_told(repository, tree, second) == []
    assert_told(repository, second, first)
    assert_told(repository, index, second)
    (folder.path / "manifests/models/staged.yaml").unlink()
    folder.git("rm", "--quiet", "--cached", "manifests/registry.yaml")
    assert len(assert_told(repository, second, repository.work_tree_snapshot())) == 1
    assert len(assert_told(repository, second, repository.index_snapshot())) == 1


def test_everything_differs_from_nothing(repository: Repository) -> None:
    nothing = repository.snapshot(None)
    assert nothing.state == TreeState("4b825dc642cb6eb9a060e54bf8d69288fbee4904", {})
    assert_told(repository, nothing, repository.snapshot("HEAD"))


def test_a_state_survives_what_git_takes_for_unchanged(
    folder: GitFolder, repository: Repository
) -> None:
    (folder.path / "manifests/link.yaml").symlink_to("registry.yaml")
    (folder.path / "manifests/registry.yaml").chmod(0o755)
    first = repository.snapshot("HEAD")
    found = assert_told(repository, first, repository.work_tree_snapshot())
    assert [change.after and change.after.mode for change in found] == ["120000", "100755"]
