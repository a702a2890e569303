import os
import time
from pathlib import Path

import pytest
from registries import RegistryFolder


def states(document) -> dict[str, str]:
    return {check["name"]: check["state"] for check in document["checks"]}


def test_a_healthy_repository(cli, registry: RegistryFolder) -> None:
    cli("hooks", "install", "--client", registry.path)
    ran = cli("doctor")
    assert ran.code == 0
    assert all(line.startswith("ok ") for line in ran.out.splitlines()), ran.out
    found = states(cli("doctor", "--format", "json").json)
    assert {"python", "git", "repository", "history", "hooks", "lease", "store"} <= set(found)
    assert set(found.values()) == {"ok"}


def test_missing_hooks_are_a_warning_with_the_command(cli, registry: RegistryFolder) -> None:
    ran = cli("doctor")
    assert ran.code == 0
    assert "warn  hooks: not installed: pre-commit, pre-push" in ran.out
    assert f"fix: registry-tool hooks install --client {registry.path}" in ran.out


def test_missing_storage_fails(cli, registry: RegistryFolder) -> None:
    registry.storage.rename(registry.storage.with_name("elsewhere"))
    ran = cli("doctor")
    assert ran.code == 3
    assert "fail  storage: " in ran.out
    assert "create or mount it" in ran.out


def test_a_shallow_clone_fails(anywhere, registry: RegistryFolder, tmp_path: Path) -> None:
    registry.environment("production")
    registry.commit()
    clone = tmp_path / "clone"
    registry.git("clone", "--quiet", "--depth=1", f"file://{registry.path}", str(clone))
    ran = anywhere("--repo", clone, "doctor", "--format", "json")
    assert ran.code == 3
    assert states(ran.json)["history"] == "fail"
    # The manifests cannot be compared with a parent that is not there, and the rest still is told.
    assert states(ran.json)["records"] == "ok"


def test_no_repository_fails_with_the_fix(anywhere, tmp_path: Path) -> None:
    ran = anywhere("--repo", tmp_path, "doctor")
    assert ran.code == 3
    assert "fail  repository: " in ran.out
    assert "registry-tool init" in ran.out


def test_an_unborn_branch_and_invalid_manifests_are_warnings(
    anywhere, empty_registry: RegistryFolder
) -> None:
    ran = anywhere("--repo", empty_registry.path, "doctor", "--format", "json")
    assert states(ran.json)["repository"] == "warn"
    empty_registry.write("manifests/models/bad.yaml", "kind: Model\n")
    empty_registry.commit()
    ran = anywhere("--repo", empty_registry.path, "doctor", "--format", "json")
    assert states(ran.json)["manifests"] == "warn"


def test_a_lock_file_that_was_left_over_is_named(cli, registry: RegistryFolder) -> None:
    lock = registry.path / ".git/index.lock"
    lock.touch()
    assert "lock files: none left over" in cli("doctor").out
    old = time.time() - 3600
    os.utime(lock, (old, old))
    assert f"warn  lock files: {lock} is left over" in cli("doctor").out


def test_a_lease_is_told_apart_by_its_holder(cli, registry: RegistryFolder) -> None:
    from registry_tool.repository.lease import Lease
    from registry_tool.repository.repository import Repository

    with Repository.open(registry.path) as repository, Lease.acquire(repository, holder="me"):
        assert "ok    lease: held by me" in cli("doctor").out
    blob = registry.write("note", "not a lease")
    oid = registry.git("hash-object", "-w", str(blob))
    registry.git("update-ref", "refs/registry-tool/lease", oid)
    assert "warn  lease: held, in a form" in cli("doctor").out


def test_an_engine_is_missed_only_where_one_is_needed(
    cli, registry: RegistryFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    assert "ok    engine: none answers, and nothing here needs one" in cli("doctor").out

    registry.replace(
        "build_templates/weights/template.yaml",
        "image:\n    base: scratch",
        "dockerfile:\n    file: Dockerfile.j2",
    )
    registry.write("build_templates/weights/Dockerfile.j2", "FROM scratch\n")
    registry.commit()
    ran = cli("doctor")
    assert ran.code == 0
    assert "warn  engine: there is no container engine at unix:///nowhere/docker.sock" in ran.out
    assert "template/weights cannot be built without" in ran.out
