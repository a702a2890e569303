from __future__ import annotations

import io
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from native_orders import (
    WEIGHTS,
    CountingStorage,
    Entry,
    Workshop,
    files_of,
    image_config,
    other_key,
    put_base,
    snapshot,
    unpack,
)

from registry_tool.builders.interface import BuildOrder
from registry_tool.builders.publishing import adopt, publish_log, read_log
from registry_tool.domain.records import BytesMoved
from registry_tool.errors import ContentMismatch, LeaseLost, StorageProblem, StoreProblem
from registry_tool.oci.descriptors import Descriptor
from registry_tool.oci.layout import LayoutStore
from registry_tool.oci.packing import ALONE_SIZE
from registry_tool.oci.tar import Chunk
from registry_tool.storage.storage import Storage
from registry_tool.storage.stored_file import StoredFile


def unchecked() -> None:
    """Nobody objects."""


def counting(workshop: Workshop) -> CountingStorage:
    return CountingStorage([str(workshop.path / "storage")])


def weights_size(order: BuildOrder) -> int:
    return sum(layer.size for layer in order.lock.layers)


# --- Bytes that move ----------------------------------------------------------------------------


def test_the_first_build_reads_each_file_once_and_writes_it(workshop: Workshop) -> None:
    order, storage = workshop.order(files=[("/a", b"x", 0o644)]), counting(workshop)

    built = workshop.build(order, storage=storage)

    assert sorted(storage.opened) == sorted(WEIGHTS)
    template = order.template.files_layer
    assert template is not None
    assert built.bytes == BytesMoved(upload=weights_size(order) + template.size, reuse=0)
    assert [(layer.source, layer.uploaded) for layer in built.layers] == [
        ("template", True),
        ("weights", True),
    ]


def test_a_release_with_the_same_weights_reads_and_writes_none(workshop: Workshop) -> None:
    workshop.build(workshop.order("1.0.0", files=[("/a", b"x", 0o644)]))
    order, storage = workshop.order("1.0.1", files=[("/a", b"y", 0o644)]), counting(workshop)

    built = workshop.build(order, storage=storage)

    assert storage.opened == []
    template = order.template.files_layer
    assert template is not None
    assert built.bytes == BytesMoved(upload=template.size, reuse=weights_size(order))
    assert [layer.uploaded for layer in built.layers] == [True, False]
    assert files_of(unpack(workshop.store, "minilm", "1.0.1"))["a"] == b"y"


def test_another_model_takes_the_same_weights_as_links(workshop: Workshop) -> None:
    target = "/models/shared"
    workshop.build(workshop.order(target=target))
    order, storage = workshop.order(target=target, model="twin"), counting(workshop)

    built = workshop.build(order, storage=storage)

    assert storage.opened == []
    assert built.bytes == BytesMoved(upload=0, reuse=weights_size(order))
    digest = order.lock.layers[0].digest
    blobs = [workshop.store.blob_path(model, digest) for model in ("minilm", "twin")]
    assert blobs[0].samefile(blobs[1])


def test_base_layers_are_not_counted_and_not_copied(workshop: Workshop) -> None:
    base = put_base(workshop.store, [{"big": Entry(content=b"0" * 100_000)}])
    order = workshop.order(base=base)

    built = workshop.build(order)

    assert built.bytes == BytesMoved(upload=weights_size(order), reuse=0)
    digest = built.layers[0].digest
    blobs = [workshop.store.blob_path(name, digest) for name in ("minilm", "bases/python")]
    assert blobs[0].samefile(blobs[1])


class Bytes:
    """Adds progress up."""

    def __init__(self) -> None:
        self.totals: dict[str, int | None] = {}
        self.done: dict[str, int] = {}
        self.finished: list[str] = []
        self._lock = threading.Lock()

    def start(self, task: str, description: str, total: int | None = None) -> None:
        self.totals[task] = total

    def advance(self, task: str, count: int) -> None:
        with self._lock:
            self.done[task] = self.done.get(task, 0) + count

    def finish(self, task: str) -> None:
        self.finished.append(task)

    def message(self, text: str) -> None:
        """Not looked at."""


