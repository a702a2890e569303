"""The embedded store: what is kept, what is shared, and what a full disk or a kill leaves behind."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_images import put_blob, put_image

from registry_tool.domain.digests import digest_of
from registry_tool.errors import ContentMismatch, StoreProblem
from registry_tool.oci import partial_files
from registry_tool.oci.descriptors import IMAGE_MANIFEST, Descriptor
from registry_tool.oci.image import ImageManifest
from registry_tool.oci.layout import LayoutStore


@pytest.fixture
def store(tmp_path: Path) -> LayoutStore:
    return LayoutStore(tmp_path / "store")


def everything(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def test_an_image_is_found_by_tag_and_by_digest(store: LayoutStore) -> None:
    image = put_image(store, "minilm", b"weights")
    store.put_tags("minilm", {"1.0.0": image, "build-0123456789ab": image})
    assert store.tags("minilm") == {"1.0.0": image, "build-0123456789ab": image}
    assert store.resolve("minilm", "1.0.0") == image
    assert store.resolve("minilm", image.digest) == image
    assert store.resolve("minilm", "2.0.0") is None
    assert store.resolve("minilm", digest_of(b"nothing")) is None
    assert store.resolve("other", "1.0.0") is None
    assert ImageManifest.parse(store.read_manifest("minilm", image.digest), "x").layers


def test_an_image_without_a_tag_is_found_by_digest(store: LayoutStore) -> None:
    image = put_image(store, "minilm", b"weights")
    found = store.resolve("minilm", image.digest)
    assert found == Descriptor(IMAGE_MANIFEST, image.digest, image.size)
    assert store.resolve("minilm", put_blob(store, "minilm", b"no document")) is None


def test_each_repository_is_an_oci_layout(store: LayoutStore) -> None:
    image = put_image(store, "bases/python", b"weights")
    store.put_tags("bases/python", {"3.12": image})
    root = store.root / "bases" / "python"
    assert json.loads((root / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((root / "index.json").read_text())
    assert index["schemaVersion"] == 2
    assert index["manifests"] == [
        {
            "mediaType": IMAGE_MANIFEST,
            "digest": image.digest,
            "size": image.size,
            "platform": {"os": "linux", "architecture": "amd64"},
            "annotations": {"org.opencontainers.image.ref.name": "3.12"},
        }
    ]
    for path in (root / "blobs" / "sha256").iterdir():
        assert digest_of(path.read_bytes()) == f"sha256:{path.name}"
    assert store.repositories() == ["bases/python"]


def test_a_tag_moves_and_what_others_wrote_stays(store: LayoutStore) -> None:
    old, new = put_image(store, "m", b"old"), put_image(store, "m", b"new")
    store.put_tags("m", {"1.0.0": old, "0.9.0": old})
    index = store.root / "m" / "index.json"
    document = json.loads(index.read_text())
    untagged = {"mediaType": IMAGE_MANIFEST, "digest": digest_of(b"x"), "size": 1}
    document["manifests"].append(untagged)
    index.write_text(json.dumps(document))
    store.put_tags("m", {"1.0.0": new})
    assert store.tags("m") == {"1.0.0": new, "0.9.0": old}
    assert untagged in json.loads(index.read_text())["manifests"]


def test_a_tag_cannot_point_to_what_is_not_there(store: LayoutStore) -> None:
    image = put_image(store, "minilm", b"weights")
    with pytest.raises(StoreProblem, match="which is not there"):
        store.put_tags("other", {"1.0.0": image})
    with pytest.raises(StoreProblem, match="cannot be an image tag"):
        store.put_tags("minilm", {"-x": image})
    assert store.tags("minilm") == store.tags("other") == {}


def test_a_blob_is_written_once_and_never_read_again(store: LayoutStore) -> None:
    digest = put_blob(store, "minilm", b"weights")

    def untouched() -> Iterator[bytes]:
        raise AssertionError("the blob is there")
        yield b""

    store.write_blob("minilm", digest, 7, untouched())
    store.write_blob("other", digest, 7, untouched())
    with store.open_blob("other", digest) as file:
        assert file.read() == b"weights"
    assert store.blob_path("minilm", digest).stat().st_mode & 0o222 == 0


def test_a_mount_moves_no_bytes(store: LayoutStore) -> None:
    digest = put_blob(store, "minilm", b"weights")
    assert not store.has_blob("bert", digest)
    assert store.blob_size("bert", digest) is None
    assert store.mount_blob("bert", digest)
    assert store.has_blob("bert", digest)
    assert store.blob_size("bert", digest) == len(b"weights")
    assert store.blob_path("bert", digest).samefile(store.blob_path("minilm", digest))
    assert not store.mount_blob("bert", digest_of(b"unknown"))


def test_a_blob_that_another_program_wrote_is_mounted_where_the_source_is_known(
    store: LayoutStore,
) -> None:
    put_blob(store, "bases/python", b"something")
    digest = digest_of(b"by skopeo")
    store.blob_path("bases/python", digest).write_bytes(b"by skopeo")
    assert not store.mount_blob("minilm", digest)
    assert store.mount_blob("minilm", digest, "bases/python")
    assert store.mount_blob("bert", digest)


@pytest.mark.parametrize("error", [errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP])
def test_without_hard_links_blobs_are_written_in_each_repository(
    store: LayoutStore, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def refusing(*_: object) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "link", refusing)
    digest = put_blob(store, "minilm", b"weights")
    assert not store.mount_blob("bert", digest)
    put_blob(store, "bert", b"weights")
    assert store.has_blob("minilm", digest)
    assert store.has_blob("bert", digest)
    assert list((store.root / ".partial").iterdir()) == []


@pytest.mark.parametrize(
    ("size", "data", "got"),
    [
        (7, b"weightS", "7 with digest"),
        (8, b"weights", "7 with digest"),
        (6, b"weights", "more"),
        (0, b"weights", "more"),
    ],
)
def test_content_that_is_not_what_was_announced_is_refused(
    store: LayoutStore, size: int, data: bytes, got: str
) -> None:
    digest = digest_of(b"weights")
    with pytest.raises(ContentMismatch, match=f"minilm@{digest}: expected {size} bytes, got {got}"):
        store.write_blob("minilm", digest, size, [data[:3], data[3:]])
    assert not store.has_blob("minilm", digest)
    assert list((store.root / ".partial").iterdir()) == []


def test_an_endless_source_is_stopped(store: LayoutStore) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(1000)

    with pytest.raises(ContentMismatch, match="expected 10 bytes, got more"):
        store.write_blob("minilm", digest_of(b""), 10, endless())


def test_a_source_that_fails_leaves_nothing(store: LayoutStore) -> None:
    def failing() -> Iterator[bytes]:
        yield b"half"
        raise ContentMismatch("model.bin differs")

    with pytest.raises(ContentMismatch, match=r"model\.bin differs"):
        store.write_blob("minilm", digest_of(b"weights"), 7, failing())
    assert list((store.root / ".partial").iterdir()) == []
    assert list((store.root / ".blobs").iterdir()) == []


def test_a_blob_that_rotted_is_noticed_where_documents_are_read(store: LayoutStore) -> None:
    image = put_image(store, "minilm", b"weights")
    path = store.blob_path("minilm", image.digest)
    path.chmod(0o644)
    path.write_bytes(b"x" * image.size)
    with pytest.raises(ContentMismatch, match="does not have the digest in its name"):
        store.read_manifest("minilm", image.digest)


@pytest.mark.parametrize(
    "repository",
    ["", "..", "../x", "a/../b", "/abs", "A", "a//b", ".blobs", "a/", "m:1", "host.example/m"],
)
def test_a_name_that_is_no_repository_is_refused(store: LayoutStore, repository: str) -> None:
    with pytest.raises(StoreProblem, match="cannot be a repository"):
        store.tags(repository)


@pytest.mark.parametrize("name", ["m/blobs", "m/index.json/x"])
def test_nested_repositories_cannot_clash_with_the_files_of_a_layout(
    store: LayoutStore, name: str
) -> None:
    with pytest.raises(StoreProblem, match="a layout has files of that name"):
        put_blob(store, name, b"x")
    for repository in ("m", "m/n", "blobs", "index.json"):
        image = put_image(store, repository, repository.encode())
        store.put_tags(repository, {"1": image})
    assert store.repositories() == ["blobs", "index.json", "m", "m/n"]
    assert store.tags("m") != store.tags("m/n")


def test_a_digest_cannot_name_another_file(store: LayoutStore) -> None:
    with pytest.raises(StoreProblem, match="is not a sha256 digest"):
        store.open_blob("minilm", "sha256:../../index.json")


def test_a_missing_blob_and_a_broken_index_are_named(store: LayoutStore) -> None:
    image = put_image(store, "minilm", b"weights")
    with pytest.raises(StoreProblem, match=r"minilm in .* has no blob") as caught:
        store.open_blob("minilm", digest_of(b"other"))
    assert caught.value.code == "RT608"
    (store.root / "minilm" / "index.json").write_text("{")
    for call in (
        lambda: store.tags("minilm"),
        lambda: store.put_tags("minilm", {"1": image}),
    ):
        with pytest.raises(StoreProblem, match=r"minilm/index\.json is malformed"):
            call()


def test_a_read_only_store_changes_nothing(store: LayoutStore) -> None:
    reader = LayoutStore(store.root, read_only=True)
    assert reader.tags("minilm") == {}
    assert reader.repositories() == []
    assert not reader.has_blob("minilm", digest_of(b"weights"))
    with pytest.raises(StoreProblem, match="open for reading only"):
        put_blob(reader, "minilm", b"weights")
    assert not store.root.exists()
    image = put_image(store, "minilm", b"weights")
    store.put_tags("minilm", {"1.0.0": image})
    before = everything(store.root)
    assert reader.resolve("minilm", "1.0.0") == image
    with pytest.raises(StoreProblem, match="open for reading only"):
        reader.put_tags("minilm", {"2.0.0": image})
    assert everything(store.root) == before


def test_partial_files_of_dead_writers_are_swept_and_those_of_living_ones_stay(
    store: LayoutStore,
) -> None:
    put_blob(store, "minilm", b"weights")
    folder = store.root / ".partial"
    (folder / "stale").write_bytes(b"half")
    with partial_files.partial_file(folder) as (living, _):
        put_blob(LayoutStore(store.root), "minilm", b"more")
        assert [path.name for path in folder.iterdir()] == [living.name]
    assert list(folder.iterdir()) == []


def test_a_partial_file_that_is_swept_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_lock = partial_files.fcntl.flock
    swept: list[int] = []

    def late_lock(file: object, operation: int) -> None:
        if not swept:
            swept.append(0)
            swept[0] = partial_files.sweep(tmp_path)
        real_lock(file, operation)

    monkeypatch.setattr(partial_files.fcntl, "flock", late_lock)
    with partial_files.partial_file(tmp_path) as (path, file):
        file.write(b"x")
        assert path.read_bytes() == b"x"
    assert swept == [1]


# --- Other processes ---

_WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from small_images import put_image
from registry_tool.oci.layout import LayoutStore
store = LayoutStore(Path({root!r}))
for number in range({first}, {last}):
    image = put_image(store, "minilm", str(number % 10).encode() * 100_000)
    store.put_tags("minilm", {{f"tag-{{number}}": image, "latest": image}})
"""


