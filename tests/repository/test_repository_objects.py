from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from git_folder import GitFolder

from registry_tool.errors import RepositoryProblem
from registry_tool.repository.repository import Repository
from registry_tool.repository.trees import ObjectBatch, change_tree, list_tree, object_id


def _blobs(repository: Repository, contents: list[bytes]) -> list[str]:
    batch = ObjectBatch(repository.object_format)
    oids = [batch.add("blob", content) for content in contents]
    batch.write(repository.command)
    return oids


def test_many_blobs_come_in_the_order_asked_for(repository: Repository) -> None:
    """More than both pipes hold: 10,000 requests and 12 MB of answers."""
    contents = [b"%d\n" % number + b"x" * 1200 for number in range(10_000)]
    oids = _blobs(repository, contents)
    found = list(repository.read_blobs(oids[::-1]))
    assert [oid for oid, _ in found] == oids[::-1]
    assert [data for _, data in found] == contents[::-1]


@pytest.mark.parametrize("content", [b"", b"\n", b"\0\n\0", b"x" * 3_000_000])
def test_contents_survive_exactly(repository: Repository, content: bytes) -> None:
    (oid,) = _blobs(repository, [content])
    assert list(repository.read_blobs([oid, oid])) == [(oid, content)] * 2


def test_reading_inside_a_loop_over_blobs(repository: Repository) -> None:
    oids = _blobs(repository, [b"a", b"b", b"c"])
    seen = []
    for oid, data in repository.read_blobs(oids):
        seen.append((data, repository.reader.get(oid).data))
    assert seen == [(b"a", b"a"), (b"b", b"b"), (b"c", b"c")]


def test_a_reader_that_stops_early_leaves_no_answers_for_the_next(repository: Repository) -> None:
    oids = _blobs(repository, [b"a", b"b", b"c"])
    reading = repository.read_blobs(oids)
    assert next(reading)[1] == b"a"
    del reading
    assert [data for _, data in repository.read_blobs(oids[1:])] == [b"b", b"c"]


def test_a_missing_blob_is_named_and_the_rest_still_reads(repository: Repository) -> None:
    (oid,) = _blobs(repository, [b"a"])
    with pytest.raises(RepositoryProblem, match="is missing") as caught:
        list(repository.read_blobs([oid, "1" * 40, oid]))
    assert "1" * 40 in caught.value.message
    assert list(repository.read_blobs([oid])) == [(oid, b"a")]
    assert not repository.has("1" * 40)


@pytest.mark.parametrize("oid", ["HEAD", "--all", "main:README.md", "abc", "a" * 40 + "\nflush"])
def test_only_full_oids_are_asked_for(repository: Repository, oid: str) -> None:
    with pytest.raises(RepositoryProblem, match="not a full object id"):
        list(repository.read_blobs([oid]))


def test_a_process_that_died_is_replaced(repository: Repository) -> None:
    (oid,) = _blobs(repository, [b"a"])
    list(repository.read_blobs([oid]))
    (process,) = repository.reader._idle
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with pytest.raises(RepositoryProblem, match="cat-file"):
        list(repository.read_blobs([oid]))
    assert list(repository.read_blobs([oid])) == [(oid, b"a")]


def test_threads_read_at_once(repository: Repository) -> None:
    oids = _blobs(repository, [b"%d" % number for number in range(500)])
    results: list[int] = []

    def read() -> None:
        results.append(sum(int(data) for _, data in repository.read_blobs(oids)))

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [sum(range(500))] * 6


@pytest.mark.parametrize("count", [3, 300])
def test_objects_are_written_as_git_would(repository: Repository, count: int) -> None:
    contents = [b"%d" % number * number for number in range(count)]
    oids = _blobs(repository, contents)
    assert oids == [object_id("blob", content, "sha1") for content in contents]
    assert [data for _, data in repository.read_blobs(oids)] == contents


def test_a_changed_tree_equals_the_one_git_makes(folder: GitFolder, repository: Repository) -> None:
    folder.write("a/b/c", "1\n")
    folder.write("a.b", "2\n")
    folder.write("a-b", "3\n")
    folder.write("run", "4\n").chmod(0o755)
    before = folder.commit()
    folder.write("run", "5\n")
    folder.write("a/b/d", "6\n")
    (folder.path / "a/b/c").unlink()
    (folder.path / "manifests/registry.yaml").unlink()
    folder.write("é/\udcff", "7\n")
    expected = folder.commit()
    batch = ObjectBatch("sha1")
    changes: dict[str, str | None] = {
        "run": batch.add("blob", b"5\n"),
        "a/b/d": batch.add("blob", b"6\n"),
        "a/b/c": None,
        "manifests/registry.yaml": None,
        "é/\udcff": batch.add("blob", b"7\n"),
    }
    tree = change_tree(repository.reader, batch, repository.tree_of(before), changes)
    assert tree == repository.tree_of(expected)
    batch.write(repository.command)
    assert list_tree(repository.command, str(tree)) == repository.tree(expected)


def test_an_emptied_folder_disappears(repository: Repository) -> None:
    batch = ObjectBatch("sha1")
    root = repository.tree_of(repository.revision().oid)
    every = {entry.path: None for entry in repository.tree("main")}
    assert change_tree(repository.reader, batch, root, every) is None
    assert change_tree(repository.reader, batch, root, {"not/there": None}) == root


@pytest.mark.parametrize(
    "path", ["", "/a", "a//b", "a/../b", "./a", ".git/config", "a/.GIT", "a\0"]
)
def test_a_path_that_leaves_the_tree_is_refused(repository: Repository, path: str) -> None:
    batch = ObjectBatch("sha1")
    with pytest.raises(RepositoryProblem, match="cannot be a path"):
        change_tree(repository.reader, batch, None, {path: batch.add("blob", b"x")})


def test_a_damaged_object_is_a_clear_problem(folder: GitFolder, repository: Repository) -> None:
    (oid,) = _blobs(repository, [b"content that will be damaged"])
    loose: Path = folder.path / ".git/objects" / oid[:2] / oid[2:]
    loose.chmod(0o644)
    loose.write_bytes(b"garbage")
    with pytest.raises(RepositoryProblem) as caught:
        list(repository.read_blobs([oid]))
    assert caught.value.code == "RT605"
