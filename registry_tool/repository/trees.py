"""Git trees.

Listing them, and deriving a new one from changed paths without a work tree or an index.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from registry_tool.errors import RepositoryProblem
from registry_tool.repository.command import GitCommand, decode, encode
from registry_tool.repository.objects import ObjectReader

TREE_MODE = "040000"
FILE_MODE = "100644"
_PACK_TYPES = {"commit": 1, "tree": 2, "blob": 3}
_PACK_FROM = 100
"""Git, too, keeps packs that it receives from this number of objects on."""
_FORBIDDEN_PART = re.compile(r"\.{0,2}|\.git", re.IGNORECASE)


class TreeEntry(NamedTuple):
    """A file of a tree: its path from the root, its mode such as ``100644``, and its blob's oid.

    Symlinks have mode 120000 and submodules 160000. Bytes of a path that are not UTF-8 are
    surrogate escapes.
    """

    path: str
    mode: str
    oid: str


def list_tree(command: GitCommand, oid: str, prefixes: Sequence[str] = ()) -> list[TreeEntry]:
    """All files of a commit or tree below the prefixes (none: everywhere), sorted by path."""
    output = command.run("ls-tree", "-r", "-z", "--full-tree", oid, "--", *prefixes).stdout
    return sorted(parse_listing(output))


def parse_listing(output: bytes) -> Iterator[TreeEntry]:
    """Entries of ``ls-tree -z``: mode, type, oid, tab, path."""
    for row in decode(output).split("\0"):
        head, _, path = row.partition("\t")
        if path:
            mode, _, rest = head.partition(" ")
            yield TreeEntry(path, mode, rest.rpartition(" ")[2])


def object_id(kind: str, data: bytes, object_format: str) -> str:
    """The oid that Git gives to an object."""
    digest = hashlib.new(object_format, usedforsecurity=False)
    digest.update(f"{kind} {len(data)}\0".encode())
    digest.update(data)
    return digest.hexdigest()


class TreeNode(NamedTuple):
    """A direct entry of a tree."""

    mode: str
    oid: str


class ObjectBatch:
    """New blobs and trees that are written together, by one process."""

    def __init__(self, object_format: str) -> None:
        self.object_format = object_format
        self._objects: dict[str, tuple[str, bytes]] = {}
        self.parsed: dict[str, dict[str, TreeNode]] = {}

    def add(self, kind: str, data: bytes) -> str:
        """Keep an object for writing; its oid is known at once."""
        oid = object_id(kind, data, self.object_format)
        self._objects[oid] = (kind, data)
        return oid

    def get(self, oid: str) -> bytes | None:
        """The content of an object of this batch."""
        found = self._objects.get(oid)
        return found[1] if found else None

    def write(self, command: GitCommand) -> None:
        """Write all objects as one pack; Git unpacks it unless it is large."""
        if not self._objects:
            return
        pack = bytearray(b"PACK" + (2).to_bytes(4, "big") + len(self._objects).to_bytes(4, "big"))
        for kind, data in self._objects.values():
            pack += _pack_header(kind, len(data)) + zlib.compress(data, 1)
        pack += hashlib.new(self.object_format, pack, usedforsecurity=False).digest()
        if len(self._objects) < _PACK_FROM:
            command.run("unpack-objects", "-q", stdin=bytes(pack))
        else:
            command.run("index-pack", "--stdin", stdin=bytes(pack))
        self._objects.clear()


def _pack_header(kind: str, size: int) -> bytes:
    """Type and size of a pack entry: four bits of the size first, then seven at a time."""
    byte, size = _PACK_TYPES[kind] << 4 | size & 15, size >> 4
    header = bytearray()
    while size:
        header.append(byte | 0x80)
        byte, size = size & 0x7F, size >> 7
    header.append(byte)
    return bytes(header)


def read_tree(reader: ObjectReader, batch: ObjectBatch, oid: str | None) -> Mapping[str, TreeNode]:
    """The direct entries of one tree, by name; each tree is parsed once for a batch."""
    if oid is None:
        return {}
    if oid not in batch.parsed:
        batch.parsed[oid] = _parse_tree(reader, batch, oid)
    return batch.parsed[oid]


def _parse_tree(reader: ObjectReader, batch: ObjectBatch, oid: str) -> dict[str, TreeNode]:
    data = batch.get(oid)
    if data is None:
        found = reader.get(oid)
        if found.type != "tree":
            raise RepositoryProblem(f"{oid} is a {found.type}, not a tree", code="RT605")
        data = found.data
    size = len(oid) // 2
    entries, at = {}, 0
    while at < len(data):
        end = data.index(b"\0", at)
        mode, _, name = data[at:end].partition(b" ")
        at = end + 1 + size
        entries[decode(name)] = TreeNode(mode.decode().zfill(6), data[end + 1 : at].hex())
    return entries


def find_entry(
    reader: ObjectReader, batch: ObjectBatch, root: str | None, path: str
) -> TreeNode | None:
    """The entry at `path` below the tree `root`; a folder has mode 040000."""
    node = TreeNode(TREE_MODE, root) if root else None
    for part in path.split("/"):
        if node is None or node.mode != TREE_MODE:
            return None
        node = read_tree(reader, batch, node.oid).get(part)
    return node


def check_path(path: str) -> str:
    """`path`, once it is relative, normal and outside .git; raises RepositoryProblem."""
    if "\0" in path or any(_FORBIDDEN_PART.fullmatch(part) for part in path.split("/")):
        raise RepositoryProblem(f'"{path}" cannot be a path in a commit')
    return path


def change_tree(
    reader: ObjectReader, batch: ObjectBatch, base: str | None, changes: Mapping[str, str | None]
) -> str | None:
    """The tree `base` with files set to blob oids, or removed (None).

    Only trees on the way are read.

    A file that exists keeps its mode. Returns None when nothing is left. New trees go into `batch`.
    """
    entries = dict(read_tree(reader, batch, base))
    below: dict[str, dict[str, str | None]] = {}
    for path, oid in changes.items():
        name, _, rest = check_path(path).partition("/")
        if rest:
            below.setdefault(name, {})[rest] = oid
        elif oid is None:
            entries.pop(name, None)
        else:
            known = entries.get(name)
            keep = known is not None and known.mode in {"100644", "100755"}
            entries[name] = TreeNode(known.mode if known and keep else FILE_MODE, oid)
    for name, deeper in below.items():
        known = entries.get(name)
        folder = known.oid if known and known.mode == TREE_MODE else None
        changed = change_tree(reader, batch, folder, deeper)
        if changed is not None:
            entries[name] = TreeNode(TREE_MODE, changed)
        elif folder is not None:
            del entries[name]
    return batch.add("tree", _tree_data(entries)) if entries else None


def _tree_data(entries: Mapping[str, TreeNode]) -> bytes:
    rows = []
    for name, node in entries.items():
        raw = encode(name)
        # Git sorts a folder as if its name ended in a slash.
        key = raw + b"/" if node.mode == TREE_MODE else raw
        mode = node.mode.lstrip("0").encode()
        rows.append((key, mode + b" " + raw + b"\0" + bytes.fromhex(node.oid)))
    return b"".join(row for _, row in sorted(rows))