def start_writer(root: Path, first: int, last: int, **environment: str) -> subprocess.Popen[bytes]:
    script = _WRITER.format(
        tests=str(Path(__file__).parent), root=str(root), first=first, last=last
    )
    return subprocess.Popen([sys.executable, "-c", script], env={**os.environ, **environment})


def test_two_processes_write_the_same_blobs_and_tag_the_same_layout(store: LayoutStore) -> None:
    writers = [start_writer(store.root, 0, 40), start_writer(store.root, 20, 60)]
    for writer in writers:
        assert writer.wait(60) == 0
    tags = store.tags("minilm")
    assert sorted(tags) == sorted(["latest", *(f"tag-{number}" for number in range(60))])
    assert len({image.digest for image in tags.values()}) == 10
    for path in (store.root / "minilm" / "blobs" / "sha256").iterdir():
        assert digest_of(path.read_bytes()) == f"sha256:{path.name}"
        assert path.samefile(store.root / ".blobs" / path.name)
    assert list((store.root / ".partial").iterdir()) == []


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a writer leaves that nobody killed."""
    root = tmp_path_factory.mktemp("undisturbed") / "store"
    assert start_writer(root, 0, 3).wait(60) == 0
    return everything(root)


@pytest.mark.parametrize("place", ["blob-written", "image-tagged"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_after_a_kill_the_end_is_the_same(
    store: LayoutStore, undisturbed: dict[str, bytes], place: str, count: int
) -> None:
    killed = start_writer(store.root, 0, 3, REGISTRY_TOOL_FAILPOINT=f"{place}:{count}")
    assert killed.wait(60) == -signal.SIGKILL
    for tag, image in store.tags("minilm").items():
        assert store.has_blob("minilm", image.digest), tag
    assert start_writer(store.root, 0, 3).wait(60) == 0
    assert everything(store.root) == undisturbed


def test_a_kill_in_the_middle_of_a_blob_leaves_only_what_is_swept(store: LayoutStore) -> None:
    script = f"""
