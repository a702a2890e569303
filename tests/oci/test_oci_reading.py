"""Images as they are in a store: platforms, and what layers add up to."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from registry_tool.domain.digests import digest_of
from registry_tool.errors import StoreProblem
from registry_tool.oci.descriptors import EMPTY, IMAGE_MANIFEST, LAYER, Descriptor
from registry_tool.oci.file_tree import FileTree, Kind, LayerEntries, Node
from registry_tool.oci.image import ImageConfig, ImageIndex, ImageManifest, config_descriptor
from registry_tool.oci.layout import LayoutStore
from registry_tool.oci.reading import image_platforms, open_image


@pytest.fixture
def store(tmp_path: Path) -> LayoutStore:
    return LayoutStore(tmp_path / "store")


def add(store: LayoutStore, data: bytes) -> str:
    digest = digest_of(data)
    store.write_blob("base", digest, len(data), [data])
    return digest


def layer(*names: str) -> bytes:
    """A tar of entries: ``dir/``, ``file``, ``link -> target``, ``.wh.gone``; a mode after ``!``."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for entry in names:
            text, _, mode = entry.partition("!")
            name, _, target = text.partition(" -> ")
            member = tarfile.TarInfo(name)
            member.mode = int(mode or "755", 8)
            member.uid = member.gid = 7 if mode else 0
            if target:
                member.type, member.linkname = tarfile.SYMTYPE, target
            elif name.endswith("/"):
                member.type = tarfile.DIRTYPE
            archive.addfile(member)
    return output.getvalue()


def put_image(
    store: LayoutStore,
    *layers: bytes,
    platform: str = "linux/amd64",
    media_type: str = LAYER,
) -> Descriptor:
    config = ImageConfig(platform).with_layers([(digest_of(data), "x") for data in layers])
    add(store, config.to_bytes())
    descriptors = tuple(Descriptor(media_type, add(store, data), len(data)) for data in layers)
    manifest = ImageManifest(config_descriptor(config), descriptors)
    descriptor = manifest.descriptor(platform)
    store.write_manifest("base", descriptor, manifest.to_bytes())
    return descriptor


def put_index(store: LayoutStore, *entries: Descriptor) -> Descriptor:
    index = ImageIndex(entries)
    store.write_manifest("base", index.descriptor(), index.to_bytes())
    return index.descriptor()


def tree(store: LayoutStore, *layers: bytes) -> FileTree:
    return open_image(store, "base", put_image(store, *layers).digest, "linux/amd64").file_tree()


def test_an_image_is_opened_by_tag_for_its_platform(store: LayoutStore) -> None:
    images = [put_image(store, layer(p), platform=f"linux/{p}") for p in ("amd64", "arm64")]
    attestation = Descriptor(IMAGE_MANIFEST, digest_of(b"attestation"), 1)
    index = put_index(store, *images, attestation)
    store.put_tags("base", {"1": index})
    assert image_platforms(store, "base", index) == ["linux/amd64", "linux/arm64"]
    view = open_image(store, "base", "1", "linux/arm64/v8")
    assert view.config.platform == "linux/arm64"
    assert view.descriptor.digest == images[1].digest
    assert view.file_tree().lookup("/arm64")
    with pytest.raises(StoreProblem, match="base:1 is not there for linux/s390x") as caught:
        open_image(store, "base", "1", "linux/s390x")
    assert "only for linux/amd64, linux/arm64" in caught.value.message


def test_a_single_image_must_be_of_the_platform_that_is_asked_for(store: LayoutStore) -> None:
    image = put_image(store, layer("a"))
    with pytest.raises(StoreProblem, match="only for linux/amd64"):
        open_image(store, "base", image.digest, "linux/arm64")


def test_an_index_of_one_image_need_not_name_its_platform(store: LayoutStore) -> None:
    image = put_image(store, layer("a"))
    index = put_index(store, Descriptor(IMAGE_MANIFEST, image.digest, image.size))
    assert open_image(store, "base", index.digest, "linux/amd64").layers
    nested = put_index(store, index)
    assert open_image(store, "base", nested.digest, "linux/amd64").layers


