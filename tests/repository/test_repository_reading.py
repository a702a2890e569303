from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from git_folder import GitFolder

from registry_tool.domain.revisions import Revision
from registry_tool.errors import RepositoryProblem
from registry_tool.repository import command
from registry_tool.repository.editing import commit_files
from registry_tool.repository.history import Change
from registry_tool.repository.repository import Repository

Open = Callable[[GitFolder | Path], Repository]


def test_a_path_outside_any_repository_is_a_clear_problem(tmp_path: Path) -> None:
    with pytest.raises(RepositoryProblem, match="not in a Git repository") as caught:
        Repository.open(tmp_path)
    assert caught.value.code == "RT601"
    assert "registry-tool init" in (caught.value.help or "")


def test_a_path_that_does_not_exist_is_a_clear_problem(tmp_path: Path) -> None:
    with pytest.raises(RepositoryProblem) as caught:
        Repository.open(tmp_path / "nowhere")
    assert caught.value.code == "RT601"


def test_a_subfolder_belongs_to_its_repository(folder: GitFolder, open_repository: Open) -> None:
    repository = open_repository(folder.path / "manifests/models")
    assert repository.work_tree == folder.path
    assert repository.git_dir == folder.path / ".git"
    assert len(repository.work_tree_snapshot().entries()) == 3


def test_a_bare_repository_has_no_work_tree(folder: GitFolder, open_repository: Open) -> None:
    bare = folder.clone("bare.git", "--bare")
    repository = open_repository(bare)
    assert repository.work_tree is None
    assert repository.git_dir == bare.path
    assert len(repository.snapshot(repository.revision().oid).entries()) == 3
    with pytest.raises(RepositoryProblem, match="no work tree"):
        repository.work_tree_snapshot()


def test_a_linked_work_tree_shares_state_and_has_its_own_head(
    folder: GitFolder, open_repository: Open
) -> None:
    folder.git("worktree", "add", "--quiet", "-b", "side", "../linked")
    linked = GitFolder(folder.path.parent / "linked")
    repository = open_repository(linked)
    assert repository.head_branch() == "side"
    assert repository.work_tree == linked.path
    assert repository.common_dir == folder.path / ".git"
    assert repository.state_dir == folder.path / ".git/registry-tool"
    linked.write("manifests/more.yaml")
    linked.git("add", "--all")
    assert len(repository.index_snapshot().entries()) == 4
    assert len(open_repository(folder).index_snapshot().entries()) == 3


def test_an_unborn_branch_is_a_clear_problem(empty: GitFolder, open_repository: Open) -> None:
    repository = open_repository(empty)
    assert repository.head_branch() == "main"
    with pytest.raises(RepositoryProblem, match='"main" has no commit') as caught:
        repository.revision()
    assert caught.value.code == "RT604"
    assert repository.snapshot(None).entries() == ()


def test_a_detached_head_is_reached_by_head(folder: GitFolder, open_repository: Open) -> None:
    folder.git("checkout", "--quiet", "--detach")
    repository = open_repository(folder)
    assert repository.head_branch() == "HEAD"
    assert repository.revision() == Revision("HEAD", folder.git("rev-parse", "HEAD"))


@pytest.mark.parametrize(
    "revision", ["nope", "", "--all", "-x", "main..HEAD", "a\0b", "0" * 40, "HEAD:README.md", "é~"]
)
def test_an_unknown_revision_is_a_clear_problem(repository: Repository, revision: str) -> None:
    with pytest.raises(RepositoryProblem, match="unknown revision") as caught:
        repository.resolve(revision)
    assert caught.value.code == "RT602"


def test_a_revision_remembers_the_ref_it_was_reached_by(
    folder: GitFolder, repository: Repository
) -> None:
    oid = folder.git("rev-parse", "HEAD")
    folder.git("tag", "-a", "-m", "one", "v1")
    folder.git("branch", "side")
    assert repository.revision() == Revision("main", oid)
    assert repository.revision("side") == Revision("side", oid)
    assert repository.revision("v1") == Revision("tags/v1", oid)
    assert repository.revision(oid[:10]) == Revision("main", oid)
    assert repository.revision("HEAD") == Revision("main", oid)
    assert repository.resolve(str(Revision("main", oid))) == oid


