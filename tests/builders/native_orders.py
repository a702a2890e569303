"""Orders, base images and unpacked images for the tests of builders, all of real files."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import stat
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO

from registry_tool.builders.interface import BuildOrder, BuiltRelease
from registry_tool.builders.locking import compute_lock
from registry_tool.builders.native import NativeBuilder
from registry_tool.builders.templates import RenderedFile, RenderedTemplate
from registry_tool.domain.build_template import ImageRecipe
from registry_tool.domain.digests import canonical_sha256, digest_of
from registry_tool.domain.progress import Silent
from registry_tool.domain.release import ArtifactLockSpec, Release
from registry_tool.domain.subjects import ReleaseId
from registry_tool.oci.descriptors import IMAGE_CONFIG, IMAGE_MANIFEST, Descriptor
from registry_tool.oci.layout import LayoutStore
from registry_tool.storage.storage import Storage
from registry_tool.storage.stored_file import StoredFile

WEIGHTS = {"model.safetensors": b"weights" * 1000, "config.json": b"{}", "nested/a.txt": b"a"}


@dataclass(frozen=True)
class Workshop:
    """A storage with files, an embedded store, and orders to build."""

    path: Path
    files: Mapping[str, bytes] = field(default_factory=lambda: dict(WEIGHTS))

    @property
    def location(self) -> Path:
        return self.path / "storage" / "minilm"

    @property
    def storage(self) -> Storage:
        return Storage([str(self.path / "storage")])

    @property
    def store(self) -> LayoutStore:
        return LayoutStore(self.path / "store")

    def fill(self) -> None:
        for path, content in self.files.items():
            place = self.location / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)

    def lock(
        self, version: str = "1.0.0", model: str = "minilm", target: str = "/models/minilm"
    ) -> ArtifactLockSpec:
        release = Release.model_validate_json(
            json.dumps(
                {
                    "apiVersion": "registry-tool/v1",
                    "kind": "Release",
                    "spec": {"model": model, "version": version, "template": {"name": "test"}},
                }
            )
        )
        storage, location = self.storage, str(self.location)
        return compute_lock(release, target, storage, location, Silent(), jobs=2).spec

    def order(
        self,
        version: str = "1.0.0",
        *,
        model: str = "minilm",
        target: str = "/models/minilm",
        files: Sequence[tuple[str, bytes, int]] = (),
        platforms: tuple[str, ...] = ("linux/amd64",),
        salt: str = "",
        **recipe: Any,
    ) -> BuildOrder:
        """An order whose key depends on all that is given here."""
        lock = self.lock(version, model, target)
        parts = {
            "all": canonical_sha256(
                [
                    lock.model_dump(mode="json"),
                    [[path, content.hex(), mode] for path, content, mode in files],
                    sorted(platforms),
                    salt,
                    recipe,
                ]
            )
        }
        template = RenderedTemplate(
            name="test",
            target=target,
            params={},
            given={},
            image=ImageRecipe.model_validate_json(json.dumps(recipe)),
            dockerfile=None,
            files=tuple(RenderedFile(*file) for file in files),
            bases=(),
        )
        return BuildOrder(
            release=ReleaseId(model, version),
            lock=lock,
            template=template,
            key=canonical_sha256(parts),
            key_parts=parts,
            labels={"io.registry-tool.model": model, "io.registry-tool.version": version},
            platforms=platforms,
            location=str(self.location),
            timeout=timedelta(hours=1),
        )

    def build(
        self, order: BuildOrder, check: Callable[[], None] = lambda: None, **parts: Any
    ) -> BuiltRelease:
        store, storage = parts.get("store", self.store), parts.get("storage", self.storage)
        progress = parts.get("progress", Silent())
        return NativeBuilder().build(order, store, storage, progress, check)


class CountingStorage(Storage):
    """Counts the files that are opened."""

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__(allowed)
        self.opened: list[str] = []

    def open(
        self, location: str, path: str, offset: int = 0, expected: StoredFile | None = None
    ) -> BinaryIO:
        self.opened.append(path)
        return super().open(location, path, offset, expected)


# --- Base images --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """Something in a layer or an unpacked image."""

    kind: str = "file"
    content: bytes = b""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    target: str = ""


def directory(mode: int = 0o755, uid: int = 0, gid: int = 0) -> Entry:
    return Entry("directory", mode=mode, uid=uid, gid=gid)


def link(target: str) -> Entry:
    return Entry("link", mode=0o777, target=target)


_TYPES = {"file": tarfile.REGTYPE, "directory": tarfile.DIRTYPE, "link": tarfile.SYMTYPE}


def layer(entries: Mapping[str, Entry]) -> bytes:
    """A layer as other tools write it: with directories."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, entry in entries.items():
            member = tarfile.TarInfo(path)
            member.type = _TYPES[entry.kind]
            member.mode, member.uid, member.gid = entry.mode, entry.uid, entry.gid
            member.linkname, member.size = entry.target, len(entry.content)
            archive.addfile(member, io.BytesIO(entry.content))
    return buffer.getvalue()


