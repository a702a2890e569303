from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from registries import RegistryFolder

from registry_tool.storage.storage import Storage

LOCK = "manifests/releases/minilm/1.0.0/none.lock.yaml"
WEIGHTS = b"weights of minilm"


@pytest.fixture
def locked(cli, registry: RegistryFolder) -> RegistryFolder:
    """minilm/1.0.0 has a real lock over model.bin and notes/card.md."""
    (registry.storage / "minilm/notes").mkdir()
    (registry.storage / "minilm/notes/card.md").write_bytes(b"# MiniLM\n")
    cli("lock", "minilm/1.0.0")
    registry.commit("Lock minilm 1.0.0")
    return registry


def stored(registry: RegistryFolder) -> dict[str, bytes]:
    root = registry.storage / "minilm"
    return {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file()}


def locked_paths(cli) -> list[str]:
    items = cli("artifact", "list", "minilm/1.0.0", "--format", "json").json["items"]
    return [item["path"] for item in items]


def test_list_shows_every_file_with_its_release(cli, locked: RegistryFolder) -> None:
    ran = cli("artifact", "list")
    assert ran.code == 0
    heading, first, second = ran.out.splitlines()
    assert heading.split() == ["RELEASE", "PATH", "ROLE", "SIZE", "SHA256"]
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    assert first.split() == ["minilm/1.0.0/none", "model.bin", "weights", "17", "B", sha256]
    assert second.split()[1:3] == ["notes/card.md", "other"]
    assert ran.err == "2 files, 26 B\n"


def test_list_as_json_names_model_version_and_quantization(cli, locked: RegistryFolder) -> None:
    items = cli("artifact", "list", "minilm/1.0.0", "--format", "json").json["items"]
    assert items[0] == {
        "model": "minilm",
        "version": "1.0.0",
        "quantization": "none",
        "location": f"{locked.storage}/minilm",
        "path": "model.bin",
        "role": "weights",
        "size": len(WEIGHTS),
        "sha256": hashlib.sha256(WEIGHTS).hexdigest(),
        "media_type": None,
        "etag": None,
        "version_id": None,
    }


def test_list_mentions_releases_without_a_lock(cli, locked: RegistryFolder) -> None:
    locked.release("minilm", "2.0.0", lock=False)
    assert "note: without a lock: minilm/2.0.0/none\n" in cli("artifact", "list").err
    ran = cli("artifact", "list", "minilm/2.0.0")
    assert ran.code == 2
    assert "help: registry-tool lock minilm/2.0.0" in ran.err


