from __future__ import annotations

import io
import tarfile

import pytest
from native_orders import Entry, Workshop, directory, link

from registry_tool.builders.native_layers import (
    NativeLayer,
    check_together,
    directories_layer,
    empty_layer,
    files_layer,
    placed_files,
    weights_paths,
)
from registry_tool.builders.templates import RenderedFile
from registry_tool.domain.digests import digest_of
from registry_tool.errors import BuildFailed
from registry_tool.oci.file_tree import FileTree, Kind, Node

_KINDS = {"directory": Kind.DIRECTORY, "link": Kind.SYMLINK, "file": Kind.FILE}


def tree(**entries: Entry) -> FileTree:
    """A base; double underscores stand for slashes."""
    nodes = (
        (
            tuple(path.split("__")),
            Node(_KINDS[entry.kind], entry.mode, entry.uid, entry.gid, entry.target),
        )
        for path, entry in entries.items()
    )
    return FileTree([tuple(nodes)])


def content(layer: NativeLayer | None) -> bytes:
    assert layer is not None
    data = b"".join(bytes(chunk) for chunk in layer.chunks())
    assert (len(data), digest_of(data)) == (layer.size, layer.digest)
    return data


def members(layer: NativeLayer | None) -> list[tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(content(layer))) as archive:
        return archive.getmembers()


def test_a_layer_has_files_only_in_path_order() -> None:
    files = [
        RenderedFile("/etc/z", b"zz", 0o755),
        RenderedFile("/etc/a/b", b"b", 0o644),
        RenderedFile("/" + "long/" * 40 + "é", b"", 0o600),
    ]
    layer = files_layer(files)

    assert [(m.name, m.isreg(), m.size, m.mode, m.mtime, m.uid) for m in members(layer)] == [
        ("etc/a/b", True, 1, 0o644, 0, 0),
        ("etc/z", True, 2, 0o755, 0, 0),
        ("long/" * 40 + "é", True, 0, 0o600, 0, 0),
    ]
    assert layer is not None
    assert content(files_layer(files[::-1])) == content(layer)


def test_its_bytes_can_be_asked_for_again() -> None:
    layer = files_layer([RenderedFile("/a", b"x" * 100_000, 0o644)])
    assert content(layer) == content(layer)


def test_without_files_there_is_no_layer() -> None:
    assert files_layer([]) is None


def test_the_empty_layer_is_the_one_that_everybody_has() -> None:
    """The diff id that Docker gives to steps that change nothing."""
    assert empty_layer().digest == (
        "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
    )
    assert members(empty_layer()) == []


def test_odd_directories_are_restated_and_others_are_not() -> None:
    base = tree(
        srv=directory(0o1777),
        srv__app=directory(0o750, 1000, 5_000_000),
        srv__app__plain=directory(),
        etc=directory(0o700),
    )

    layer = directories_layer(["/srv/app/plain/new/x", "/srv/y"], base)

    assert [(m.name, m.isdir(), m.mode, m.uid, m.gid) for m in members(layer)] == [
        ("srv", True, 0o1777, 0, 0),
        ("srv/app", True, 0o750, 1000, 5_000_000),
    ]
    assert layer is not None
    assert layer.digest == (
        "sha256:db72017ecfc69eeab12ca570b6e0c1d1cc1d04d805d3db539b0e1c7b0e57f468"
    ), "the headers come from Python's tarfile, and this Python writes others"


def test_new_directories_inherit_no_group() -> None:
    base = tree(srv=directory(0o2775, 0, 50), srv__app=directory())

    layer = directories_layer(["/srv/new/deep/x", "/srv/app/new/y"], base)

    assert [(m.name, m.mode, m.gid) for m in members(layer)] == [
        ("srv", 0o2775, 50),
        ("srv/new", 0o755, 0),
        ("srv/new/deep", 0o755, 0),
    ]


def test_without_a_base_or_odd_directories_there_is_no_such_layer() -> None:
    assert directories_layer(["/srv/x"], None) is None
    assert directories_layer(["/srv/x"], tree(srv=directory(), etc=directory(0o700))) is None
    assert directories_layer([], tree(srv=directory(0o700))) is None


def test_a_link_to_a_parent_directory_counts_as_a_directory() -> None:
    base = tree(app=directory(), app__up=link(".."), app__self=link("."))

    for path in ("/app/up", "/app/self"):
        with pytest.raises(BuildFailed, match=f"{path}, which is a directory of the base image"):
            placed_files([RenderedFile(path, b"", 0o644)], base)


def test_a_dangling_or_circular_link_gives_way_to_a_file() -> None:
    base = tree(dangling=link("/nowhere"), circle=link("circle"))

    files = [RenderedFile(path, b"", 0o644) for path in ("/dangling", "/circle")]
    assert placed_files(files, base) == tuple(files)


def test_links_cannot_lead_out_of_the_image() -> None:
    base = tree(up=link("../../../etc"), etc=directory())

    (placed,) = placed_files([RenderedFile("/up/passwd", b"", 0o644)], base)
    assert placed.path == "/etc/passwd"


def test_two_files_that_meet_through_a_link_are_refused(workshop: Workshop) -> None:
    base = tree(lib=link("usr/lib"))

    placed = placed_files(
        [RenderedFile("/lib/a", b"1", 0o644), RenderedFile("/usr/lib/a", b"2", 0o644)], base
    )
    with pytest.raises(BuildFailed, match="the image would have /usr/lib/a twice"):
        check_together(file.path for file in placed)


def test_names_that_only_begin_alike_are_not_in_the_way() -> None:
    check_together(["/a", "/a-b/c", "/a.b", "/ab/c"])


def test_locked_files_have_fixed_places(workshop: Workshop) -> None:
    lock = workshop.lock()

    assert weights_paths(lock.target, lock.layers, None) == (
        "/models/minilm/config.json",
        "/models/minilm/model.safetensors",
        "/models/minilm/nested/a.txt",
    )
    assert weights_paths(lock.target, lock.layers, tree(models=directory())) == weights_paths(
        lock.target, lock.layers, None
    )
