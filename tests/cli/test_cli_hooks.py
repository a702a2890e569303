import fcntl
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from registries import RegistryFolder

ROOT = Path(__file__).parents[2]
RELEASE = "manifests/releases/minilm/1.0.0/none.yaml"


@pytest.fixture(autouse=True)
def _this_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hooks start Python with -P; they find this checkout by PYTHONPATH."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))


def wait_for_reconcile(server: Path) -> str:
    """The log once nothing runs in the background; empty when nothing did."""
    state, deadline = server / "registry-tool", time.monotonic() + 120
    while (state / "reconcile.wanted").exists() or is_locked(state / "reconcile.lock"):
        assert time.monotonic() < deadline, "the reconcile does not end"
        time.sleep(0.1)
    log = state / "reconcile.log"
    return log.read_text() if log.exists() else ""


def is_locked(file: Path) -> bool:
    if not file.exists():
        return False
    with file.open("rb") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@pytest.fixture
def server(anywhere, registry: RegistryFolder, tmp_path: Path) -> Iterator[Path]:
    """A bare origin of `registry` with server hooks."""
    bare = tmp_path / "origin.git"
    registry.git("clone", "--quiet", "--bare", str(registry.path), str(bare))
    registry.git("remote", "add", "origin", str(bare))
    ran = anywhere("hooks", "install", "--server", bare)
    assert ran.code == 0
    yield bare
    wait_for_reconcile(bare)