def test_a_shallow_clone_says_so_where_history_is_needed(
    folder: GitFolder, open_repository: Open
) -> None:
    first = folder.git("rev-parse", "HEAD")
    folder.write("README.md", "changed\n")
    tip = folder.commit("Change the readme")
    repository = open_repository(folder.clone("shallow", "--depth=1"))
    assert repository.is_shallow
    assert len(repository.snapshot(tip).entries()) == 3
    assert [info.oid for info in repository.commits(tip, limit=1)] == [tip]
    for ask in (
        lambda: repository.first_parent(tip),
        lambda: repository.changed_paths(None, tip),
        lambda: list(repository.commits(tip)),
        # Git would say that the last commit added this file.
        lambda: list(repository.commits(tip, ["manifests"], limit=1)),
    ):
        with pytest.raises(RepositoryProblem, match="shallow") as caught:
            ask()
        assert caught.value.code == "RT603"
    with pytest.raises(RepositoryProblem, match="unknown revision") as caught:
        repository.resolve(first)
    assert "--unshallow" in (caught.value.help or "")


def test_a_repository_of_somebody_else_needs_trust(
    folder: GitFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(RepositoryProblem, match="belongs to another user") as caught:
        Repository.open(folder.path)
    assert "safe.directory" in (caught.value.help or "")
    home = Path(os.environ["HOME"])
    (home / ".gitconfig").write_text(f"[safe]\n directory = {folder.path}\n")
    with Repository.open(folder.path) as repository:
        assert len(repository.snapshot("HEAD").entries()) == 3


def test_an_old_git_is_refused(folder: GitFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "MINIMUM_VERSION", (99, 0))
    command._program.cache_clear()
    try:
        with pytest.raises(RepositoryProblem, match="this is version") as caught:
            Repository.open(folder.path)
    finally:
        command._program.cache_clear()
    assert caught.value.code == "RT609"


def test_a_hook_uses_the_repository_it_runs_in(
    folder: GitFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.path)
    monkeypatch.setenv("GIT_DIR", ".git")
    with Repository.open(Path()) as repository:
        assert repository.git_dir == folder.path / ".git"
        assert repository.work_tree == folder.path
    with Repository.open(folder.path / "manifests") as repository:
        assert repository.git_dir == folder.path / ".git"
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(RepositoryProblem, match="GIT_DIR names the repository") as caught:
        Repository.open(other)
    assert "unset GIT_DIR" in (caught.value.help or "")


def test_a_hook_inside_the_git_folder_has_no_work_tree(
    folder: GitFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.path / ".git")
    monkeypatch.setenv("GIT_DIR", ".")
    with Repository.open(Path()) as repository:
        assert repository.work_tree is None
        assert repository.git_dir == folder.path / ".git"


def test_objects_in_quarantine_are_visible(
    folder: GitFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What pre-receive sees: new objects live in a folder of their own until the push is accepted."""
    bare = folder.clone("bare.git", "--bare")
    folder.write("manifests/models/new.yaml", "kind: Model # new\n")
    new = folder.commit("Add new")
    quarantine = bare.path / "objects/incoming"
    (quarantine / "pack").mkdir(parents=True)
    monkeypatch.chdir(bare.path)
    monkeypatch.setenv("GIT_DIR", ".")
    with Repository.open(Path()) as repository, pytest.raises(RepositoryProblem):
        repository.resolve(new)
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", "objects/incoming")
    monkeypatch.setenv("GIT_ALTERNATE_OBJECT_DIRECTORIES", str(bare.path / "objects"))
    monkeypatch.setenv("GIT_QUARANTINE_PATH", str(quarantine))
    pack = subprocess.run(
        ["git", "pack-objects", "--stdout", "--revs", "-q"],
        cwd=folder.path,
        input=b"HEAD\n^HEAD~1\n",
        capture_output=True,
        check=True,
        env={"PATH": os.environ["PATH"]},
    ).stdout
    subprocess.run(["git", "unpack-objects", "-q"], input=pack, check=True)
    with Repository.open(Path()) as repository:
        snapshot = repository.snapshot(new)
        oids = [entry.oid for entry in snapshot.entries()]
        contents = dict(snapshot.read(oids))
        assert b"kind: Model # new\n" in contents.values()
        assert [change.path for change in repository.changed_paths(None, new)] == [
            "manifests/models/new.yaml"
        ]


def test_commits_have_people_times_messages_and_trailers(
    folder: GitFolder, repository: Repository
) -> None:
    folder.write("manifests/registry.yaml", "kind: Registry # 2\n")
    folder.git("add", "--all")
    environment = {
        **os.environ,
        "GIT_AUTHOR_DATE": "2026-02-03T04:05:06+0200",
        "GIT_COMMITTER_NAME": "Bob",
    }
    message = (
        "A subject\nin two lines\n\nThe body.\n\nReviewed-by: Eve <eve@example.org>\n"
        "Approved-by: Mallory\nreviewed-by: Zoe\n  the Great\n"
    )
    folder.git("commit", "--quiet", "--message", message, env=environment)
    newest, oldest = repository.commits("HEAD")
    assert newest.parents == (oldest.oid,)
    assert (newest.author.name, newest.author.email) == ("Ada Lovelace", "ada@example.org")
    assert newest.committer.name == "Bob"
    assert newest.authored_at == datetime(2026, 2, 3, 2, 5, 6, tzinfo=UTC)
    assert newest.subject == "A subject in two lines"
    assert newest.body.startswith("The body.\n\nReviewed-by: Eve")
    assert newest.trailer("Reviewed-by") == ("Eve <eve@example.org>", "Zoe the Great")
    assert newest.trailer("approved-by") == ("Mallory",)
    assert oldest.trailers == ()
    assert [info.oid for info in repository.commits("HEAD", ["manifests/models"])] == [oldest.oid]


def test_commits_with_odd_bytes_and_times_are_read(
    folder: GitFolder, repository: Repository
) -> None:
    tree = folder.git("rev-parse", "HEAD^{tree}")
    raw = (
        b"tree " + tree.encode() + b"\nauthor \xff\xfe <a\x01b> 99999999999999999999 +9999\n"
        b"committer  <> 0 +0000\n\n\xff subject\x1b[31m\r\nrest\n\nKey: \xe9\n"
    )
    done = subprocess.run(
        ["git", "hash-object", "-t", "commit", "-w", "--literally", "--stdin"],
        cwd=folder.path,
        input=raw,
        capture_output=True,
        check=True,
    )
    (info,) = repository.commits(done.stdout.decode().strip())
    assert info.author.name == "��"
    assert info.subject.startswith("� subject")
    assert info.committer.email == ""
    info.author.model_dump_json()


def test_changes_are_listed_without_renames(folder: GitFolder, repository: Repository) -> None:
    before = folder.git("rev-parse", "HEAD")
    folder.git("mv", "manifests/models/minilm.yaml", "manifests/models/renamed.yaml")
    folder.write("manifests/registry.yaml", "changed\n")
    folder.write("tab\tand\nnewline", "odd\n")
    after = folder.commit("Change things")
    expected = [
        Change("manifests/models/minilm.yaml", "D"),
        Change("manifests/models/renamed.yaml", "A"),
        Change("manifests/registry.yaml", "M"),
        Change("tab\tand\nnewline", "A"),
    ]
    assert repository.changed_paths(before, after) == expected
    assert repository.changed_paths(None, after) == expected
    assert repository.changed_paths(after, after) == []
    root = [change.status for change in repository.changed_paths(None, before)]
    assert root == ["A"] * 4


def test_a_merge_is_compared_to_its_first_parent(folder: GitFolder, repository: Repository) -> None:
    folder.git("checkout", "--quiet", "-b", "side")
    folder.write("manifests/side.yaml")
    side = folder.commit("On the side")
    folder.git("checkout", "--quiet", "main")
    folder.write("manifests/main.yaml")
    main = folder.commit("On main")
    folder.git("merge", "--quiet", "--no-ff", "--message", "Merge", "side")
    merge = folder.git("rev-parse", "HEAD")
    assert repository.first_parent(merge) == main
    assert repository.changed_paths(None, merge) == [Change("manifests/side.yaml", "A")]
    assert repository.is_ancestor(side, merge)
    assert not repository.is_ancestor(side, main)
    assert repository.merge_base(side, main) == repository.first_parent(main)


def test_a_root_commit_has_no_parent(repository: Repository) -> None:
    assert repository.first_parent(repository.revision().oid) is None


def test_one_file_of_a_commit(repository: Repository) -> None:
    assert repository.blob_at("main", "README.md") == b"not read\n"
    assert repository.blob_at("main", "manifests/models/minilm.yaml") == b"kind: Model\n"
    assert repository.blob_at("main", "manifests/models") is None
    assert repository.blob_at("main", "README.md/below") is None
    assert repository.blob_at("main", "nowhere") is None


def test_refs_are_read_by_full_name(folder: GitFolder, repository: Repository) -> None:
    oid = repository.revision().oid
    folder.git("branch", "deploy/staging")
    assert repository.ref("refs/heads/main") == oid
    assert repository.ref("refs/heads/none") is None
    assert repository.refs("refs/heads/deploy/") == {"refs/heads/deploy/staging": oid}
    for name in ("main", "refs/heads/../x", "refs/heads/a b", "refs/heads/@{1}", "--all"):
        with pytest.raises(RepositoryProblem, match="not a full ref name"):
            repository.ref(name)


def test_pathspec_variables_of_the_user_do_not_disturb(
    folder: GitFolder, open_repository: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("GIT_GLOB_PATHSPECS", "GIT_ICASE_PATHSPECS"):
        monkeypatch.setenv(name, "1")
    repository = open_repository(folder)
    assert len(repository.work_tree_snapshot().entries()) == 3
    assert len(list(repository.commits("HEAD", ["README.md"]))) == 1
    assert list(repository.commits("HEAD", ["*.md", "readme.md"])) == []


def test_settings_are_the_operators(folder: GitFolder, repository: Repository) -> None:
    assert repository.config("registry-tool.recorder") is None
    folder.git("config", "--add", "registry-tool.recorder", "ci")
    folder.git("config", "--add", "registry-tool.recorder", "bot")
    assert repository.config_all("registry-tool.recorder") == ["ci", "bot"]
    assert repository.config("registry-tool.recorder") == "bot"
    assert repository.config_flag("core.bare") is False
    with pytest.raises(RepositoryProblem, match="not the name of a Git setting"):
        repository.config("--global")


def test_a_repository_with_sha256(tmp_path: Path, open_repository: Open) -> None:
    folder = GitFolder(tmp_path / "work")
    folder.path.mkdir()
    folder.git("init", "--quiet", "--object-format=sha256", "--initial-branch=main")
    folder.write("manifests/registry.yaml", "kind: Registry\n")
    tip = folder.commit()
    repository = open_repository(folder)
    assert len(tip) == 64
    (entry,) = repository.snapshot(tip).entries()
    assert repository.work_tree_snapshot().entries() == (entry,)
    assert list(repository.read_blobs([entry.oid])) == [(entry.oid, b"kind: Registry\n")]
    assert [change.status for change in repository.changed_paths(None, tip)] == ["A"]
    new = commit_files(repository, {"manifests/more.yaml": b"more\n"}, "More")
    assert repository.blob_at(new, "manifests/more.yaml") == b"more\n"


def test_making_a_repository_twice_leaves_it_as_it_is(tmp_path: Path) -> None:
    with Repository.create(tmp_path / "new", branch="trunk") as repository:
        assert repository.head_branch() == "trunk"
        oid = commit_files(repository, {"manifests/registry.yaml": b"x\n"}, "First")
    with Repository.create(tmp_path / "new", branch="other") as repository:
        assert repository.revision() == Revision("trunk", oid)
    with Repository.create(tmp_path / "bare.git", bare=True) as repository:
        assert repository.work_tree is None