def test_progress_is_told_by_release_and_adds_up(workshop: Workshop) -> None:
    progress = Bytes()

    workshop.build(workshop.order(), progress=progress)

    task, total = "weights of minilm/1.0.0/none", sum(map(len, WEIGHTS.values()))
    assert progress.totals == {task: total}
    assert progress.done == {task: total}
    assert progress.finished == [task]


def test_nothing_to_write_is_no_progress(workshop: Workshop) -> None:
    workshop.build(workshop.order())
    progress = Bytes()

    workshop.build(workshop.order("1.0.1"), progress=progress)

    assert progress.totals == {}


# --- What fails ---------------------------------------------------------------------------------


def test_a_file_that_differs_from_the_lock_is_named_and_nothing_is_tagged(
    workshop: Workshop,
) -> None:
    order = workshop.order()
    changed = workshop.location / "model.safetensors"
    changed.write_bytes(b"W" + changed.read_bytes()[1:])

    with pytest.raises(ContentMismatch, match=r"model\.safetensors"):
        workshop.build(order)

    assert workshop.store.tags("minilm") == {}
    assert [path for path in snapshot(workshop.store) if "/blobs/sha256/" in path] == []
    assert list((workshop.store.root / ".partial").iterdir()) == []


def test_a_failed_build_leaves_the_tags_of_the_one_before(workshop: Workshop) -> None:
    workshop.build(workshop.order())
    before = workshop.store.tags("minilm")
    (workshop.location / "config.json").write_bytes(b"{ }")
    order = workshop.order()
    (workshop.location / "config.json").write_bytes(b"[ ]")

    with pytest.raises(ContentMismatch, match=r"config\.json"):
        workshop.build(order)

    assert workshop.store.tags("minilm") == before


def test_a_file_that_is_gone_is_named(workshop: Workshop) -> None:
    order = workshop.order()
    (workshop.location / "config.json").unlink()

    with pytest.raises(StorageProblem, match=r"config\.json"):
        workshop.build(order)

    assert workshop.store.tags("minilm") == {}


class OneGone(Storage):
    """One file cannot be read; the others take their time from then on."""

    def __init__(self, allowed: list[str]) -> None:
        super().__init__(allowed)
        self.failed = threading.Event()

    def open(
        self, location: str, path: str, offset: int = 0, expected: StoredFile | None = None
    ) -> BinaryIO:
        if path == "b.bin":
            self.failed.set()
            raise StorageProblem("b.bin cannot be read")
        return SlowFile(super().open(location, path, offset, expected), self.failed)


class SlowFile(io.BytesIO):
    def __init__(self, file: BinaryIO, failed: threading.Event) -> None:
        super().__init__()
        self._file = file
        self._failed = failed

    def readinto(self, buffer: Any) -> int:
        self._failed.wait()
        time.sleep(0.01)
        return self._file.readinto(buffer[:100_000])  # type: ignore[attr-defined, no-any-return]

    def close(self) -> None:
        self._file.close()
        super().close()


def test_one_failed_layer_ends_the_others(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path, files={})
    workshop.location.mkdir(parents=True)
    for name in ("a.bin", "b.bin", "c.bin"):
        with (workshop.location / name).open("wb") as file:
            file.truncate(ALONE_SIZE)
    order = workshop.order()
    assert len(order.lock.layers) == 3

    with pytest.raises(StorageProblem, match=r"b\.bin cannot be read"):
        workshop.build(order, storage=OneGone([str(tmp_path / "storage")]))

    store = workshop.store
    assert not any(store.has_blob("minilm", layer.digest) for layer in order.lock.layers)
    assert store.tags("minilm") == {}
    assert list((store.root / ".partial").iterdir()) == []