def push(
    registry: RegistryFolder, *refs: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", "-C", str(registry.path), "push", "origin", *refs],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


def test_client_hooks_are_the_default_in_a_work_tree(anywhere, registry, monkeypatch) -> None:
    monkeypatch.chdir(registry.path)
    ran = anywhere("hooks", "install")
    assert [line.split()[0] for line in ran.out.splitlines()] == ["created", "created"]
    assert ran.out.count("pre-") == 2
    assert "unchanged" in anywhere("hooks", "install", "--client", ".").out


def test_foreign_hooks_are_left_alone(cli, registry: RegistryFolder) -> None:
    hook = registry.path / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\n")
    ran = cli("hooks", "install", "--client", registry.path)
    assert ran.code == 3
    assert hook.read_text() == "#!/bin/sh\n"


def test_client_hooks_make_no_sense_in_a_bare_repository(anywhere, server: Path) -> None:
    assert anywhere("hooks", "install", "--client", server).code == 2


def test_a_commit_with_errors_is_refused(cli, registry: RegistryFolder) -> None:
    cli("hooks", "install", "--client", registry.path)
    registry.replace(RELEASE, "name: weights", "name: weigths")
    registry.git("add", "-A")
    result = subprocess.run(
        ["git", "-C", str(registry.path), "commit", "-m", "Break it"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert "error[RT211]" in result.stderr
    registry.replace(RELEASE, "name: weigths", "name: weights")
    registry.environment("production")
    assert registry.commit("Add production")


def test_a_push_with_errors_is_stopped_before_it_leaves(
    cli, registry: RegistryFolder, tmp_path: Path
) -> None:
    bare = tmp_path / "origin.git"
    registry.git("clone", "--quiet", "--bare", str(registry.path), str(bare))
    registry.git("remote", "add", "origin", str(bare))
    registry.replace(RELEASE, "name: weights", "name: weigths")
    registry.commit("Break it")
    cli("hooks", "install", "--client", registry.path)
    result = push(registry, "main")
    assert result.returncode != 0
    assert "error[RT211]" in result.stderr
    registry.git("reset", "--quiet", "--hard", "HEAD^")
    registry.environment("production")
    registry.commit("Add production")
    assert push(registry, "main").returncode == 0


def test_the_server_refuses_errors_and_shows_them(registry: RegistryFolder, server: Path) -> None:
    before = registry.git("rev-parse", "HEAD")
    registry.replace(RELEASE, "name: weights", "name: weigths")
    registry.commit("Break it")
    for branch in ("main", "main:refs/heads/topic"):
        result = push(registry, branch)
        assert result.returncode != 0
        assert f"{RELEASE}:8:11: error[RT211]" in result.stderr
        assert "help: did you mean" in result.stderr
    assert registry.git("ls-remote", "origin", "refs/heads/main").split()[0] == before
    assert registry.git("ls-remote", "origin", "refs/heads/topic") == ""


def test_a_released_release_is_compared_with_what_the_server_has(
    registry: RegistryFolder, server: Path
) -> None:
    registry.replace(RELEASE, "stage: candidate", "stage: released")
    registry.commit("Release it")
    assert push(registry, "main").returncode == 0
    registry.replace(RELEASE, "name: weights", "name: weights\n    params: {a: 1}")
    registry.commit("Change it")
    registry.write("README.md", "hello\n")
    registry.commit("Hide it behind another commit")
    assert "error[RT301]" in push(registry, "main").stderr
    assert "error[RT301]" in push(registry, "main:refs/heads/topic").stderr


def test_the_first_push_into_an_empty_server_is_checked_too(
    anywhere, registry: RegistryFolder, tmp_path: Path
) -> None:
    bare = tmp_path / "empty.git"
    registry.git("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    registry.git("remote", "add", "origin", str(bare))
    assert anywhere("hooks", "install", bare).code == 0
    good = registry.git("rev-parse", "HEAD")
    registry.replace(RELEASE, "name: weights", "name: weigths")
    registry.commit("Break it")
    assert "error[RT211]" in push(registry, "main").stderr
    assert push(registry, f"{good}:refs/heads/topic").returncode == 0


def test_branches_without_manifests_are_not_looked_at(
    registry: RegistryFolder, server: Path
) -> None:
    registry.git("checkout", "--quiet", "--orphan", "notes")
    registry.git("rm", "-rq", "--cached", ".")
    registry.git("commit", "--quiet", "--allow-empty", "-m", "Begin notes")
    assert push(registry, "notes").returncode == 0


def test_manifests_cannot_be_removed_as_a_whole(registry: RegistryFolder, server: Path) -> None:
    registry.git("rm", "-rq", "manifests")
    registry.commit("Remove all")
    result = push(registry, "main")
    assert result.returncode != 0
    assert "RT204" in result.stderr


@pytest.mark.parametrize("ref", ["registry-records", "deploy/staging"])
def test_only_the_recorder_may_push_its_refs(
    registry: RegistryFolder, server: Path, ref: str
) -> None:
    result = push(registry, f"main:refs/heads/{ref}")
    assert result.returncode != 0
    assert "only the recorder writes here" in result.stderr
    subprocess.run(
        ["git", "-C", str(server), "config", "registry-tool.recorder", "robot"], check=True
    )
    assert push(registry, f"main:refs/heads/{ref}", REGISTRY_TOOL_PUSHER="ada").returncode != 0
    assert push(registry, f"main:refs/heads/{ref}", REGISTRY_TOOL_PUSHER="robot").returncode == 0


def test_after_a_push_to_the_default_branch_it_is_reconciled(
    cli, registry: RegistryFolder, server: Path
) -> None:
    (registry.path / "manifests/releases/minilm/1.0.0/none.lock.yaml").unlink()
    assert cli("lock", "minilm/1.0.0").code == 0
    registry.commit("Lock minilm 1.0.0")
    result = push(registry, "main")
    assert result.returncode == 0
    assert "reconciling in the background; log: " in result.stderr
    assert "finished with status 0" in wait_for_reconcile(server)
    assert registry.git("ls-remote", "origin", "registry-records")
    assert registry.git("ls-remote", "origin", "deploy/staging")


def test_a_push_to_another_branch_starts_nothing(registry: RegistryFolder, server: Path) -> None:
    assert push(registry, "main:refs/heads/topic").returncode == 0
    assert not (server / "registry-tool/reconcile.log").exists()


def test_the_hidden_command_is_not_in_the_help(anywhere) -> None:
    assert "run" not in anywhere("hooks", "--help").out.split()
