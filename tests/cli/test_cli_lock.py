from __future__ import annotations

import hashlib

import pytest
from registries import RegistryFolder

from registry_tool.manifests.loading import load
from registry_tool.repository.repository import Repository

LOCK = "manifests/releases/minilm/2.0.0/none.lock.yaml"


@pytest.fixture
def unlocked(registry: RegistryFolder) -> RegistryFolder:
    """minilm/2.0.0 is declared and has no lock."""
    registry.release("minilm", "2.0.0", lock=False)
    registry.commit("Declare minilm 2.0.0")
    return registry


def locked(registry: RegistryFolder):
    with Repository.open(registry.path) as repository:
        desired = load(repository.work_tree_snapshot()).desired
        assert desired is not None
        return {str(release): lock.manifest.spec for release, lock in desired.locks.items()}


def test_a_lock_lists_the_files_as_they_are(cli, unlocked: RegistryFolder) -> None:
    content = b"more weights"
    (unlocked.storage / "minilm/extra.bin").write_bytes(content)
    ran = cli("-q", "lock", "minilm/2.0.0")
    assert ran.code == 0, ran.err
    spec = locked(unlocked)["minilm/2.0.0/none"]
    assert [file.path for file in spec.files] == ["extra.bin", "model.bin"]
    assert spec.files[0].sha256 == hashlib.sha256(content).hexdigest()
    assert spec.files[0].size == len(content)
    assert spec.target == "/models/minilm"
    first, second = ran.out.splitlines()
    assert first.startswith("locked release/minilm/2.0.0/none: 2 files, 29 B, 1 layer, set digest ")
    assert first.endswith(spec.set_digest)
    assert second == f"created {LOCK}"
    assert cli("validate").code == 0


def test_an_unchanged_lock_is_not_written(cli, unlocked: RegistryFolder) -> None:
    cli("lock", "minilm/2.0.0")
    before = (unlocked.path / LOCK).stat()
    ran = cli("lock", "minilm/2.0.0")
    assert ran.code == 0
    assert ran.out.startswith("unchanged release/minilm/2.0.0/none: ")
    assert (unlocked.path / LOCK).stat().st_mtime_ns == before.st_mtime_ns


def test_all_unlocked_locks_what_has_no_lock(cli, unlocked: RegistryFolder) -> None:
    unlocked.release("minilm", "2.1.0", lock=False)
    ran = cli("-q", "lock", "--all-unlocked")
    assert ran.code == 0
    assert set(locked(unlocked)) == {f"minilm/{v}/none" for v in ("1.0.0", "2.0.0", "2.1.0")}
    assert cli("lock", "--all-unlocked").out == "unchanged: every release has a lock\n"


def test_check_tells_and_writes_nothing(cli, unlocked: RegistryFolder) -> None:
    ran = cli("lock", "minilm/2.0.0", "--check")
    assert (ran.code, ran.out[:8]) == (1, "missing ")
    assert not (unlocked.path / LOCK).exists()
    cli("lock", "minilm/2.0.0")
    assert cli("lock", "minilm/2.0.0", "--check").code == 0
    (unlocked.storage / "minilm/model.bin").write_bytes(b"other weights")
    ran = cli("lock", "minilm/2.0.0", "--check")
    assert (ran.code, ran.out[:8]) == (1, "differs ")
    assert unlocked.git("status", "--porcelain") == f"?? {LOCK}"


def test_a_candidate_may_be_locked_anew(cli, unlocked: RegistryFolder) -> None:
    cli("lock", "minilm/2.0.0", "--commit")
    (unlocked.storage / "minilm/model.bin").write_bytes(b"other weights")
    ran = cli("lock", "minilm/2.0.0")
    assert ran.code == 0
    assert ran.out.startswith("locked anew release/minilm/2.0.0/none: 1 file, 13 B")
    assert f"updated {LOCK}\n" in ran.out


def test_the_lock_of_a_released_release_stays(cli, unlocked: RegistryFolder) -> None:
    cli("lock", "minilm/2.0.0", "--commit")
    cli("promote", "minilm/2.0.0", "--commit")
    before = (unlocked.path / LOCK).read_bytes()
    (unlocked.storage / "minilm/model.bin").write_bytes(b"other weights")
    ran = cli("lock", "minilm/2.0.0")
    assert ran.code == 1
    assert "error[RT301]: minilm/2.0.0/none is released" in ran.err
    assert "ship them as a new version" in ran.err
    assert (unlocked.path / LOCK).read_bytes() == before
    # Not even by taking it back to candidate in the same change.
    cli("demote", "minilm/2.0.0")
    assert cli("lock", "minilm/2.0.0").code == 1


def test_commit_holds_the_lock_and_nothing_else(cli, unlocked: RegistryFolder) -> None:
    unlocked.write("notes.txt", "mine")
    unlocked.git("add", "notes.txt")
    ran = cli("lock", "minilm/2.0.0", "--commit")
    assert ran.code == 0, ran.err
    assert unlocked.git("show", "--name-only", "--format=%s") == f"Lock minilm/2.0.0/none\n\n{LOCK}"
    assert unlocked.git("status", "--porcelain") == "A  notes.txt"


def test_commit_needs_the_release_to_be_committed(cli, registry: RegistryFolder) -> None:
    registry.release("minilm", "2.0.0", lock=False)
    ran = cli("lock", "minilm/2.0.0", "--commit")
    assert ran.code == 2
    assert "manifests/releases/minilm/2.0.0/none.yaml is not committed on branch main" in ran.err


def test_one_unreadable_release_leaves_the_others_alone(cli, unlocked: RegistryFolder) -> None:
    unlocked.model("gone")
    unlocked.release("gone", "1.0.0", lock=False)
    (unlocked.storage / "gone/model.bin").unlink()
    (unlocked.storage / "gone").rmdir()
    ran = cli("-q", "lock", "--all-unlocked")
    assert ran.code == 3
    assert "error[RT508]" in ran.err
    assert (unlocked.path / LOCK).exists()


def test_a_broken_template_is_told_before_anything_is_read(cli, unlocked: RegistryFolder) -> None:
    unlocked.replace("manifests/releases/minilm/2.0.0/none.yaml", "weights", "weigths")
    ran = cli("lock", "minilm/2.0.0")
    assert ran.code == 2
    assert 'names the template "weigths"' in ran.err
    assert 'did you mean "weights"?' in ran.err


@pytest.mark.parametrize("arguments", [(), ("minilm/1.0.0", "--all-unlocked")])
def test_releases_or_all_must_be_named(cli, arguments: tuple[str, ...]) -> None:
    ran = cli("lock", *arguments)
    assert ran.code == 2
    assert "name the releases to lock" in ran.err
