from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from git_folder import GitFolder

from registry_tool.errors import RepositoryProblem
from registry_tool.repository import background, hooks
from registry_tool.repository.hooks import MARKER, hook_script, install_client, install_server
from registry_tool.repository.repository import Repository

Open = Callable[[GitFolder | Path], Repository]


def _changes(installed: list[hooks.InstalledHook]) -> dict[str, str]:
    return {hook.path.name: hook.change for hook in installed}


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Hooks run a program of this name that writes down how it was called, and obeys `refuse`."""
    log = tmp_path / "told.txt"
    program = tmp_path / "bin/registry-tool"
    program.parent.mkdir()
    program.write_text(
        f"""#!/bin/sh
echo "$* in $(pwd)" >> '{log}'
cat >> '{log}'
test ! -e '{tmp_path}/refuse'
"""
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(
        hooks, "hook_script", lambda name: hook_script(name, "/nowhere/bin/python's own")
    )
    return log


def test_client_hooks_are_made_once(folder: GitFolder, repository: Repository) -> None:
    assert _changes(install_client(repository)) == {"pre-commit": "created", "pre-push": "created"}
    assert _changes(install_client(repository)) == {
        "pre-commit": "unchanged",
        "pre-push": "unchanged",
    }
    hook = folder.path / ".git/hooks/pre-commit"
    assert stat.S_IMODE(hook.stat().st_mode) == 0o755
    hook.write_text(f"#!/bin/sh\n{MARKER}\nexec an-older-version\n")
    assert _changes(install_client(repository)) == {
        "pre-commit": "updated",
        "pre-push": "unchanged",
    }
    assert hook.read_bytes() == hook_script("pre-commit")
    assert sys.executable.encode() in hook.read_bytes()
    left = {path.name for path in hook.parent.iterdir() if not path.name.endswith(".sample")}
    assert left == {"pre-commit", "pre-push"}


@pytest.mark.parametrize("kind", ["file", "symlink", "folder"])
def test_a_foreign_hook_is_left_alone(folder: GitFolder, repository: Repository, kind: str) -> None:
    hook = folder.path / ".git/hooks/pre-push"
    hook.parent.mkdir(exist_ok=True)
    if kind == "file":
        hook.write_text("#!/bin/sh\nexec something-else\n")
    elif kind == "symlink":
        hook.symlink_to("nowhere")
    else:
        hook.mkdir()
    with pytest.raises(RepositoryProblem, match="hooks of somebody else") as caught:
        install_client(repository)
    assert str(hook) in caught.value.message
    assert "registry-tool hooks run pre-push" in (caught.value.help or "")
    assert not (hook.parent / "pre-commit").exists()


def test_hooks_go_where_git_looks_for_them(folder: GitFolder, open_repository: Open) -> None:
    folder.git("config", "core.hooksPath", "my hooks")
    (hook, _) = install_client(open_repository(folder))
    assert hook.path == folder.path / "my hooks/pre-commit"
    Path(os.environ["HOME"], ".gitconfig").write_text("[core]\n hooksPath = ~/hooks\n")
    folder.git("config", "--unset", "core.hooksPath")
    with pytest.raises(RepositoryProblem, match="for all repositories") as caught:
        install_client(open_repository(folder))
    assert "git config --local core.hooksPath" in (caught.value.help or "")


def test_a_linked_work_tree_shares_its_hooks(folder: GitFolder, open_repository: Open) -> None:
    folder.git("worktree", "add", "--quiet", "../linked")
    (hook, _) = install_client(open_repository(folder.path.parent / "linked"))
    assert hook.path == folder.path / ".git/hooks/pre-commit"


def test_hooks_that_cannot_be_written_are_a_clear_problem(
    folder: GitFolder, open_repository: Open
) -> None:
    folder.git("config", "core.hooksPath", "README.md")
    with pytest.raises(RepositoryProblem, match="cannot be written") as caught:
        install_client(open_repository(folder))
    assert caught.value.code == "RT610"


def test_client_hooks_run_before_a_commit_and_a_push(
    folder: GitFolder, repository: Repository, told: Path
) -> None:
    origin = folder.clone("origin.git", "--bare")
    folder.git("remote", "add", "origin", str(origin.path))
    install_client(repository)
    folder.write("manifests/new.yaml")
    folder.commit("New")
    assert f"hooks run pre-commit in {folder.path}" in told.read_text()
    folder.git("push", "--quiet", "origin", "main")
    assert f"hooks run pre-push origin {origin.path} in {folder.path}" in told.read_text()
    assert "refs/heads/main" in told.read_text()
    told.with_name("refuse").touch()
    folder.write("manifests/more.yaml")
    with pytest.raises(AssertionError):
        folder.commit("More")
    with pytest.raises(AssertionError):
        folder.git("push", "--quiet", "origin", "main:other")


def test_server_hooks_run_around_a_push(
    folder: GitFolder, open_repository: Open, told: Path
) -> None:
    origin = folder.clone("origin.git", "--bare")
    assert _changes(install_server(open_repository(origin))) == {
        "pre-receive": "created",
        "post-receive": "created",
    }
    before = folder.git("rev-parse", "HEAD")
    folder.write("manifests/new.yaml")
    after = folder.commit("New")
    folder.git("push", "--quiet", str(origin.path), "main")
    assert told.read_text().splitlines() == [
        f"hooks run pre-receive in {origin.path}",
        f"{before} {after} refs/heads/main",
        f"hooks run post-receive in {origin.path}",
        f"{before} {after} refs/heads/main",
    ]
    told.with_name("refuse").touch()
    with pytest.raises(AssertionError, match="pre-receive hook declined"):
        folder.git("push", "--quiet", str(origin.path), "main:other")
    assert origin.git("for-each-ref", "refs/heads/other") == ""


def test_a_hook_uses_this_installation_whatever_the_current_folder_holds(
    folder: GitFolder, repository: Repository
) -> None:
    """A package in the work tree must not be taken for the tool."""
    package = folder.write("registry_tool/__init__.py", "raise SystemExit('hijacked')\n")
    install_client(repository)
    done = subprocess.run(
        [str(folder.path / ".git/hooks/pre-commit")],
        cwd=package.parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "hijacked" not in done.stdout + done.stderr
    assert "not found" not in done.stderr


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)


def test_a_run_in_the_background_leaves_a_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_QUARANTINE_PATH", "/nowhere")
    monkeypatch.setenv("KEPT", "yes")
    command = ["sh", "-c", 'echo "$GIT_DIR$GIT_QUARANTINE_PATH kept: $KEPT"; cat; echo end >&2']
    log = background.start(tmp_path, command)
    assert log == tmp_path / "reconcile.log"
    _wait_for(lambda: "finished with status 0" in log.read_text())
    assert " kept: yes\nend\n" in log.read_text()
    assert not (tmp_path / "reconcile.wanted").exists()


def test_a_push_during_a_run_causes_one_more_and_never_two_at_once(tmp_path: Path) -> None:
    gate, runs = tmp_path / "gate", tmp_path / "runs"
    script = f"""
        echo start >> '{runs}'
        while [ ! -e '{gate}' ]; do sleep 0.02; done
        echo end >> '{runs}'
    """
    command = ["sh", "-c", script]
    background.start(tmp_path, command)
    _wait_for(runs.exists)
    for _ in range(5):
        background.start(tmp_path, command)
    gate.touch()
    _wait_for(lambda: runs.read_text().count("end") == 2)
    _wait_for(lambda: background.run_until_clean(tmp_path, ["false"]) == 0)
    assert runs.read_text() == "start\nend\n" * 2


def test_a_state_folder_of_another_user_is_a_clear_problem(tmp_path: Path) -> None:
    (tmp_path / "reconcile.wanted").mkdir()
    (tmp_path / "reconcile.log").mkdir()
    with pytest.raises(RepositoryProblem, match="nothing can be started") as caught:
        background.start(tmp_path, ["true"])
    assert caught.value.code == "RT610"


def test_a_mark_left_by_a_killed_run_is_worked_off(tmp_path: Path) -> None:
    (tmp_path / "reconcile.wanted").touch()
    assert background.run_until_clean(tmp_path, ["true"]) == 1
    assert background.run_until_clean(tmp_path, ["true"]) == 0


def test_a_mark_set_while_the_command_runs_is_not_lost(tmp_path: Path) -> None:
    mark, count = tmp_path / "reconcile.wanted", tmp_path / "count"
    mark.touch()
    script = f"echo x >> '{count}'; test $(wc -l < '{count}') -ge 3 || touch '{mark}'"
    assert background.run_until_clean(tmp_path, ["sh", "-c", script]) == 3


def test_a_command_that_cannot_start_is_in_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "reconcile.wanted").touch()
    assert background.run_until_clean(tmp_path, ["/nowhere/program"]) == 1
    assert "could not start" in capsys.readouterr().out


def test_a_long_log_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "_LOG_LIMIT", 10)
    log = tmp_path / "reconcile.log"
    log.write_text("x" * 100)
    background.start(tmp_path, ["true"])
    _wait_for(lambda: "finished" in log.read_text())
    assert (tmp_path / "reconcile.log.1").read_text() == "x" * 100
