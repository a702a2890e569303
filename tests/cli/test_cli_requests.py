from __future__ import annotations

from pathlib import Path

import pytest
from registries import RegistryFolder

RELEASE = "release/minilm/1.0.0/none"


@pytest.fixture
def locked(cli, registry: RegistryFolder) -> RegistryFolder:
    """minilm/1.0.0 has a real lock."""
    cli("lock", "minilm/1.0.0")
    registry.commit("Lock minilm 1.0.0")
    return registry


@pytest.fixture
def failed(cli, locked: RegistryFolder) -> RegistryFolder:
    """The build of minilm/1.0.0 failed, because its file in storage was changed."""
    (locked.storage / "minilm/model.bin").write_bytes(b"somebody else's!!")
    assert cli("apply").code == 1
    return locked


def mend(registry: RegistryFolder) -> None:
    (registry.storage / "minilm/model.bin").write_bytes(b"weights of minilm")


def requests(registry: RegistryFolder) -> list[str]:
    tree = registry.git("ls-tree", "-r", "--name-only", "registry-records", "--", "requests")
    return tree.splitlines()


def test_build_builds_what_auto_build_leaves_out(cli, locked: RegistryFolder) -> None:
    locked.release("minilm", "2.0.0", lock=False)
    cli("lock", "minilm/2.0.0")
    locked.replace(
        "manifests/releases/minilm/2.0.0/none.yaml", "spec:", "spec:\n  auto_build: false"
    )
    locked.commit("Declare minilm 2.0.0")
    assert cli("apply").code == 0
    assert (
        cli("plan").out.endswith("No changes.\nPlan: 0 to build, 0 to deploy, 0 to remove.\n")
        or "auto_build is off" in cli("plan").out
    )
    ran = cli("build", "minilm/2.0.0")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("requested build of release/minilm/2.0.0/none (key ")
    assert "requested by Ada Lovelace" in ran.out
    assert cli("plan", "--exit-code").code == 0


def test_several_builds_are_one_record_commit(cli, locked: RegistryFolder) -> None:
    locked.release("minilm", "2.0.0", lock=False)
    cli("lock", "minilm/2.0.0")
    locked.commit("Declare minilm 2.0.0")
    assert cli("build", "minilm/1.0.0", "minilm/2.0.0").code == 0
    assert len(requests(locked)) == 2
    subjects = locked.git("log", "--format=%s", "registry-records").splitlines()
    assert subjects[-1] == "Record 2 requests"


def test_an_unlocked_release_cannot_be_built(cli, locked: RegistryFolder) -> None:
    locked.release("minilm", "2.0.0", lock=False)
    locked.commit("Declare minilm 2.0.0")
    ran = cli("build", "minilm/2.0.0")
    assert ran.code == 2
    assert "minilm/2.0.0/none has no lock" in ran.err
    assert "registry-tool lock minilm/2.0.0" in ran.err


def test_an_uncommitted_release_is_unknown(cli, locked: RegistryFolder) -> None:
    locked.release("minilm", "2.0.0")
    ran = cli("build", "minilm/2.0.0")
    assert ran.code == 2
    assert 'there is no release "minilm/2.0.0/none" in main@' in ran.err


def test_a_failed_build_stays_failed_until_retried(cli, failed: RegistryFolder) -> None:
    mend(failed)
    assert cli("plan", "--exit-code").code == 0
    ran = cli("retry", "minilm/1.0.0")
    assert ran.code == 0, ran.err
    assert ran.out.startswith(f"requested retry of {RELEASE} (key ")
    assert f"created: {RELEASE}" in ran.out
    assert cli("retry", "minilm/1.0.0").code == 2


def test_a_retry_that_fails_again_may_be_asked_again(cli, failed: RegistryFolder) -> None:
    assert cli("retry", RELEASE).code == 1
    assert cli("retry", RELEASE).code == 1
    assert len(requests(failed)) == 2


@pytest.mark.parametrize("subject", ["minilm/1.0.0", "staging/search"])
def test_what_did_not_run_cannot_be_retried(cli, locked: RegistryFolder, subject: str) -> None:
    ran = cli("retry", subject)
    assert ran.code == 2
    assert "did not fail: it was not" in ran.err