class GuardedStore(LayoutStore):
    """Insists that the check was called since the last effect of the same thread."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._allowed = threading.local()
        self.effects: list[str] = []

    def check(self) -> None:
        self._allowed.now = True

    def _effect(self, name: str) -> None:
        assert getattr(self._allowed, "now", False), f"{name} without a check before it"
        self._allowed.now = False
        self.effects.append(name)

    def mount_blob(self, repository: str, digest: str, source: str | None = None) -> bool:
        if not self.has_blob(repository, digest) and not getattr(self._allowed, "inside", False):
            self._effect("mount")
        return super().mount_blob(repository, digest, source)

    def write_blob(self, repository: str, digest: str, size: int, chunks: Iterable[Chunk]) -> None:
        if not getattr(self._allowed, "inside", False):
            self._effect("write")
        self._within(lambda: super(GuardedStore, self).write_blob(repository, digest, size, chunks))

    def write_manifest(self, repository: str, descriptor: Descriptor, data: bytes) -> None:
        self._effect("manifest")
        self._within(lambda: super(GuardedStore, self).write_manifest(repository, descriptor, data))

    def put_tags(self, repository: str, tags: Mapping[str, Descriptor]) -> None:
        self._effect("tags")
        super().put_tags(repository, tags)

    def _within(self, effect: Callable[[], None]) -> None:
        self._allowed.inside = True
        try:
            effect()
        finally:
            self._allowed.inside = False


def test_the_check_comes_before_every_effect(workshop: Workshop) -> None:
    store = GuardedStore(workshop.store.root)
    base = put_base(workshop.store, [{}])

    workshop.build(
        workshop.order(base=base, files=[("/a", b"x", 0o644)], platforms=("linux/amd64",)),
        store.check,
        store=store,
    )

    assert {"mount", "write", "manifest", "tags"} == set(store.effects)
    assert store.effects.count("tags") == 1
    assert store.effects[-1] == "tags"


def test_losing_the_lease_at_any_check_leaves_no_tag(workshop: Workshop) -> None:
    order = workshop.order(files=[("/a", b"x", 0o644)])
    for allowed in range(1000):
        left = iter(range(allowed))

        def check(left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise LeaseLost("somebody else has it")

        try:
            workshop.build(order, check)
        except LeaseLost:
            assert workshop.store.tags("minilm") == {}
        else:
            break
    assert allowed > 4
    assert set(workshop.store.tags("minilm")) == {
        "1.0.0",
        "runtime-1.0.0",
        "weights-1.0.0",
        f"build-{order.key[:12]}",
    }


# --- Adoption -----------------------------------------------------------------------------------


def test_a_finished_build_is_adopted(workshop: Workshop) -> None:
    order, storage = workshop.order(files=[("/a", b"x", 0o644)]), counting(workshop)
    first = workshop.build(order)
    before = snapshot(workshop.store)

    second = workshop.build(order, storage=storage)

    assert second.adopted
    assert not first.adopted
    assert storage.opened == []
    assert second.images == first.images
    assert [replace_uploaded(layer) for layer in first.layers] == list(second.layers)
    assert second.bytes == BytesMoved(upload=0, reuse=first.bytes.upload)
    assert snapshot(workshop.store) == before
    assert "found finished" in second.log


def replace_uploaded(layer: Any) -> Any:
    return layer.model_copy(update={"uploaded": False})


def test_going_back_to_an_earlier_build_moves_all_three_tags(workshop: Workshop) -> None:
    old = workshop.order(files=[("/a", b"old", 0o644)])
    new = workshop.order(files=[("/a", b"new", 0o644)])
    first = workshop.build(old)
    workshop.build(new)

    back = workshop.build(old)

    assert back.adopted
    assert back.images == first.images
    for tag in ("1.0.0", "runtime-1.0.0"):
        assert files_of(unpack(workshop.store, "minilm", tag))["a"] == b"old"


def test_a_runtime_image_that_is_gone_is_cut_again(workshop: Workshop) -> None:
    order = workshop.order(files=[("/a", b"x", 0o644)])
    first = workshop.build(order)
    for image in first.images[1:]:
        store = workshop.store
        blob = store.blob_path("minilm", image.digest)
        blob.unlink()
        (store.root / ".blobs" / blob.name).unlink()

    assert workshop.build(order).images == first.images
    assert set(files_of(unpack(workshop.store, "minilm", "runtime-1.0.0"))) == {"a"}


def test_an_image_of_several_platforms_is_adopted_as_a_whole(workshop: Workshop) -> None:
    order = workshop.order(platforms=("linux/amd64", "linux/arm64"))
    first = workshop.build(order)

    assert workshop.build(order).images == first.images
    fewer = replace(order, platforms=("linux/amd64",))
    assert adopt(workshop.store, fewer, unchecked) is None
    more = replace(order, platforms=("linux/amd64", "linux/s390x"))
    assert adopt(workshop.store, more, unchecked) is None


def test_without_a_build_there_is_nothing_to_adopt(workshop: Workshop) -> None:
    assert adopt(workshop.store, workshop.order(), unchecked) is None
    workshop.build(workshop.order())
    assert adopt(workshop.store, other_key(workshop.order()), unchecked) is None


def test_a_key_that_only_begins_alike_is_not_adopted(workshop: Workshop) -> None:
    order = workshop.order()
    workshop.build(order)
    alike = replace(order, key=order.key[:12] + "0" * 52)

    assert adopt(workshop.store, alike, unchecked) is None
    assert not workshop.build(alike).adopted


def test_an_image_with_other_weights_is_not_adopted(workshop: Workshop) -> None:
    order = workshop.order()
    workshop.build(order)
    (workshop.location / "config.json").write_bytes(b"other")
    other = replace(workshop.order(), key=order.key)

    assert adopt(workshop.store, other, unchecked) is None
    assert not workshop.build(other).adopted
    tree = unpack(workshop.store, "minilm", "1.0.0")
    assert tree["models/minilm/config.json"].content == b"other"


@pytest.mark.parametrize("missing", ["weights", "template", "config", "manifest"])
def test_an_image_with_a_missing_blob_is_built_again(workshop: Workshop, missing: str) -> None:
    order = workshop.order(files=[("/a", b"x", 0o644)])
    first = workshop.build(order)
    store = workshop.store
    before = snapshot(store)
    manifest = json.loads(store.read_manifest("minilm", first.images[0].digest))
    digest = {
        "weights": order.lock.layers[0].digest,
        "template": first.layers[0].digest,
        "config": manifest["config"]["digest"],
        "manifest": first.images[0].digest,
    }[missing]
    blob = store.blob_path("minilm", digest)
    blob.unlink()
    (store.root / ".blobs" / blob.name).unlink()

    assert adopt(store, order, unchecked) is None
    again = workshop.build(order)

    assert not again.adopted
    assert again.images == first.images
    assert snapshot(store) == before


def test_an_artifact_under_the_tag_is_not_adopted(workshop: Workshop) -> None:
    order, store = workshop.order(), workshop.store
    publish_log(store, "minilm", order.key, 1, "no image")
    store.put_tags("minilm", {f"build-{order.key[:12]}": next(iter(store.tags("minilm").values()))})

    assert adopt(store, order, unchecked) is None
    assert not workshop.build(order).adopted


# --- Logs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["step 1\nstep 2 ✓\n", ""])
def test_a_log_is_kept_beside_the_images(workshop: Workshop, text: str) -> None:
    store, key = workshop.store, "ab" * 32

    reference = publish_log(store, "minilm", key, 7, text)

    assert reference == "minilm:log-abababababab-000007"
    digest = store.tags("minilm")["log-abababababab-000007"].digest
    for name in (reference, "log-abababababab-000007", digest, f"minilm@{digest}"):
        assert read_log(store, "minilm", name) == text
    manifest = json.loads(store.read_manifest("minilm", digest))
    assert manifest["artifactType"] == "application/vnd.registry-tool.log.v1"
    assert manifest["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
    assert [layer["mediaType"] for layer in manifest["layers"]] == ["text/plain; charset=utf-8"]


def test_a_log_that_is_not_there_is_a_problem(workshop: Workshop) -> None:
    with pytest.raises(StoreProblem, match="there is no log log-000000000000-000001"):
        read_log(workshop.store, "minilm", "log-000000000000-000001")


def test_a_name_that_cannot_be_a_reference_is_a_problem(workshop: Workshop) -> None:
    with pytest.raises(StoreProblem, match="Not:A:Name does not name a log"):
        read_log(workshop.store, "minilm", "Not:A:Name")


class NamedStore(LayoutStore):
    name = "registry.example:5000/models"


def test_references_begin_with_the_name_of_a_registry(workshop: Workshop) -> None:
    store = NamedStore(workshop.store.root)
    order = workshop.order()

    built = workshop.build(order, store=store)
    log = publish_log(store, "minilm", order.key, 1, built.log)

    assert [image.reference for image in built.images] == [
        f"registry.example:5000/models/minilm:{prefix}1.0.0"
        for prefix in ("", "runtime-", "weights-")
    ]
    assert log == f"registry.example:5000/models/minilm:log-{order.key[:12]}-000001"
    assert read_log(store, "minilm", log) == built.log


def test_an_image_is_not_a_log(workshop: Workshop) -> None:
    workshop.build(workshop.order())

    with pytest.raises(StoreProblem, match=r"minilm:1\.0\.0 is not a build log"):
        read_log(workshop.store, "minilm", "minilm:1.0.0")


# --- Other programs -----------------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")
def test_skopeo_reads_and_copies_the_images(workshop: Workshop, tmp_path: Path) -> None:
    base = put_base(workshop.store, [{"etc/os": Entry(content=b"base")}])
    order = workshop.order(base=base, files=[("/a", b"x", 0o644)], env={"A": "1"})
    built = workshop.build(order)
    layout = workshop.store.root / "minilm"

    for image in built.images:
        source = f"oci:{layout}:{image.reference.partition(':')[2]}"
        seen = json.loads(skopeo("inspect", source))
        assert seen["Digest"] == image.digest
        assert seen["Labels"]["io.registry-tool.build-key"] == order.key
        copied = tmp_path / f"copy-{image.role}"
        skopeo("copy", "--preserve-digests", source, f"oci:{copied}:latest")
        assert LayoutStore(tmp_path).tags(copied.name)["latest"].digest == image.digest
    assert image_config(workshop.store, "minilm", "1.0.0")["os"] == "linux"


@pytest.mark.skipif(not shutil.which("skopeo"), reason="skopeo is not installed")
def test_a_base_that_skopeo_copied_into_the_store_can_be_built_on(
    workshop: Workshop, tmp_path: Path
) -> None:
    elsewhere = LayoutStore(tmp_path / "elsewhere")
    base = put_base(elsewhere, [{"etc/os": Entry(content=b"base")}], repository="python")
    source = f"oci:{elsewhere.root}/python:1.0"
    (workshop.store.root / "bases").mkdir(parents=True)
    skopeo("copy", "--preserve-digests", source, f"oci:{workshop.store.root}/bases/python:3.12")
    digest = base.partition("@")[2]

    workshop.build(workshop.order(base=f"bases/python:3.12@{digest}"))

    assert "etc/os" in unpack(workshop.store, "minilm", "1.0.0")


def skopeo(*arguments: str) -> str:
    command = ["skopeo", "--insecure-policy", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