def put_base(
    store: LayoutStore,
    layers: Sequence[Mapping[str, Entry]],
    *,
    repository: str = "bases/python",
    platform: str = "linux/amd64",
    history: bool = True,
    **settings: Any,
) -> str:
    """A base image with gzip layers, as a registry has it; returns its pinned reference."""
    archives = [layer(entries) for entries in layers]
    blobs = [gzip.compress(archive, mtime=0) for archive in archives]
    system, architecture = platform.split("/")
    config = json.dumps(
        {
            "os": system,
            "architecture": architecture,
            "created": "2024-01-01T00:00:00Z",
            "config": settings,
            "rootfs": {"type": "layers", "diff_ids": [digest_of(data) for data in archives]},
            "history": [{"created_by": "base"} for _ in archives] if history else [],
        }
    ).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": IMAGE_MANIFEST,
            "config": {
                "mediaType": IMAGE_CONFIG,
                "digest": digest_of(config),
                "size": len(config),
            },
            "layers": [
                {
                    "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                    "digest": digest_of(blob),
                    "size": len(blob),
                }
                for blob in blobs
            ],
        }
    ).encode()
    for blob in (config, *blobs):
        store.write_blob(repository, digest_of(blob), len(blob), [blob])
    descriptor = Descriptor(IMAGE_MANIFEST, digest_of(manifest), len(manifest))
    store.write_manifest(repository, descriptor, manifest)
    store.put_tags(repository, {"1.0": descriptor})
    return f"{repository}:1.0@{descriptor.digest}"


# --- Unpacking ----------------------------------------------------------------------------------


def read_document(store: LayoutStore, repository: str, digest: str) -> Any:
    data = store.blob_path(repository, digest).read_bytes()
    assert digest_of(data) == digest
    return json.loads(data)


def image_manifest(store: LayoutStore, repository: str, tag: str) -> Any:
    return read_document(store, repository, store.tags(repository)[tag].digest)


def image_config(store: LayoutStore, repository: str, tag: str) -> Any:
    manifest = image_manifest(store, repository, tag)
    return read_document(store, repository, manifest["config"]["digest"])


def unpack(
    store: LayoutStore, repository: str, tag: str, *, isolated: bool = False, skip: int = 0
) -> dict[str, Entry]:
    """The file tree of an image, layers applied in order; the first ones can be left out.

    An `isolated` engine unpacks each layer where those below cannot be seen: directories that the layer does not name
    become root's, and hide what is below them (links too).
    """
    manifest = image_manifest(store, repository, tag)
    config = read_document(store, repository, manifest["config"]["digest"])
    tree: dict[str, Entry] = {}
    diff_ids = config["rootfs"]["diff_ids"]
    for descriptor, diff_id in list(zip(manifest["layers"], diff_ids, strict=True))[skip:]:
        data = store.blob_path(repository, descriptor["digest"]).read_bytes()
        assert digest_of(data) == descriptor["digest"]
        assert len(data) == descriptor["size"]
        if descriptor["mediaType"].endswith("+gzip"):
            data = gzip.decompress(data)
        assert digest_of(data) == diff_id
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            _apply(tree, _members(archive), isolated)
    return tree


def _members(archive: tarfile.TarFile) -> list[tuple[str, Entry]]:
    found = []
    for member in archive:
        kind = {tarfile.DIRTYPE: "directory", tarfile.SYMTYPE: "link"}.get(member.type, "file")
        file = archive.extractfile(member) if kind == "file" else None
        content = file.read() if file else b""
        mode = stat.S_IMODE(member.mode)
        entry = Entry(kind, content, mode, member.uid, member.gid, member.linkname)
        found.append((member.name.strip("/"), entry))
    return found


def _apply(tree: dict[str, Entry], members: Sequence[tuple[str, Entry]], isolated: bool) -> None:
    named = {path for path, _ in members}
    for path, entry in members:
        folder, _, name = path.rpartition("/")
        if name == ".wh..wh..opq":
            _remove(tree, [other for other in tree if other.startswith(folder + "/")])
            continue
        if name.startswith(".wh."):
            gone = f"{folder}/{name[4:]}".strip("/")
            _remove(tree, [o for o in tree if o == gone or o.startswith(gone + "/")])
            continue
        place = path if isolated else _followed(tree, path)
        for parent in parents(place):
            if isolated and parent not in named:
                tree[parent] = directory()
            else:
                tree.setdefault(parent, directory())
        if entry.kind != "directory":
            _remove(tree, [other for other in tree if other.startswith(place + "/")])
        tree[place] = entry


def _followed(tree: Mapping[str, Entry], path: str) -> str:
    done: list[str] = []
    *waiting, name = path.split("/")
    while waiting:
        here = tree.get("/".join([*done, waiting[0]]))
        part = waiting.pop(0)
        if here and here.kind == "link":
            if here.target.startswith("/"):
                done = []
            waiting = [step for step in here.target.split("/") if step] + waiting
        elif part == "..":
            done = done[:-1]
        else:
            done.append(part)
    return "/".join([*done, name])


def _remove(tree: dict[str, Entry], paths: Iterable[str]) -> None:
    for path in paths:
        del tree[path]


def parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def files_of(tree: Mapping[str, Entry]) -> dict[str, bytes]:
    return {path: entry.content for path, entry in tree.items() if entry.kind == "file"}


def snapshot(store: LayoutStore) -> dict[str, str]:
    """SHA-256 of every document and blob by path: what two equal stores share."""
    return {
        path.relative_to(store.root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(store.root.rglob("*"))
        if path.is_file() and path.name != ".lock" and ".partial" not in path.parts
    }


def other_key(order: BuildOrder) -> BuildOrder:
    return replace(order, key=canonical_sha256(order.key))
