from __future__ import annotations

import sqlite3
import threading
import time
from pathlib import Path

import pytest

from registry_tool.repository import blob_cache
from registry_tool.repository.blob_cache import BlobCache


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "cache.sqlite"


def test_values_are_found_again(path: Path) -> None:
    items = {f"key:{number}": b"%d\0\xff" % number for number in range(2000)}
    with BlobCache(path) as cache:
        assert cache.get_many(["key:1"]) == {}
        cache.put_many(items)
        cache.put_many({})
    with BlobCache(path) as cache:
        assert cache.get_many([*items, "unknown"]) == items
        cache.put_many({"key:1": b"new"})
        assert cache.get_many(["key:1", "key:2"]) == {"key:1": b"new", "key:2": b"2\0\xff"}
        assert cache.get_many([]) == {}


def test_a_deleted_file_is_made_anew(path: Path) -> None:
    with BlobCache(path) as cache:
        cache.put_many({"a": b"1"})
    for file in path.parent.iterdir():
        file.unlink()
    with BlobCache(path) as cache:
        assert cache.get_many(["a"]) == {}
        cache.put_many({"a": b"2"})
        assert cache.get_many(["a"]) == {"a": b"2"}


@pytest.mark.parametrize(
    "content", [b"not a database" * 100, b"SQLite format 3\0" + b"\xff" * 9000]
)
def test_a_damaged_file_is_made_anew(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with BlobCache(path) as cache:
        assert cache.get_many(["a"]) == {}
        cache.put_many({"a": b"1"})
        assert cache.get_many(["a"]) == {"a": b"1"}


def test_a_file_damaged_in_the_middle_never_raises(path: Path) -> None:
    items = {f"key:{number}": b"x" * 500 for number in range(2000)}
    with BlobCache(path) as cache:
        cache.put_many(items)
    data = bytearray(path.read_bytes())
    for at in range(8192, len(data), 4096):
        data[at : at + 64] = b"\xff" * 64
    path.write_bytes(data)
    with BlobCache(path) as cache:
        found = cache.get_many(list(items))
        assert all(items[key] == value for key, value in found.items())
        cache.put_many(items)
        assert cache.get_many(list(items)) == items


def test_a_file_of_another_layout_is_made_anew(path: Path) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE derived (something TEXT)")
    connection.commit()
    connection.close()
    with BlobCache(path) as cache:
        cache.put_many({"a": b"1"})
        assert cache.get_many(["a"]) == {"a": b"1"}


def test_without_a_usable_file_nothing_is_found(path: Path) -> None:
    path.mkdir(parents=True)
    with BlobCache(path) as cache:
        cache.put_many({"a": b"1"})
        assert cache.get_many(["a"]) == {}


def test_a_locked_file_is_done_without(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry_tool.repository.cache_file._BUSY_SECONDS", 0.05)
    with BlobCache(path) as cache:
        cache.put_many({"a": b"1"})
    other = sqlite3.connect(path)
    other.execute("BEGIN IMMEDIATE")
    with BlobCache(path) as cache:
        cache.put_many({"b": b"2"})
        assert cache.get_many(["b"]) == {}
        other.close()
        cache.close()
        cache.put_many({"b": b"2"})
        assert cache.get_many(["a", "b"]) == {"a": b"1", "b": b"2"}


def test_the_longest_unused_rows_go_first(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    day = time.time()
    monkeypatch.setattr(blob_cache.time, "time", lambda: day)
    with BlobCache(path, max_rows=100) as cache:
        cache.put_many({f"old:{number}": b"x" for number in range(60)})
        day += 86_400
        assert len(cache.get_many([f"old:{number}" for number in range(20)])) == 20
        cache.put_many({f"new:{number}": b"x" for number in range(60)})
        assert len(cache.get_many([f"new:{number}" for number in range(60)])) == 60
        kept = cache.get_many([f"old:{number}" for number in range(60)])
        assert len(kept) == 40
        assert {f"old:{number}" for number in range(20)} <= set(kept)


def test_threads_and_processes_share_one_file(path: Path) -> None:
    def work(name: int) -> None:
        with BlobCache(path) as cache:
            for number in range(20):
                cache.put_many({f"{name}:{number}": b"x" * 100})
                cache.get_many([f"{name}:{number}"])

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keys = [f"{name}:{number}" for name in range(4) for number in range(20)]
    with BlobCache(path) as cache:
        assert len(cache.get_many(keys)) == len(keys)
