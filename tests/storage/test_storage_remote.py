"""Storage behind URLs, with fsspec's file system in memory as the server."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import fsspec
import pytest

from registry_tool.errors import ContentMismatch, StorageProblem
from registry_tool.storage import ranges
from registry_tool.storage.storage import Storage
from registry_tool.storage.stored_file import Absent, StoredFile


@pytest.fixture
def memory() -> Iterator[fsspec.AbstractFileSystem]:
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    system.pipe({"/models/minilm/config.json": b"{}", "/models/minilm/onnx/model.onnx": b"weights"})
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


@pytest.fixture
def storage(memory: fsspec.AbstractFileSystem) -> Storage:
    return Storage(["memory://models"])


def test_objects_are_listed_and_read(storage: Storage) -> None:
    assert [(file.path, file.size) for file in storage.files("memory://models/minilm/")] == [
        ("config.json", 2),
        ("onnx/model.onnx", 7),
    ]
    assert storage.stat("memory://models/minilm", "onnx/model.onnx").size == 7
    with storage.open("memory://models/minilm", "onnx/model.onnx", offset=2) as file:
        assert file.read() == b"ights"


def test_objects_of_a_similar_prefix_do_not_belong(
    storage: Storage, memory: fsspec.AbstractFileSystem
) -> None:
    memory.pipe({"/models/minilm-v2/config.json": b"{}"})
    assert len(storage.files("memory://models/minilm")) == 2


def test_ranges_are_read_ahead_in_order(
    memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = os.urandom(1000)
    memory.pipe({"/models/big": data})
    monkeypatch.setattr(ranges, "RANGE", 64)
    monkeypatch.setattr(type(memory), "async_impl", True, raising=False)
    with Storage(["memory://models"]).open("memory://models", "big", offset=5) as file:
        assert file.read(100) + file.read() == data[5:]


def test_what_is_missing_is_named(storage: Storage) -> None:
    with pytest.raises(StorageProblem, match="memory://models/none does not exist") as caught:
        storage.files("memory://models/none")
    assert (caught.value.code, caught.value.transient) == ("RT508", False)
    with pytest.raises(StorageProblem, match=r"minilm/none\.bin does not exist"):
        storage.open("memory://models/minilm", "none.bin")
    with pytest.raises(StorageProblem, match="is a file"):
        storage.files("memory://models/minilm/config.json")


def test_a_server_that_fails_in_its_own_way_is_translated_and_worth_another_try(
    storage: Storage, memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    class EndpointConnectionError(Exception):
        pass

    def failing(*_arguments: object, **_options: object) -> None:
        raise EndpointConnectionError("could not connect")

    with storage.open("memory://models/minilm", "config.json") as file:
        monkeypatch.setattr(type(memory), "cat_file", failing)
        with pytest.raises(StorageProblem, match="could not connect") as caught:
            file.read()
    assert caught.value.transient
    monkeypatch.setattr(type(memory), "find", failing)
    with pytest.raises(StorageProblem, match="cannot be listed: could not connect"):
        storage.files("memory://models/minilm")


def test_objects_are_written_and_deleted(storage: Storage) -> None:
    storage.write("memory://models/minilm", "new/file.bin", [b"a", b"b"])
    with storage.open("memory://models/minilm", "new/file.bin") as file:
        assert file.read() == b"ab"
    storage.delete("memory://models/minilm", "new/file.bin")
    with pytest.raises(StorageProblem, match="does not exist"):
        storage.delete("memory://models/minilm", "new/file.bin")


def test_a_new_file_never_replaces_one_that_is_there(storage: Storage) -> None:
    with pytest.raises(StorageProblem, match=r"config\.json exists already"):
        storage.write("memory://models/minilm", "config.json", [b"[]"], replace=False)
    storage.write("memory://models/minilm", "new.bin", [b"new"], replace=False)
    assert storage.stat("memory://models/minilm", "new.bin").size == 3
    assert storage.find("memory://models/minilm", "none") == Absent("does not exist")
    assert storage.find("memory://models/minilm", "onnx") == Absent("is not a file")


def test_a_file_of_another_size_than_expected_is_not_read(storage: Storage) -> None:
    with pytest.raises(ContentMismatch, match="was replaced: its size is 2, expected 3"):
        storage.open("memory://models/minilm", "config.json", 0, StoredFile("config.json", 3))


class Upload:
    """A file of an object store: it can be seen once it is committed."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.calls.append("write")

    def close(self) -> None:
        self.closed = True

    def commit(self) -> None:
        assert self.closed
        self.calls.append("commit")

    def discard(self) -> None:
        self.calls.append("discard")


def test_an_upload_that_fails_is_discarded(
    storage: Storage, memory: fsspec.AbstractFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing() -> Iterator[bytes]:
        yield b"half"
        raise ContentMismatch("the source changed")

    upload = Upload()
    monkeypatch.setattr(type(memory), "open", lambda *_arguments, **_options: upload)
    with pytest.raises(ContentMismatch):
        storage.write("memory://models/minilm", "file.bin", failing())
    assert upload.calls == ["write", "discard"]
    assert upload.closed
    upload.calls.clear()
    storage.write("memory://models/minilm", "file.bin", [b"all"])
    assert upload.calls == ["write", "commit"]


def test_a_prefix_of_a_url_is_compared_by_whole_components(storage: Storage) -> None:
    for location in ("memory://models-2/x", "memory://models/../x", "memory://"):
        with pytest.raises(StorageProblem) as caught:
            storage.files(location)
        assert caught.value.code == "RT501"


def test_a_scheme_that_reads_other_locations_is_refused() -> None:
    with pytest.raises(StorageProblem, match="reads other locations") as caught:
        Storage(["local:///tmp"]).files("local:///tmp/x")
    assert caught.value.code == "RT501"


@pytest.mark.parametrize(
    ("scheme", "package"), [("s3", "registry-tool[s3]"), ("gs", "gcsfs"), ("abfs", "adlfs")]
)
def test_a_missing_library_is_named_with_what_to_install(
    scheme: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("s3fs", "gcsfs", "adlfs"):
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, scheme, raising=False)
    with pytest.raises(StorageProblem, match="not installed") as caught:
        Storage([f"{scheme}://bucket"]).files(f"{scheme}://bucket/x")
    assert (caught.value.code, caught.value.help) == ("RT508", f"pip install '{package}'")


def test_an_unknown_scheme_is_named() -> None:
    with pytest.raises(StorageProblem, match="no file system is known") as caught:
        Storage(["nfs4://server"]).files("nfs4://server/x")
    assert caught.value.code == "RT508"


@pytest.mark.parametrize(
    ("facts", "etag", "version"),
    [
        ({"ETag": '"9f86-2"', "VersionId": "3sL4"}, "9f86-2", "3sL4"),
        ({"ETag": '"9f86"', "VersionId": "null"}, "9f86", None),
        ({"etag": "CJ", "generation": 1700}, "CJ", "1700"),
        ({}, None, None),
    ],
)
def test_what_object_stores_know_of_a_version_is_kept(
    storage: Storage,
    memory: fsspec.AbstractFileSystem,
    monkeypatch: pytest.MonkeyPatch,
    facts: dict[str, object],
    etag: str | None,
    version: str | None,
) -> None:
    found = {"/models/minilm/a": {"type": "file", "size": 1, **facts}}
    monkeypatch.setattr(type(memory), "find", lambda *_arguments, **_options: found)
    assert storage.files("memory://models/minilm") == [StoredFile("a", 1, etag, version)]