def test_add_copies_into_storage_and_locks(cli, locked: RegistryFolder, tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_bytes(b"a\nb\n")
    ran = cli("-q", "artifact", "add", "minilm/1.0.0", tmp_path / "vocab.txt")
    assert ran.code == 0, ran.err
    assert stored(locked)["vocab.txt"] == b"a\nb\n"
    assert locked_paths(cli) == ["model.bin", "notes/card.md", "vocab.txt"]
    first, second, third = ran.out.splitlines()
    assert first == f"created {locked.storage}/minilm/vocab.txt"
    assert second == f"updated {LOCK}"
    assert third.startswith("locked release/minilm/1.0.0/none: 3 files, 30 B")
    assert cli("artifact", "verify", "minilm/1.0.0", "--deep").code == 0


def test_add_takes_several_files_into_a_folder(cli, locked: RegistryFolder, tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(name)
    files = (tmp_path / "a.txt", tmp_path / "b.txt")
    ran = cli("artifact", "add", "minilm/1.0.0", *files, "--to", "texts/", "--commit")
    assert ran.code == 0, ran.err
    assert locked_paths(cli)[2:] == ["texts/a.txt", "texts/b.txt"]
    assert locked.git("log", "-1", "--format=%s") == (
        "Add texts/a.txt, texts/b.txt of minilm/1.0.0/none"
    )
    assert locked.git("status", "--porcelain") == ""


def test_add_never_overwrites(cli, locked: RegistryFolder, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"mine")
    ran = cli("artifact", "add", "minilm/1.0.0", tmp_path / "model.bin")
    assert ran.code == 1
    assert "exists already, and add never overwrites" in ran.err
    assert stored(locked)["model.bin"] == WEIGHTS


def test_add_refuses_what_the_globs_leave_out(cli, locked: RegistryFolder, tmp_path: Path) -> None:
    locked.replace(
        "manifests/releases/minilm/1.0.0/none.yaml",
        "  template:",
        "  artifacts: {include: ['*.bin', notes/]}\n  template:",
    )
    (tmp_path / "vocab.txt").write_bytes(b"a\n")
    ran = cli("artifact", "add", "minilm/1.0.0", tmp_path / "vocab.txt")
    assert ran.code == 2
    assert "vocab.txt would not belong to minilm/1.0.0/none" in ran.err
    assert "vocab.txt" not in stored(locked)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("missing.txt",), "missing.txt does not exist"),
        (("a.txt", "--to", "../a.txt"), "cannot be a path in storage"),
        (("a.txt", "sub/a.txt"), "would both become a.txt"),
        (("a.txt", "b.txt", "--to", "c.txt"), "let --to end in /"),
        (("sub",), "is not a file"),
    ],
)
def test_add_explains_impossible_files(
    cli, locked: RegistryFolder, tmp_path: Path, monkeypatch, arguments, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    for name in ("a.txt", "b.txt", "sub/a.txt"):
        (tmp_path / name).write_text(name)
    ran = cli("artifact", "add", "minilm/1.0.0", *arguments)
    assert ran.code == 2
    assert message in ran.err
    assert len(stored(locked)) == 2


def test_the_first_file_of_a_release_makes_its_folder(
    cli, locked: RegistryFolder, tmp_path: Path
) -> None:
    cli("new", "model", "bert", "--commit")
    cli("new", "release", "bert/1.0.0", "--commit")
    (tmp_path / "bert.gguf").write_bytes(b"gguf")
    ran = cli("artifact", "add", "bert/1.0.0", tmp_path / "bert.gguf", "--commit")
    assert ran.code == 0, ran.err
    assert (locked.storage / "bert/bert.gguf").read_bytes() == b"gguf"
    assert locked.git("status", "--porcelain") == ""


def test_update_replaces_a_file_of_a_candidate(cli, locked: RegistryFolder, tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(b"better")
    ran = cli("artifact", "update", "minilm/1.0.0", tmp_path / "model.bin", "--commit")
    assert ran.code == 0, ran.err
    assert stored(locked)["model.bin"] == b"better"
    assert cli("artifact", "verify", "minilm/1.0.0", "--deep").code == 0
    ran = cli("artifact", "update", "minilm/1.0.0", tmp_path / "model.bin", "--to", "new.bin")
    assert ran.code == 1
    assert "does not exist" in ran.err


def test_files_of_a_released_release_stay(cli, locked: RegistryFolder, tmp_path: Path) -> None:
    cli("promote", "minilm/1.0.0", "--commit")
    (tmp_path / "model.bin").write_bytes(b"better")
    for arguments in (
        ("update", "minilm/1.0.0", tmp_path / "model.bin"),
        ("add", "minilm/1.0.0", tmp_path / "model.bin", "--to", "other.bin"),
        ("remove", "minilm/1.0.0", "model.bin"),
    ):
        ran = cli("artifact", *arguments)
        assert ran.code == 1
        assert "error[RT301]: minilm/1.0.0/none is released" in ran.err
    assert stored(locked) == {"model.bin": WEIGHTS, "notes/card.md": b"# MiniLM\n"}


def test_files_that_another_release_locks_stay(cli, locked: RegistryFolder, tmp_path: Path) -> None:
    locked.release("minilm", "2.0.0", lock=False)
    cli("lock", "minilm/2.0.0")
    (tmp_path / "model.bin").write_bytes(b"better")
    for arguments in (
        ("update", "minilm/2.0.0", tmp_path / "model.bin"),
        ("remove", "minilm/2.0.0", "model.bin"),
    ):
        ran = cli("artifact", *arguments)
        assert ran.code == 1
        assert "model.bin is locked by minilm/1.0.0/none, too" in ran.err
    assert stored(locked)["model.bin"] == WEIGHTS


def test_remove_deletes_and_locks(cli, locked: RegistryFolder) -> None:
    ran = cli("artifact", "remove", "minilm/1.0.0", "notes/card.md")
    assert ran.code == 0, ran.err
    assert list(stored(locked)) == ["model.bin"]
    assert locked_paths(cli) == ["model.bin"]
    ran = cli("artifact", "remove", "minilm/1.0.0", "model.bin")
    assert ran.code == 1
    assert "without any file" in ran.err
    assert list(stored(locked)) == ["model.bin"]
    assert cli("artifact", "remove", "minilm/1.0.0", "notes/card.md").code == 2


def test_dry_runs_touch_nothing(cli, locked: RegistryFolder, tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_bytes(b"a\n")
    before = stored(locked)
    ran = cli("artifact", "add", "minilm/1.0.0", tmp_path / "vocab.txt", "--dry-run")
    assert ran.out == f"would copy {tmp_path}/vocab.txt to {locked.storage}/minilm/vocab.txt\n"
    ran = cli("artifact", "remove", "minilm/1.0.0", "model.bin", "--dry-run")
    assert ran.out == f"would delete {locked.storage}/minilm/model.bin\n"
    assert stored(locked) == before
    assert locked.git("status", "--porcelain") == ""


def test_storage_stays_when_the_lock_could_not_be_committed(
    cli, locked: RegistryFolder, tmp_path: Path
) -> None:
    locked.replace(LOCK, "kind: ArtifactLock", "kind: ArtifactLock # mine")
    (tmp_path / "vocab.txt").write_bytes(b"a\n")
    ran = cli("artifact", "add", "minilm/1.0.0", tmp_path / "vocab.txt", "--commit")
    assert ran.code == 2
    assert f"{LOCK} has changes in the work tree" in ran.err
    assert "vocab.txt" not in stored(locked)


def test_verify_compares_storage_with_the_lock(cli, locked: RegistryFolder) -> None:
    ran = cli("artifact", "verify", "all")
    assert (ran.code, ran.out) == (
        0,
        "verified release/minilm/1.0.0/none: 2 files, presence and size\n",
    )
    (locked.storage / "minilm/model.bin").write_bytes(WEIGHTS.upper())
    (locked.storage / "minilm/notes/card.md").unlink()
    ran = cli("artifact", "verify", "minilm/1.0.0")
    assert ran.code == 1
    assert ran.out.splitlines() == [
        "differs release/minilm/1.0.0/none: 1 of 2 files",
        "  notes/card.md is missing",
    ]
    ran = cli("artifact", "verify", "minilm/1.0.0", "--deep", "--format", "json")
    assert ran.code == 1
    (item,) = ran.json["items"]
    assert item["release"] == "release/minilm/1.0.0/none"
    assert [(entry["path"], entry["kind"]) for entry in item["mismatches"]] == [
        ("model.bin", "sha256"),
        ("notes/card.md", "missing"),
    ]


def test_pull_brings_all_files(cli, locked: RegistryFolder, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = cli("artifact", "pull", "minilm/1.0.0")
    assert ran.code == 0, ran.err
    assert (tmp_path / "minilm-1.0.0/model.bin").read_bytes() == WEIGHTS
    assert (tmp_path / "minilm-1.0.0/notes/card.md").read_bytes() == b"# MiniLM\n"
    assert ran.out == (
        "pulled release/minilm/1.0.0/none to minilm-1.0.0: 2 files, 26 B (all downloaded);"
        " sha256 verified\n"
    )
    assert "(unchanged)" in cli("artifact", "pull", "minilm/1.0.0").out


def test_pull_goes_on_where_it_was_interrupted(
    cli, locked: RegistryFolder, tmp_path: Path, monkeypatch
) -> None:
    offsets: list[int] = []
    original = Storage.open

    def watched(self: Storage, location: str, path: str, offset: int = 0, expected=None):
        offsets.append(offset)
        return original(self, location, path, offset, expected)

    monkeypatch.setattr(Storage, "open", watched)
    folder = tmp_path / "pulled"
    folder.mkdir()
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    partial = folder / f".model.bin.{sha256[:12]}.partial"
    partial.write_bytes(WEIGHTS[:7])
    assert cli("artifact", "pull", "minilm/1.0.0", folder).code == 0
    assert sorted(offsets) == [0, 7]
    assert (folder / "model.bin").read_bytes() == WEIGHTS
    assert not partial.exists()


@pytest.mark.parametrize("damage", [b"WEIGHTS", b"something that is much longer than the file"])
def test_pull_does_not_trust_what_an_interrupted_one_left(
    cli, locked: RegistryFolder, tmp_path: Path, damage: bytes
) -> None:
    folder = tmp_path / "pulled"
    folder.mkdir()
    sha256 = hashlib.sha256(WEIGHTS).hexdigest()
    (folder / f".model.bin.{sha256[:12]}.partial").write_bytes(damage)
    assert cli("artifact", "pull", "minilm/1.0.0", folder).code == 0
    assert (folder / "model.bin").read_bytes() == WEIGHTS


@pytest.mark.parametrize("content", [b"weights of minimM", b"short", b"longer than the lock says"])
def test_pull_refuses_storage_that_differs_from_the_lock(
    cli, locked: RegistryFolder, tmp_path: Path, content: bytes
) -> None:
    (locked.storage / "minilm/model.bin").write_bytes(content)
    ran = cli("artifact", "pull", "minilm/1.0.0", tmp_path / "pulled")
    assert ran.code == 1
    assert "error[RT507]: model.bin below" in ran.err
    assert not [file for file in (tmp_path / "pulled").iterdir() if "model.bin" in file.name]


def test_pull_leaves_files_of_the_user_alone(cli, locked: RegistryFolder, tmp_path: Path) -> None:
    folder = tmp_path / "pulled"
    folder.mkdir()
    (folder / "model.bin").write_bytes(b"mine")
    ran = cli("artifact", "pull", "minilm/1.0.0", folder)
    assert ran.code == 1
    assert f"{folder}/model.bin exists and is not the file that the lock names" in ran.err
    assert (folder / "model.bin").read_bytes() == b"mine"


def test_a_bare_repository_is_enough_to_look(
    anywhere, locked: RegistryFolder, tmp_path: Path
) -> None:
    locked.git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))
    bare = tmp_path / "bare.git"
    assert anywhere("--repo", bare, "artifact", "verify", "all").code == 0
    assert anywhere("--repo", bare, "artifact", "pull", "minilm/1.0.0", tmp_path / "p").code == 0
