"""Local storage: what is found, what is refused, and what is said about it."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from registry_tool.errors import ContentMismatch, StorageProblem
from registry_tool.storage import local
from registry_tool.storage.storage import Storage
from registry_tool.storage.stored_file import Absent, StoredFile

ROOT = os.geteuid() == 0


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "allowed" / "minilm"
    (folder / "onnx").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "onnx" / "model.onnx").write_bytes(b"weights")
    return folder


@pytest.fixture
def storage(models: Path) -> Storage:
    return Storage([str(models.parent)])


def test_files_are_sorted_by_path_and_have_sizes(storage: Storage, models: Path) -> None:
    (models / ".hidden").write_text("")
    assert storage.files(str(models)) == [
        StoredFile(".hidden", 0),
        StoredFile("config.json", 2),
        StoredFile("onnx/model.onnx", 7),
    ]


@pytest.mark.parametrize("spelling", ["{}", "{}/", "file://{}", "{}//onnx/.", "{}/./"])
def test_spellings_of_a_location_mean_the_same(
    storage: Storage, models: Path, spelling: str
) -> None:
    found = storage.files(spelling.format(models))
    assert StoredFile("model.onnx" if "onnx" in spelling else "onnx/model.onnx", 7) in found


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("{}/../secret", '".." component'),
        ("{}-other", "not below the allowed storage"),
        ("/etc", "not below the allowed storage"),
        ("relative/path", "neither an absolute path nor a URL"),
        ("zip://x.zip::file://{}", '"::"'),
        ("file://host{}", "no host"),
        ("s3://bucket/x", "not below the allowed storage"),
    ],
)
def test_a_location_outside_is_refused(
    storage: Storage, models: Path, location: str, why: str
) -> None:
    with pytest.raises(StorageProblem, match="may not be used") as caught:
        storage.files(location.format(models.parent))
    assert caught.value.code == "RT501"
    assert why in caught.value.message


def test_a_prefix_is_compared_by_whole_components(models: Path) -> None:
    sibling = models.parent.parent / "allowed-not"
    sibling.mkdir()
    with pytest.raises(StorageProblem, match="not below the allowed storage"):
        Storage([str(models.parent)]).files(str(sibling))


def test_nothing_is_allowed_without_prefixes(models: Path) -> None:
    with pytest.raises(StorageProblem, match=r"\(nothing\)"):
        Storage([]).files(str(models))


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a//b", "a/./b", "a\\b", "a\nb", ".wh.x"])
def test_a_path_that_no_lock_can_have_is_refused(storage: Storage, models: Path, path: str) -> None:
    for call in (storage.open, storage.stat, storage.delete):
        with pytest.raises(StorageProblem) as caught:
            call(str(models), path)
        assert caught.value.code == "RT506"


def test_a_link_inside_is_followed(storage: Storage, models: Path) -> None:
    # As in a download cache: the directory of a revision has links to blobs beside it.
    blobs = models.parent / "blobs"
    blobs.mkdir()
    (blobs / "aa").write_bytes(b"12345")
    (models / "linked.bin").symlink_to("../blobs/aa")
    (models / "directory").symlink_to(blobs)
    found = {file.path: file.size for file in storage.files(str(models))}
    assert found["linked.bin"] == found["directory/aa"] == 5
    with storage.open(str(models), "directory/aa") as file:
        assert file.read() == b"12345"


def test_an_allowed_prefix_may_itself_be_a_link(models: Path, tmp_path: Path) -> None:
    (tmp_path / "mount").symlink_to(models.parent)
    assert len(Storage([str(tmp_path / "mount")]).files(f"{tmp_path}/mount/minilm")) == 2


def test_a_link_that_leaves_is_refused_everywhere(
    storage: Storage, models: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (models / "file").symlink_to(outside / "secret")
    (models / "folder").symlink_to(outside)
    (models.parent / "whole").symlink_to(outside)
    calls = [
        lambda: storage.files(str(models)),
        lambda: storage.files(f"{models}/folder"),
        lambda: storage.files(f"{models.parent}/whole"),
        lambda: storage.open(str(models), "file"),
        lambda: storage.stat(str(models), "folder/secret"),
        lambda: storage.write(str(models), "folder/new", [b"x"]),
        lambda: storage.delete(str(models), "folder/secret"),
    ]
    for call in calls:
        with pytest.raises(StorageProblem, match="outside the allowed storage") as caught:
            call()
        assert caught.value.code == "RT501"
    assert [path.name for path in outside.iterdir()] == ["secret"]


def test_a_directory_that_becomes_a_link_after_the_check_is_noticed(
    storage: Storage, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "model.onnx").write_bytes(b"secret!")
    real_open = os.open

    def swapping_open(path: str, *arguments: int) -> int:
        (models / "onnx").rename(models / "moved")
        (models / "onnx").symlink_to(tmp_path / "outside")
        return real_open(path, *arguments)

    monkeypatch.setattr(os, "open", swapping_open)
    with pytest.raises(StorageProblem, match="outside the allowed storage"):
        storage.open(str(models), "onnx/model.onnx")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.symlink_to("nowhere"), "nowhere, which does not exist"),
        (lambda path: path.symlink_to(path.name), "symbolic link to itself"),
        (lambda path: path.symlink_to("."), "a directory above it"),
        (os.mkfifo, "a named pipe"),
    ],
)
def test_an_entry_that_cannot_be_used_is_named_unless_it_does_not_matter(
    storage: Storage, models: Path, make: object, words: str
) -> None:
    make(models / "bad")
    with pytest.raises(StorageProblem, match=words) as caught:
        storage.files(str(models))
    assert str(models / "bad") in caught.value.message
    assert caught.value.code == "RT508"
    assert "spec.artifacts.exclude" in (caught.value.help or "")
    assert len(storage.files(str(models), lambda path: path.rstrip("/") == "bad")) == 2


def test_a_socket_is_named(storage: Storage, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(models)  # addresses of sockets are short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        with pytest.raises(StorageProblem, match="a socket"):
            storage.files(str(models))


def test_opening_a_pipe_does_not_wait_for_a_writer(storage: Storage, models: Path) -> None:
    os.mkfifo(models / "pipe")
    with pytest.raises(StorageProblem, match="a named pipe, not a regular file"):
        storage.open(str(models), "pipe")


@pytest.fixture
def not_root(tmp_path: Path) -> Callable[[], AbstractContextManager[None]]:
    """A context in which root is somebody else, who may pass through the test's directories."""
    folders = [tmp_path, *tmp_path.parents][:-2] if ROOT else []
    modes = {folder: folder.stat().st_mode for folder in folders}

    @contextmanager
    def somebody_else() -> Iterator[None]:
        for folder in folders:
            folder.chmod(0o755)
        try:
            if ROOT:
                os.seteuid(65534)
            yield
        finally:
            if ROOT:
                os.seteuid(0)
            for folder, mode in modes.items():
                folder.chmod(mode)

    return somebody_else


