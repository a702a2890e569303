"""A repository can be anybody's work: nothing in it may run or write anything."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from git_folder import GitFolder

from registry_tool.domain.recorded import REQUESTS_FOLDER
from registry_tool.repository.editing import commit_files
from registry_tool.repository.lease import Lease
from registry_tool.repository.receive import refused_updates
from registry_tool.repository.recorder import PendingRecord, Recorder
from registry_tool.repository.refs import RefUpdate
from registry_tool.repository.repository import Repository

HOOKS = (
    "reference-transaction",
    "pre-commit",
    "commit-msg",
    "post-commit",
    "post-index-change",
    "fsmonitor-watchman",
    "pre-push",
    "post-checkout",
    "pre-auto-gc",
    "post-rewrite",
    "proc-receive",
)


@pytest.fixture
def trap(folder: GitFolder, tmp_path: Path) -> Path:
    """A file that appears once anything of the repository was run."""
    sprung = tmp_path / "sprung"
    script = tmp_path / "trap.sh"
    script.write_text(f"#!/bin/sh\necho \"$0 $*\" >> '{sprung}'\ncat\n")
    script.chmod(0o755)
    for name in HOOKS:
        hook = folder.path / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_bytes(script.read_bytes())
        hook.chmod(0o755)
    for setting in (
        "core.fsmonitor",
        "core.sshCommand",
        "core.pager",
        "core.editor",
        "core.askPass",
        "core.alternateRefsCommand",
        "diff.external",
        "diff.evil.textconv",
        "diff.evil.command",
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "gpg.program",
        "gpg.ssh.program",
        "pager.log",
        "pager.ls-tree",
        "merge.evil.driver",
        "credential.helper",
        "uploadpack.packObjectsHook",
    ):
        folder.git("config", setting, str(script))
    for verb in ("ls-tree", "rev-parse", "cat-file", "update-ref", "log"):
        folder.git("config", f"alias.{verb}", f"!{script}")
    folder.git("config", "log.showSignature", "true")
    folder.write(".gitattributes", "* filter=evil diff=evil merge=evil text eol=crlf\n")
    return sprung


def _everything(folder: GitFolder) -> set[str]:
    ours = {".git/registry-tool"}
    return {
        str(path.relative_to(folder.path.parent))
        for path in folder.path.parent.rglob("*")
        if not any(part in str(path) for part in ours) and ".git/objects" not in str(path)
    }


def test_nothing_of_a_repository_runs(
    folder: GitFolder, trap: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("--output=written", "-x", "new\nline", "$(touch sprung)", ":(glob)**", "!ls"):
        folder.write(f"manifests/{name}", "x\n")
    (folder.path / "manifests/link").symlink_to("/etc/passwd")
    folder.git("-c", "filter.evil.process=", "-c", "core.fsmonitor=false", "add", "--all")
    tree = folder.git("write-tree")
    # Git itself would refuse to make such a tree.
    dot_git = "/".join(["..", ".git", "hooks", "x"])
    listing = f"100644 blob {folder.git('rev-parse', 'HEAD:README.md')}\t{dot_git}\n"
    evil = subprocess.run(
        ["git", "hash-object", "-t", "tree", "-w", "--literally", "--stdin"],
        cwd=folder.path,
        input=b"100644 " + dot_git.encode() + b"\0" + bytes.fromhex(listing.split()[2]),
        capture_output=True,
        check=True,
    ).stdout.decode()
    outer = f"040000 tree {evil.strip()}\tmanifests\n040000 tree {tree}\tbuild_templates\n"
    made = folder.git("mktree", stdin=outer)
    commit = folder.git("commit-tree", made, "-p", "HEAD", "-m", "--evil")
    trap.unlink(missing_ok=True)
    before = _everything(folder)
    trace = tmp_path.parent / f"{tmp_path.name}-trace.json"
    monkeypatch.setenv("GIT_TRACE2_EVENT", str(trace))

    with Repository.open(folder.path) as repository:
        for revision in ("HEAD", commit):
            snapshot = repository.snapshot(revision)
            blobs = [entry.oid for entry in snapshot.entries()]
            assert list(snapshot.read(blobs))
            assert list(repository.commits(revision))
            assert repository.changed_paths(None, revision)
        for state in (repository.index_snapshot(), repository.work_tree_snapshot()):
            assert list(state.read([entry.oid for entry in state.entries()]))
        assert repository.is_ancestor("HEAD", commit)
        repository.revision(commit)
        update = RefUpdate(None, commit, "refs/heads/registry-records")
        assert refused_updates([update], None, [], repository)
        with Lease.acquire(repository) as lease:
            Recorder(repository, lease).append(
                [PendingRecord(REQUESTS_FOLDER, "a" * 64, b"request %d\n".__mod__)],
                {"deploy/staging": {"compose.yaml": b"services: {}\n"}},
                revision=repository.revision(),
            )
        commit_files(repository, {"manifests/registry.yaml": b"x\n"}, "Edit")

    assert not trap.exists()
    children = []
    for line in trace.read_text(errors="replace").splitlines():
        event = json.loads(line)
        if event["event"] in {"child_start", "exec"}:
            children.append(event)
    assert children == []
    records = {"work/.git/refs/heads/registry-records", "work/.git/refs/heads/deploy"}
    appeared = {path for path in _everything(folder) - before if "/.git/logs/" not in path}
    assert appeared <= {
        *records,
        "work/.git/refs/heads/deploy/staging",
        "work/.git/refs/registry-tool",
        "work/.git/COMMIT_EDITMSG",
    }


def test_replacement_objects_do_not_change_what_a_commit_says(
    folder: GitFolder, repository: Repository
) -> None:
    oid = repository.revision().oid
    entries = repository.snapshot(oid).entries()
    empty = folder.git("commit-tree", folder.git("mktree", stdin=""), "-m", "Nothing")
    folder.git("replace", oid, empty)
    assert folder.git("ls-tree", "-r", oid) == ""
    assert repository.snapshot(oid).entries() == entries


def test_a_partial_clone_does_not_fetch_by_itself(folder: GitFolder, tmp_path: Path) -> None:
    folder.git("config", "uploadpack.allowFilter", "true")
    partial = folder.clone("partial", "--filter=blob:none", "--no-checkout")
    with Repository.open(partial.path) as repository:
        snapshot = repository.snapshot("HEAD")
        with pytest.raises(Exception, match=r"missing|cat-file"):
            list(snapshot.read([entry.oid for entry in snapshot.entries()]))
