"""The file tree of an image: what its layers add up to, as an engine would unpack them.

Only names, kinds, modes, owners and link targets are kept. Whiteouts delete what lies below.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import stat
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, BinaryIO, cast

from registry_tool.errors import StoreProblem
from registry_tool.oci.descriptors import LAYER, Descriptor, malformed
from registry_tool.oci.store import ImageStore

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_MAX_LINKS = 40
_READABLE = {LAYER, LAYER + "+gzip"}
_BUFFER = 1 << 20


class Kind(StrEnum):
    """What is at a path."""

    DIRECTORY = "directory"
    FILE = "file"
    SYMLINK = "symlink"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Node:
    """Something at a path; `target` is where a symbolic link points."""

    kind: Kind
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    target: str = ""


LayerEntries = tuple[tuple[tuple[str, ...], Node], ...]
"""What one layer says, in its order: path components and node."""

_IMPLIED = Node(Kind.DIRECTORY)


@dataclass(slots=True)
class _Branch:
    node: Node
    children: dict[str, _Branch] = field(default_factory=dict)


class FileTree:
    """Nodes by absolute path: what layers, from the bottom up, add up to."""

    def __init__(self, layers: Iterable[LayerEntries] = ()) -> None:
        self._root = _Branch(_IMPLIED)
        for layer in layers:
            self._apply(layer)

    @classmethod
    def read(
        cls,
        store: ImageStore,
        repository: str,
        layers: Sequence[Descriptor],
        cache: dict[str, LayerEntries] | None = None,
    ) -> FileTree:
        """From layers in a store, each read once; raises StoreProblem where one cannot be read."""
        known = {} if cache is None else cache
        for layer in layers:
            if layer.digest not in known:
                known[layer.digest] = _read_layer(store, repository, layer)
        return cls(known[layer.digest] for layer in layers)

    def lookup(self, path: str) -> Node | None:
        """What is at a path, without following any link; None when nothing is."""
        branch: _Branch | None = self._root
        for part in _parts(path):
            branch = branch.children.get(part) if branch else None
        return branch.node if branch else None

    def resolve_parents(self, path: str) -> str:
        """The path with all symbolic links above its last component followed inside the image.

        What does not exist stays as it is. Raises StoreProblem when links go in circles, or when
        something above the last component is no directory.
        """
        parts = _parts(path)
        return "/" + "/".join((*self._resolved(parts[:-1], path), *parts[-1:]))

    def _resolved(self, parts: tuple[str, ...], subject: str) -> tuple[str, ...]:
        waiting = list(reversed(parts))
        done: tuple[str, ...] = ()
        links = 0
        while waiting:
            part = waiting.pop()
            if part == "..":
                done = done[:-1]
                continue
            here = (*done, part)
            node = self.lookup("/".join(here))
            if node is None or node.kind is Kind.DIRECTORY:
                done = here
            elif node.kind is Kind.SYMLINK:
                links += 1
                if links > _MAX_LINKS:
                    raise _unusable(subject, f"the link /{'/'.join(here)} leads in a circle")
                done = () if node.target.startswith("/") else done
                waiting += reversed(_parts(node.target))
            else:
                raise _unusable(subject, f"/{'/'.join(here)} is a {node.kind} in the base image")
        return done

    def _apply(self, layer: LayerEntries) -> None:
        # A whiteout speaks of the layers below, wherever it stands in its own.
        for parts, _ in layer:
            if parts and parts[-1].startswith(_WHITEOUT):
                self._delete(parts)
        for parts, node in layer:
            if not parts:
                self._root.node = node
            elif not parts[-1].startswith(_WHITEOUT):
                self._add(parts, node)

    def _delete(self, parts: tuple[str, ...]) -> None:
        parent = self._parent(parts, create=False)
        if parent is None:
            return
        if parts[-1] == _OPAQUE:
            parent.children.clear()
        else:
            parent.children.pop(parts[-1].removeprefix(_WHITEOUT), None)

    def _add(self, parts: tuple[str, ...], node: Node) -> None:
        parent = self._parent(parts, create=True)
        if parent is None:
            return
        old = parent.children.get(parts[-1])
        keep = old and old.node.kind is Kind.DIRECTORY and node.kind is Kind.DIRECTORY
        parent.children[parts[-1]] = _Branch(node, old.children if old and keep else {})

    def _parent(self, parts: tuple[str, ...], *, create: bool) -> _Branch | None:
        branch = self._root
        for part in self._resolved(parts[:-1], "/" + "/".join(parts)):
            if part not in branch.children:
                if not create:
                    return None
                branch.children[part] = _Branch(_IMPLIED)
            branch = branch.children[part]
        return branch


def _read_layer(store: ImageStore, repository: str, layer: Descriptor) -> LayerEntries:
    place = f"layer {layer.digest} of {repository}"
    if layer.media_type not in _READABLE:
        raise StoreProblem(
            f"{place} has the media type {layer.media_type}, which cannot be read",
            code="RT608",
            help="copy the image with gzip layers: skopeo copy --dest-compress-format gzip …",
        )
    try:
        with store.open_blob(repository, layer.digest) as blob:
            hashing = _HashingReader(blob)
            file: BinaryIO = io.BufferedReader(hashing, _BUFFER)
            if layer.media_type != LAYER:
                file = cast("BinaryIO", gzip.GzipFile(fileobj=file, mode="rb"))
            entries = tuple(_entries(file, place))
            # An archive may end early, and be shorter than what was promised.
            while file.read(_BUFFER):
                pass
    except (tarfile.TarError, EOFError, zlib.error, OSError) as problem:
        raise malformed(place, f"it is not a layer ({problem})") from problem
    if hashing.digest != layer.digest:
        raise malformed(place, f"its content has the digest {hashing.digest}")
    return entries


class _HashingReader(io.RawIOBase):
    def __init__(self, blob: BinaryIO) -> None:
        self._blob = blob
        self._sha256 = hashlib.sha256()

    @property
    def digest(self) -> str:
        return f"sha256:{self._sha256.hexdigest()}"

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        count: int = self._blob.readinto(buffer)  # type: ignore[attr-defined]
        self._sha256.update(memoryview(buffer)[:count])
        return count


def _entries(file: BinaryIO, place: str) -> Iterator[tuple[tuple[str, ...], Node]]:
    with tarfile.open(fileobj=file, mode="r|") as archive:
        while (member := archive.next()) is not None:
            parts = _parts(member.name)
            if ".." in parts:
                raise malformed(place, f'the path {member.name!r} has a ".." component')
            yield parts, node_of(member)
            # It would keep all of them in memory.
            archive.members = []  # type: ignore[attr-defined]


def node_of(member: tarfile.TarInfo) -> Node:
    """What a member of a layer, or of another archive, puts at its path."""
    kind = Kind.OTHER
    if member.isdir():
        kind = Kind.DIRECTORY
    elif member.issym():
        kind = Kind.SYMLINK
    elif member.isreg() or member.islnk():
        kind = Kind.FILE
    target = member.linkname if kind is Kind.SYMLINK else ""
    return Node(kind, stat.S_IMODE(member.mode), member.uid, member.gid, target)


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part not in {"", "."})


def _unusable(path: str, why: str) -> StoreProblem:
    return StoreProblem(
        f"{path} cannot be placed in the image: {why}",
        code="RT608",
        help="choose another path in the template, or another base image",
    )