def test_what_may_not_be_read_is_named(
    storage: Storage, models: Path, not_root: Callable[[], AbstractContextManager[None]]
) -> None:
    (models / "config.json").chmod(0)
    (models / "onnx").chmod(0)
    with not_root():
        with pytest.raises(StorageProblem) as reading:
            storage.open(str(models), "config.json")
        with pytest.raises(StorageProblem) as listing:
            storage.files(str(models))
        rest = storage.files(str(models), lambda path: path == "onnx/")
        user = os.geteuid()
    (models / "onnx").chmod(0o755)
    assert reading.value.message == f"{models}/config.json cannot be read: permission denied"
    assert reading.value.help == f"let user id {user} read it"
    assert listing.value.message == f"{models}/onnx/ cannot be listed: permission denied"
    assert (listing.value.code, listing.value.transient) == ("RT508", False)
    assert rest == [StoredFile("config.json", 2)]


def test_a_missing_location_and_a_file_as_location_are_named(
    storage: Storage, models: Path
) -> None:
    with pytest.raises(StorageProblem, match="missing does not exist") as caught:
        storage.files(f"{models}/missing")
    assert not caught.value.transient
    with pytest.raises(StorageProblem, match="is not a directory"):
        storage.files(f"{models}/config.json")
    with pytest.raises(StorageProblem, match=r"gone\.bin does not exist"):
        storage.open(str(models), "gone.bin")
    with pytest.raises(StorageProblem, match="is a directory, not a regular file"):
        storage.stat(str(models), "onnx")


def test_names_that_are_not_unicode_are_listed(storage: Storage, models: Path) -> None:
    Path(os.fsdecode(os.fsencode(models) + b"/\xff.bin")).write_bytes(b"1")
    assert [file.size for file in storage.files(str(models))] == [2, 7, 1]


def test_a_file_is_read_from_an_offset(storage: Storage, models: Path) -> None:
    with storage.open(str(models), "onnx/model.onnx", offset=3) as file:
        assert file.read() == b"ghts"