import os, signal
from pathlib import Path
from registry_tool.oci.layout import LayoutStore
def chunks():
    yield bytes(1000)
    yield bytes(1000)
    os.kill(os.getpid(), signal.SIGKILL)
LayoutStore(Path({str(store.root)!r})).write_blob("minilm", "sha256:" + "0" * 64, 9000, chunks())
"""
    result = subprocess.run([sys.executable, "-c", script], check=False)
    assert result.returncode == -signal.SIGKILL
    assert len(list((store.root / ".partial").iterdir())) == 1
    assert not store.has_blob("minilm", "sha256:" + "0" * 64)
    put_blob(store, "minilm", b"weights")
    assert list((store.root / ".partial").iterdir()) == []


# --- A disk without space ---


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("a small disk takes the right to mount one")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_named_and_leaves_nothing_half_written(small_disk: Path) -> None:
    store = LayoutStore(small_disk / "store")
    image = put_image(store, "minilm", b"weights")
    store.put_tags("minilm", {"1.0.0": image})
    before = everything(store.root)
    data = os.urandom(2 << 20)
    with pytest.raises(StoreProblem, match="No space left on device") as caught:
        store.write_blob("minilm", digest_of(data), len(data), [data])
    assert caught.value.help == "free some space, and run again"
    assert not caught.value.transient
    assert everything(store.root) == before
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space"):
        filler.write_bytes(bytes(2 << 20))
    with pytest.raises(StoreProblem, match="No space left"):
        store.put_tags("minilm", {f"{number}.0.0": image for number in range(2, 90)})
    assert everything(store.root) == before
    filler.unlink()
    small = os.urandom(1000)
    put_blob(store, "minilm", small)


def test_a_store_that_may_not_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/srv/store")

    monkeypatch.setattr(Path, "mkdir", denied)
    with pytest.raises(StoreProblem, match=r"Permission denied \(/srv/store\)") as caught:
        put_blob(LayoutStore(tmp_path / "store"), "minilm", b"weights")
    assert not caught.value.transient