def test_what_is_no_image_is_named(store: LayoutStore) -> None:
    with pytest.raises(StoreProblem, match="there is no image base:1 in the store embedded"):
        open_image(store, "base", "1", "linux/amd64")
    empty = Descriptor(EMPTY, add(store, b"{}"), 2)
    log = ImageManifest(empty, (), artifact_type="text/plain")
    store.write_manifest("base", log.descriptor(), log.to_bytes())
    with pytest.raises(StoreProblem, match="no image but an artifact"):
        open_image(store, "base", log.descriptor().digest, "linux/amd64")
    config = ImageConfig("linux/amd64", diff_ids=(digest_of(b"1"),))
    add(store, config.to_bytes())
    broken = ImageManifest(config_descriptor(config), ())
    store.write_manifest("base", broken.descriptor(), broken.to_bytes())
    with pytest.raises(StoreProblem, match="disagree about the number of layers"):
        open_image(store, "base", broken.descriptor().digest, "linux/amd64")


def test_indexes_in_circles_end(store: LayoutStore) -> None:
    index = put_index(store, put_image(store, layer("a")))
    for _ in range(4):
        index = put_index(store, Descriptor(index.media_type, index.digest, index.size))
    with pytest.raises(StoreProblem, match="nested more than"):
        open_image(store, "base", index.digest, "linux/amd64")


def test_docker_layers_are_called_by_their_oci_names(store: LayoutStore) -> None:
    packed = gzip.compress(layer("etc/passwd"))
    docker_type = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    image = put_image(store, packed, media_type=docker_type)
    view = open_image(store, "base", image.digest, "linux/amd64")
    assert view.layers[0].media_type == LAYER + "+gzip"
    assert view.file_tree().lookup("etc/passwd") == Node(Kind.FILE, 0o755)


def test_modes_owners_and_targets_are_kept(store: LayoutStore) -> None:
    found = tree(store, layer("./srv/!2750", "srv/data!640", "lib -> usr/lib"))
    assert found.lookup("/srv") == Node(Kind.DIRECTORY, 0o2750, 7, 7)
    assert found.lookup("/srv/data") == Node(Kind.FILE, 0o640, 7, 7)
    assert found.lookup("/lib") == Node(Kind.SYMLINK, 0o755, target="usr/lib")
    assert found.lookup("/lib/x") is None
    assert found.lookup("/srv/data/x") is None
    assert found.lookup("/") == Node(Kind.DIRECTORY)


def test_parents_that_no_layer_names_are_implied(store: LayoutStore) -> None:
    assert tree(store, layer("a/b/c")).lookup("/a/b") == Node(Kind.DIRECTORY, 0o755)


def test_an_upper_layer_changes_a_directory_and_keeps_what_is_in_it(store: LayoutStore) -> None:
    found = tree(store, layer("a/", "a/file"), layer("a/!700"))
    assert found.lookup("/a") == Node(Kind.DIRECTORY, 0o700, 7, 7)
    assert found.lookup("/a/file")


def test_a_file_or_link_in_place_of_a_directory_hides_what_was_in_it(store: LayoutStore) -> None:
    found = tree(store, layer("a/", "a/file", "b/file"), layer("a", "b -> c"), layer("b/"))
    assert found.lookup("/a") == Node(Kind.FILE)
    assert found.lookup("/a/file") is found.lookup("/b/file") is None


def test_whiteouts_delete_only_what_lies_below(store: LayoutStore) -> None:
    # Whiteouts after the entries they must not touch.
    upper = layer("a/new", "a/.wh.old", "a/old2", ".wh.gone", "a/.wh.old2")
    found = tree(store, layer("a/old", "a/old2", "a/kept", "gone/deep/file"), upper)
    paths = ("/a/old", "/gone", "/gone/deep", "/a/new", "/a/kept", "/a/old2")
    assert [bool(found.lookup(path)) for path in paths] == [False, False, False, True, True, True]