@pytest.mark.parametrize(
    ("subject", "message"),
    [
        ("minilm/1.0.0", f"{RELEASE} did not fail: its last build succeeded"),
        ("staging/search", "deployment/staging/search did not fail: its last deployment delegated"),
    ],
)
def test_what_succeeded_cannot_be_retried(
    cli, locked: RegistryFolder, subject: str, message: str
) -> None:
    assert cli("apply").code == 0
    ran = cli("retry", subject)
    assert ran.code == 2
    assert message in ran.err
    assert "help: " in ran.err


def test_a_failure_with_other_inputs_needs_no_retry(cli, failed: RegistryFolder) -> None:
    cli("lock", "minilm/1.0.0", "--commit")
    ran = cli("retry", "minilm/1.0.0")
    assert ran.code == 2
    assert "changed since it failed" in ran.err


@pytest.fixture
def reconciled_elsewhere(cli, failed: RegistryFolder, tmp_path: Path) -> RegistryFolder:
    """The repository is a clone of one that was reconciled, and in which the build failed."""
    failed.git("clone", "--quiet", "--mirror", ".", str(tmp_path / "origin.git"))
    failed.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    failed.git("branch", "--quiet", "-D", "registry-records")
    mend(failed)
    return failed


def test_with_a_remote_the_request_is_pushed_and_carried_out_there(
    cli, anywhere, reconciled_elsewhere: RegistryFolder, tmp_path: Path
) -> None:
    origin = tmp_path / "origin.git"
    ran = cli("retry", "minilm/1.0.0")
    assert ran.code == 0, ran.err
    assert ran.out.count("\n") == 1
    assert "next: the reconciler of origin carries it out" in ran.err
    assert anywhere("--repo", origin, "apply").code == 0
    found = reconciled_elsewhere.git("ls-remote", "origin", "refs/heads/registry-records")
    assert found


def test_the_same_request_is_not_made_twice(cli, reconciled_elsewhere: RegistryFolder) -> None:
    cli("retry", "minilm/1.0.0")
    before = reconciled_elsewhere.git("ls-remote", "origin")
    ran = cli("retry", "minilm/1.0.0")
    assert ran.code == 0
    assert ran.out == f"unchanged {RELEASE}: the same request is waiting already\n"
    assert reconciled_elsewhere.git("ls-remote", "origin") == before


def test_wait_ends_with_the_recorded_result(
    cli, anywhere, reconciled_elsewhere: RegistryFolder, tmp_path: Path, monkeypatch
) -> None:
    polled: list[str] = []

    def reconcile() -> None:
        polled.append("looked in vain")
        anywhere("--repo", tmp_path / "origin.git", "apply")

    monkeypatch.setattr("registry_tool.cli.commands.requests.pause", reconcile)
    ran = cli("retry", "minilm/1.0.0", "--wait")
    assert ran.code == 0
    assert ran.out.splitlines()[-1] == f"succeeded {RELEASE}"
    assert len(polled) == 1


def test_an_unreachable_remote_is_told(cli, locked: RegistryFolder) -> None:
    locked.git("remote", "add", "origin", "/nowhere")
    ran = cli("build", "minilm/1.0.0")
    assert ran.code == 3
    assert "error[RT605]" in ran.err


def test_a_subject_that_may_be_two_things_asks_for_its_kind(cli, locked: RegistryFolder) -> None:
    locked.model("staging")
    locked.release("staging", "1.0.0")
    locked.deployment("staging", "v1", "minilm", "1.0.0")
    locked.commit("Confuse people")
    ran = cli("retry", "staging/v1")
    assert ran.code == 2
    assert "staging/v1 names a deployment and a release" in ran.err
    assert "deployment/staging/v1 did not fail" in cli("retry", "deployment/staging/v1").err
    assert "release/staging/1.0.0/none did not fail" in cli("retry", "release/staging/v1").err


def test_a_mistyped_deployment_gets_a_suggestion(cli, locked: RegistryFolder) -> None:
    assert 'did you mean "staging/search"?' in cli("retry", "staging/serach").err
