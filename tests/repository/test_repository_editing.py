from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from git_folder import GitFolder

from registry_tool.errors import RepositoryProblem
from registry_tool.repository.editing import commit_files
from registry_tool.repository.refs import RefsMoved, RefUpdate
from registry_tool.repository.repository import Repository

Open = Callable[[GitFolder | Path], Repository]


def test_only_the_named_files_are_committed(folder: GitFolder, repository: Repository) -> None:
    folder.write("README.md", "staged\n")
    folder.write("manifests/new.yaml", "staged too\n")
    folder.git("add", "--all")
    folder.write("manifests/models/minilm.yaml", "not staged\n")
    folder.write("manifests/registry.yaml", "edited\n")
    before = repository.revision().oid
    oid = commit_files(repository, {"manifests/registry.yaml": b"edited\n"}, "Edit the registry")
    assert folder.git("rev-parse", "main") == oid
    assert repository.first_parent(oid) == before
    assert [change.path for change in repository.changed_paths(None, oid)] == [
        "manifests/registry.yaml"
    ]
    assert folder.git("status", "--porcelain").splitlines() == [
        "M  README.md",
        " M manifests/models/minilm.yaml",
        "A  manifests/new.yaml",
    ]


def test_files_are_added_and_removed(folder: GitFolder, repository: Repository) -> None:
    changes = {"manifests/models/minilm.yaml": None, "manifests/models/é new.yaml": b"new\n"}
    oid = commit_files(repository, changes, "Replace\n\nWith a body.\n\n\n")
    assert folder.git("ls-tree", "-rz", "--name-only", oid, "manifests").split("\0")[:-1] == [
        "manifests/models/é new.yaml",
        "manifests/registry.yaml",
    ]
    assert folder.git("log", "-1", "--format=%B") == "Replace\n\nWith a body."
    assert folder.git("diff", "--cached", "--name-only") == ""


def test_many_files_at_once(folder: GitFolder, repository: Repository) -> None:
    changes = {f"manifests/many/{number}.yaml": b"%d\n" % number for number in range(300)}
    oid = commit_files(repository, changes, "Add many")
    assert len(repository.tree(oid)) == 304
    assert folder.git("diff", "--cached", "--name-only") == ""


def test_an_executable_file_stays_executable(folder: GitFolder, repository: Repository) -> None:
    folder.write("build_templates/static/run.sh", "1\n").chmod(0o755)
    folder.commit()
    oid = commit_files(repository, {"build_templates/static/run.sh": b"2\n"}, "Edit")
    modes = {entry.path: entry.mode for entry in repository.tree(oid)}
    assert modes["build_templates/static/run.sh"] == "100755"
    assert "M" not in folder.git("diff", "--cached", "--name-status")


def test_the_first_commit_of_a_repository(empty: GitFolder, open_repository: Open) -> None:
    repository = open_repository(empty)
    oid = commit_files(repository, {"manifests/registry.yaml": b"x\n"}, "First")
    assert repository.revision().oid == oid
    assert repository.first_parent(oid) is None


def test_a_bare_repository_is_edited_as_well(folder: GitFolder, open_repository: Open) -> None:
    bare = open_repository(folder.clone("bare.git", "--bare"))
    oid = commit_files(bare, {"manifests/registry.yaml": b"edited\n"}, "Edit")
    assert bare.revision().oid == oid
    assert not (bare.git_dir / "index").exists()


def test_another_branch_is_made_without_checking_it_out(
    folder: GitFolder, repository: Repository
) -> None:
    main = repository.revision().oid
    first = commit_files(repository, {"manifests/a.yaml": b"a\n"}, "One", branch="topic/edit")
    second = commit_files(repository, {"manifests/b.yaml": b"b\n"}, "Two", branch="topic/edit")
    assert repository.first_parent(first) == main
    assert repository.first_parent(second) == first
    assert folder.git("rev-parse", "topic/edit") == second
    assert repository.revision().oid == main
    assert folder.git("status", "--porcelain") == ""


def test_a_branch_checked_out_elsewhere_is_left_alone(
    folder: GitFolder, repository: Repository
) -> None:
    folder.git("worktree", "add", "--quiet", "-b", "side", "../linked")
    with pytest.raises(RepositoryProblem, match="checked out in"):
        commit_files(repository, {"manifests/a.yaml": b"a\n"}, "One", branch="side")


def test_without_a_branch_one_must_be_named(folder: GitFolder, repository: Repository) -> None:
    folder.git("checkout", "--quiet", "--detach")
    with pytest.raises(RepositoryProblem, match="no branch is checked out") as caught:
        commit_files(repository, {"manifests/a.yaml": b"a\n"}, "One")
    assert "--branch" in (caught.value.help or "")
    oid = commit_files(repository, {"manifests/a.yaml": b"a\n"}, "One", branch="topic")
    assert repository.first_parent(oid) == folder.git("rev-parse", "HEAD")


@pytest.mark.parametrize("branch", ["a b", "a..b", "-x\n", "a.lock", "@{-1}", "x~1"])
def test_a_branch_name_that_git_refuses(repository: Repository, branch: str) -> None:
    with pytest.raises(RepositoryProblem, match="not a full ref name"):
        commit_files(repository, {"manifests/a.yaml": b"a\n"}, "One", branch=branch)


def test_a_branch_that_moves_meanwhile_is_not_overwritten(
    folder: GitFolder, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def race(updates: list[RefUpdate]) -> None:
        raise RefsMoved("moved")

    monkeypatch.setattr(repository, "move_refs", race)
    before = folder.git("rev-parse", "main")
    with pytest.raises(RepositoryProblem, match="somebody else moved") as caught:
        commit_files(repository, {"manifests/registry.yaml": b"x\n"}, "Edit")
    assert caught.value.transient
    assert folder.git("rev-parse", "main") == before


def test_the_operators_identity_is_used(
    folder: GitFolder, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.delenv(f"GIT_{role}_NAME")
        monkeypatch.delenv(f"GIT_{role}_EMAIL")
    home = Path(os.environ["HOME"])
    (home / ".gitconfig").write_text("[user]\n useConfigOnly = true\n")
    with pytest.raises(RepositoryProblem, match="does not know who commits") as caught:
        commit_files(repository, {"manifests/a.yaml": b"a\n"}, "One")
    assert "user.name" in (caught.value.help or "")
    (home / ".gitconfig").write_text("[user]\n name = Grace\n email = grace@example.org\n")
    oid = commit_files(repository, {"manifests/a.yaml": b"a\n"}, "One")
    (info, *_) = repository.commits(oid)
    assert (info.author.name, info.committer.email) == ("Grace", "grace@example.org")


def test_commits_are_signed_when_the_operator_signs(
    folder: GitFolder, repository: Repository, tmp_path: Path
) -> None:
    signer = tmp_path / "sign.sh"
    signer.write_text(
        "#!/bin/sh\necho 'made up signature'\necho '[GNUPG:] SIG_CREATED ' >&2\ncat >/dev/null\n"
    )
    signer.chmod(0o755)
    folder.git("config", "gpg.program", str(signer))
    folder.git("config", "commit.gpgSign", "true")
    oid = commit_files(repository, {"manifests/a.yaml": b"a\n"}, "One")
    assert "gpgsig made up signature" in folder.git("cat-file", "commit", oid)
