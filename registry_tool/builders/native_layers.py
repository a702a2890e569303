"""The layers that are assembled here: a template's files, and what the base's directories were.

Pure: digests and sizes follow from names and bytes, so that a plan knows them before anything is built. With the file
tree of a base, files go where its symbolic links lead, and nothing of one kind takes the place of another.
"""

from __future__ import annotations

import hashlib
import io
import posixpath
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from registry_tool.builders.template_files import RenderedFile
from registry_tool.domain.release import LockedLayer
from registry_tool.errors import BuildFailed, StoreProblem
from registry_tool.oci.file_tree import FileTree, Kind, Node
from registry_tool.oci.tar import BUFFER_SIZE, Chunk, Member, layer_chunks, layer_size, member_path

_PLAIN = Node(Kind.DIRECTORY)


@dataclass(frozen=True, slots=True)
class NativeLayer:
    """A small layer. Its bytes are made when they are asked for: a plan knows thousands of layers at once."""

    digest: str
    """Of the blob, which is also the diff id: it is not compressed."""
    size: int
    what: str
    """For people: what is in it."""
    chunks: Callable[[], Iterator[Chunk]]

    @classmethod
    def of(cls, what: str, chunks: Callable[[], Iterator[Chunk]]) -> NativeLayer:
        """The layer of these bytes; `chunks` gives the same each time."""
        digest = hashlib.sha256()
        size = 0
        for chunk in chunks():
            digest.update(chunk)
            size += len(chunk)
        return cls(f"sha256:{digest.hexdigest()}", size, what, chunks)


def files_layer(files: Sequence[RenderedFile]) -> NativeLayer | None:
    """The layer of a template's files, in path order; None when there are none."""
    if not files:
        return None
    by_path = {file.path.lstrip("/"): file for file in files}
    members = [Member(path, len(file.content), file.mode) for path, file in sorted(by_path.items())]
    buffer_size = min(BUFFER_SIZE, layer_size(members))

    def chunks() -> Iterator[Chunk]:
        return layer_chunks(
            members,
            lambda member: io.BytesIO(by_path[member.path].content),
            buffer_size=buffer_size,
        )

    return NativeLayer.of("files of the template", chunks)


def placed_files(files: Sequence[RenderedFile], base: FileTree | None) -> tuple[RenderedFile, ...]:
    """The files at the paths where the base's links lead; raises BuildFailed for one that does not fit there."""
    if base is None:
        return tuple(files)
    return tuple(replace(file, path=_placed(file.path, base)) for file in files)


def weights_paths(
    target: str, layers: Sequence[LockedLayer], base: FileTree | None
) -> tuple[str, ...]:
    """Absolute paths of the files in locked layers; raises BuildFailed where they do not fit on the base.

    Locked layers have their digests and cannot be moved, so no link may be on their way.
    """
    paths = tuple("/" + member_path(target, path) for layer in layers for path in layer.files)
    if base is None:
        return paths
    for path in paths:
        placed = _placed(path, base)
        if placed != path:
            raise _behind_link(target, path, placed, base)
    return paths


def check_together(paths: Iterable[str]) -> None:
    """Refuse files that stand in each other's way; raises BuildFailed naming both."""
    seen: set[str] = set()
    for path in sorted(paths):
        for other in (path, *_parents(path)):
            if other in seen:
                where = "twice" if other == path else f"below {other}, which is a file"
                raise BuildFailed(
                    f"the image would have {path} {where}",
                    help="change spec.image.copy or spec.target of the template",
                )
        seen.add(path)


def directories_layer(paths: Iterable[str], base: FileTree | None) -> NativeLayer | None:
    """Directories above the files as they are to be, where an engine may make others; None when all are root's, 0755.

    Locked layers have no directories. An engine that unpacks a layer without those below makes them anew, as root's,
    and the last layer wins: this one puts back what the base said. An engine that unpacks it over those below makes
    new directories that get the group of a set-group-ID one above them: they are root's again.
    """
    if base is None:
        return None
    odd: list[tuple[str, Node]] = []
    inheriting: set[str] = set()
    for path in sorted({parent for file in paths for parent in _parents(file)}):
        node = base.lookup(path)
        if node is None:
            if posixpath.dirname(path) in inheriting:
                inheriting.add(path)
                odd.append((path, _PLAIN))
        elif node.kind is Kind.DIRECTORY and node != _PLAIN:
            odd.append((path, node))
            if node.mode & stat.S_ISGID:
                inheriting.add(path)
    if not odd:
        return None
    content = b"".join(_directory(path, node) for path, node in odd) + bytes(2 * tarfile.BLOCKSIZE)
    return NativeLayer.of("directories as in the base image", lambda: iter([content]))


def empty_layer() -> NativeLayer:
    """A layer without files, for images that would have no layer at all: not every engine takes those."""
    return NativeLayer.of("nothing", lambda: iter([bytes(2 * tarfile.BLOCKSIZE)]))


def _placed(path: str, base: FileTree) -> str:
    try:
        placed = base.resolve_parents(path)
    except StoreProblem as problem:
        raise BuildFailed(
            f"{path} cannot be added to the base image: {problem.message}", help=problem.help
        ) from problem
    for parent in _parents(placed):
        node = base.lookup(parent)
        if node and node.kind is not Kind.DIRECTORY:
            raise _in_the_way(path, f"{parent}, which is a {node.kind} of the base image")
    found = _final(placed, base)
    if found is Kind.DIRECTORY:
        raise _in_the_way(path, f"{placed}, which is a directory of the base image")
    return placed


def _final(path: str, base: FileTree) -> Kind | None:
    """What is at a path when links are followed: a link to a directory is as good as one."""
    node = base.lookup(path)
    if node is None or node.kind is not Kind.SYMLINK:
        return node.kind if node else None
    try:
        end = posixpath.dirname(base.resolve_parents(f"{path}/file"))
    except StoreProblem:
        # It leads to a file, or in a circle; a file may take its place.
        return Kind.FILE
    found = base.lookup(end)
    return found.kind if found else None


def _behind_link(target: str, path: str, placed: str, base: FileTree) -> BuildFailed:
    resolved = posixpath.dirname(base.resolve_parents(f"{target}/file"))
    if resolved == target:
        return BuildFailed(
            f"the locked file {path} would end up at {placed}, through a link of the base image",
            help="choose a base image without that link, or lock into another directory with"
            " spec.target of the template and registry-tool lock",
        )
    return BuildFailed(
        f"the base image has a link on the way to {target}, which leads to {resolved}: the layers of"
        " locked files have fixed paths",
        help=f"set `target: {resolved}` in the template, then run `registry-tool lock`",
    )


def _in_the_way(path: str, what: str) -> BuildFailed:
    return BuildFailed(
        f"{path} cannot be added: it would replace {what}",
        help="change spec.image.copy or spec.target of the template, or choose another base image",
    )


def _parents(path: str) -> list[str]:
    return [path[:at] for at, character in enumerate(path) if character == "/" and at]


def _directory(path: str, node: Node) -> bytes:
    header = tarfile.TarInfo(path.strip("/"))
    header.type = tarfile.DIRTYPE
    header.mode, header.uid, header.gid = node.mode, node.uid, node.gid
    return header.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