def test_an_opaque_directory_hides_all_below(store: LayoutStore) -> None:
    upper = layer("a/", "a/new", "a/.wh..wh..opq")
    found = tree(store, layer("a/one", "a/b/two"), upper)
    assert [bool(found.lookup(path)) for path in ("/a", "/a/one", "/a/b", "/a/new")] == [
        *(True, False, False, True)
    ]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/lib/x.so", "/usr/lib/x.so"),
        ("/opt/deep/er/x", "/usr/lib/deep/er/x"),
        ("/up/x", "/usr/lib/x"),
        ("/beyond/x", "/etc/x"),
        ("/dangling/x/y", "/nowhere/x/y"),
        ("/lib", "/lib"),
        ("/new/dir/file", "/new/dir/file"),
        ("lib//x", "/usr/lib/x"),
    ],
)
def test_links_above_a_path_are_followed_inside_the_image(
    store: LayoutStore, path: str, expected: str
) -> None:
    found = tree(
        store,
        layer(
            *("usr/lib/", "lib -> usr/lib", "opt -> /lib/", "var/run/"),
            *("up -> var/run/../../opt", "beyond -> ../../../etc", "dangling -> /nowhere"),
        ),
    )
    assert found.resolve_parents(path) == expected


def test_links_in_circles_and_files_on_the_way_are_named(store: LayoutStore) -> None:
    found = tree(store, layer("a -> b", "b -> a", "self -> self/x", "file"))
    for path in ("/a/x", "/self/x"):
        with pytest.raises(StoreProblem, match="leads in a circle"):
            found.resolve_parents(path)
    with pytest.raises(StoreProblem, match="/file is a file in the base image"):
        found.resolve_parents("/file/x")


def test_entries_behind_a_link_of_a_lower_layer_land_where_it_leads(store: LayoutStore) -> None:
    found = tree(store, layer("usr/lib/", "lib -> usr/lib"), layer("lib/x.so"))
    assert found.lookup("/usr/lib/x.so")
    assert found.lookup("/lib") == Node(Kind.SYMLINK, 0o755, target="usr/lib")


def test_hard_links_and_devices_are_told_apart(store: LayoutStore) -> None:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for name, kind in (("f", tarfile.REGTYPE), ("h", tarfile.LNKTYPE), ("d", tarfile.CHRTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "f"
            archive.addfile(member)
    found = tree(store, output.getvalue())
    nodes = [found.lookup(name) for name in "fhd"]
    assert [node and node.kind for node in nodes] == [Kind.FILE, Kind.FILE, Kind.OTHER]


def test_a_layer_that_rotted_is_noticed(store: LayoutStore) -> None:
    image = put_image(store, layer("a", "b"))
    view = open_image(store, "base", image.digest, "linux/amd64")
    path = store.blob_path("base", view.layers[0].digest)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(StoreProblem, match="its content has the digest"):
        view.file_tree()


def test_a_layer_is_read_once(store: LayoutStore) -> None:
    image = put_image(store, layer("a"))
    view = open_image(store, "base", image.digest, "linux/amd64")
    cache: dict[str, LayerEntries] = {}
    assert view.file_tree(cache).lookup("/a")
    store.blob_path("base", view.layers[0].digest).unlink()
    assert view.file_tree(cache).lookup("/a")


PACKED = gzip.compress(layer(*map(str, range(99))), mtime=0)
"""The same for all processes of a test run: it is part of a test's name."""


@pytest.mark.parametrize(
    ("data", "media_type", "words"),
    [
        (b"\x28\xb5\x2f\xfd", LAYER + "+zstd", r"\+zstd, which cannot be read"),
        (b"not a tar, yet long enough" * 99, LAYER, "it is not a layer"),
        (b"not gzip", LAYER + "+gzip", "it is not a layer"),
        (PACKED[:300], LAYER + "+gzip", "it is not a layer"),
        (layer("../escape"), LAYER, r'has a "\.\." component'),
    ],
)
def test_a_layer_that_cannot_be_read_is_named(
    store: LayoutStore, data: bytes, media_type: str, words: str
) -> None:
    image = put_image(store, data, media_type=media_type)
    view = open_image(store, "base", image.digest, "linux/amd64")
    with pytest.raises(StoreProblem, match=words) as caught:
        view.file_tree()
    assert view.layers[0].digest in caught.value.message