def test_a_file_that_is_rewritten_while_it_is_read_is_noticed(
    storage: Storage, models: Path
) -> None:
    path = models / "onnx" / "model.onnx"
    with storage.open(str(models), "onnx/model.onnx") as file:
        file.read(3)
        path.write_bytes(b"changed")
        os.utime(path, ns=(0, time.time_ns() + 1_000_000_000))
        with pytest.raises(ContentMismatch, match=r"model\.onnx was changed while it was read"):
            file.read()


def test_written_files_appear_whole_and_can_be_deleted(storage: Storage, models: Path) -> None:
    seen = []

    def chunks() -> Iterator[bytes]:
        yield b"new "
        seen.extend(path.name for path in (models / "deep" / "er").glob("*.bin"))
        yield b"content"

    storage.write(str(models), "deep/er/file.bin", chunks())
    assert seen == []
    assert (models / "deep" / "er" / "file.bin").read_bytes() == b"new content"
    storage.write(str(models), "deep/er/file.bin", [b"newer"])
    assert [path.name for path in (models / "deep" / "er").iterdir()] == ["file.bin"]
    assert storage.stat(str(models), "deep/er/file.bin").size == 5
    storage.delete(str(models), "deep/er/file.bin")
    with pytest.raises(StorageProblem, match="does not exist"):
        storage.delete(str(models), "deep/er/file.bin")


def test_an_interrupted_write_leaves_the_old_content(storage: Storage, models: Path) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"half"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        storage.write(str(models), "config.json", chunks())
    assert (models / "config.json").read_text() == "{}"
    assert sorted(path.name for path in models.iterdir()) == ["config.json", "onnx"]


def test_several_threads_read_at_once(storage: Storage, models: Path) -> None:
    (models / "big.bin").write_bytes(os.urandom(1 << 20))
    results: list[bytes] = []

    def read() -> None:
        with storage.open(str(models), "big.bin") as file:
            results.append(file.read())

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [(models / "big.bin").read_bytes()] * 8


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda _path: None, "does not exist"),
        (lambda path: path.symlink_to("nowhere"), "nowhere, which does not exist"),
        (lambda path: path.symlink_to(path.name), "is a symbolic link to itself"),
        (lambda path: path.mkdir(), "is a directory, not a regular file"),
        (os.mkfifo, "is a named pipe, not a regular file"),
    ],
)
def test_what_cannot_be_read_is_found_to_be_absent(
    storage: Storage, models: Path, make: Callable[[Path], object], why: str
) -> None:
    make(models / "file.bin")
    found = storage.find(str(models), "file.bin")
    assert isinstance(found, Absent)
    assert found.why.endswith(why)
    with pytest.raises(StorageProblem, match=r"file\.bin (is|does not)"):
        storage.stat(str(models), "file.bin")


def test_a_fingerprint_changes_whenever_a_file_is_written(
    storage: Storage, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = models / "config.json"
    assert storage.stat(str(models), "config.json").fingerprint is None  # too young to be sure
    monkeypatch.setattr(local, "_SETTLED", -(10**18))
    before = storage.stat(str(models), "config.json")
    assert before.fingerprint == storage.files(str(models))[0].fingerprint is not None
    status = path.stat()
    path.write_bytes(b"[]")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    after = storage.stat(str(models), "config.json")
    assert after.fingerprint != before.fingerprint
    assert after == before, "a fingerprint means nothing on another machine"


def test_a_new_file_never_replaces_one_that_is_there(storage: Storage, models: Path) -> None:
    def chunks() -> Iterator[bytes]:
        (models / "new.bin").write_bytes(b"theirs")
        yield b"ours"

    for path, content in (("config.json", [b"[]"]), ("new.bin", chunks())):
        with pytest.raises(StorageProblem, match=f"{path} exists already"):
            storage.write(str(models), path, content, replace=False)
    assert (models / "config.json").read_text() == "{}"
    assert (models / "new.bin").read_bytes() == b"theirs"
    storage.write(str(models), "other.bin", [b"ours"], replace=False)
    assert (models / "other.bin").read_bytes() == b"ours"
    assert not [path for path in models.iterdir() if path.name.endswith(".partial")]


def test_a_file_system_without_hard_links_refuses_to_replace_as_well(
    storage: Storage, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    with pytest.raises(StorageProblem, match=r"config\.json exists already"):
        storage.write(str(models), "config.json", [b"[]"], replace=False)
    storage.write(str(models), "new.bin", [b"new"], replace=False)
    assert (models / "new.bin").read_bytes() == b"new"


def test_what_a_killed_write_left_is_no_file(storage: Storage, models: Path) -> None:
    (models / ".model.bin.0123456789abcdef.partial").write_bytes(b"half")
    assert [file.path for file in storage.files(str(models))] == ["config.json", "onnx/model.onnx"]
