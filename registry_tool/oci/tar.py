"""Layers as uncompressed tar archives that depend only on the names and bytes of their files.

An archive has files only, in the given order, owned by root, modified at the epoch. Directories
are left out, so that those of the layers below keep their mode and owner. A header is plain ustar
where that can say it, else ustar after a pax header (names that are long or not ASCII, files of 8
GiB and more): what Go's and Python's libraries write.

Archives are written by hand because the standard library copies in small pieces, at a third of
the speed.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from registry_tool.errors import ContentMismatch

Chunk = bytes | memoryview
"""A piece of a blob; a memoryview may be overwritten when the second chunk after it is taken."""

BUFFER_SIZE = 8 << 20
_BLOCK = 512
_NAME_SIZE = 100
_USTAR_LIMIT = 8 << 30
_TRAILER = bytes(2 * _BLOCK)


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a layer: `path` is relative to the root of the image."""

    path: str
    size: int
    mode: int = 0o644


def member_path(target: str, path: str) -> str:
    """Where a file below the image directory `target` is in a layer."""
    return f"{target.strip('/')}/{path}"


def layer_size(members: Iterable[Member]) -> int:
    """Bytes of the layer, exactly, without reading a file."""
    return sum(
        len(_header(member)) + member.size + _padding(member.size) for member in members
    ) + len(_TRAILER)


def layer_chunks(
    members: Sequence[Member],
    open_file: Callable[[Member], BinaryIO],
    *,
    buffer_size: int = BUFFER_SIZE,
) -> Generator[Chunk, None, None]:
    """The bytes of the layer, in chunks of `buffer_size` (the last may be shorter).

    Each file is opened when its turn comes, read once to its end, and closed. A file that is
    shorter or longer than announced raises ContentMismatch before the last chunk. Two buffers
    take turns, so that a chunk can be used while the next one is being filled.
    """
    buffer_size = min(buffer_size, layer_size(members))
    buffers = [memoryview(bytearray(buffer_size)) for _ in range(2)]
    used = 0
    with closing(_pieces(members, open_file)) as pieces:
        for piece in pieces:
            while count := piece.readinto(buffers[0][used:]):
                used += count
                if used == buffer_size:
                    yield buffers[0]
                    buffers.reverse()
                    used = 0
    if used:
        yield buffers[0][:used]


class _Piece(Protocol):
    def readinto(self, buffer: memoryview, /) -> int: ...


def _pieces(
    members: Iterable[Member], open_file: Callable[[Member], BinaryIO]
) -> Generator[_Piece, None, None]:
    for member in members:
        yield io.BytesIO(_header(member))
        with open_file(member) as file:
            yield _ExactFile(member, file)
        yield io.BytesIO(bytes(_padding(member.size)))
    yield io.BytesIO(_TRAILER)


class _ExactFile:
    """A file that must have the announced size: its archive's other bytes depend on it."""

    def __init__(self, member: Member, file: BinaryIO) -> None:
        self._member = member
        self._file = file
        self._left = member.size

    def readinto(self, buffer: memoryview, /) -> int:
        if not self._left:
            # Reading to the end also lets the reader see that there is an end.
            if self._file.read(1):
                raise self._mismatch(f"more than {self._member.size}")
            return 0
        wanted = buffer[: self._left]
        # typeshed gives BinaryIO no readinto, which every binary reader has.
        count: int = self._file.readinto(wanted)  # type: ignore[attr-defined]
        if not count:
            raise self._mismatch(str(self._member.size - self._left))
        self._left -= count
        return count

    def _mismatch(self, seen: str) -> ContentMismatch:
        return ContentMismatch(
            f"{self._member.path}: expected {self._member.size} bytes, read {seen}",
            help="the file was changed; wait until nobody writes to it, then lock again",
        )


def _padding(size: int) -> int:
    return -size % _BLOCK


def _header(member: Member) -> bytes:
    records = {}
    if not member.path.isascii() or len(member.path) > _NAME_SIZE:
        records["path"] = member.path
    if member.size >= _USTAR_LIMIT:
        records["size"] = str(member.size)
    size = 0 if "size" in records else member.size
    name = member.path.encode("ascii", "replace")
    return (_pax(records) if records else b"") + _ustar(name, member.mode, size, b"0")


def _pax(records: dict[str, str]) -> bytes:
    body = b"".join(_pax_record(key, value) for key, value in records.items())
    header = _ustar(b"././@PaxHeader", 0, len(body), b"x")
    return header + body + bytes(_padding(len(body)))


def _pax_record(key: str, value: str) -> bytes:
    # A record starts with its own length, whose digits count too.
    rest = f" {key}={value}\n".encode()
    length = len(rest) + 1
    while len(str(length)) + len(rest) != length:
        length = len(str(length)) + len(rest)
    return str(length).encode() + rest


def _ustar(name: bytes, mode: int, size: int, kind: bytes) -> bytes:
    fields = (
        name[:_NAME_SIZE].ljust(_NAME_SIZE, b"\0"),
        b"%07o\0" % mode,
        b"0000000\0",  # user
        b"0000000\0",  # group
        b"%011o\0" % size,
        b"00000000000\0",  # time of modification
        b" " * 8,  # the checksum counts itself as spaces
        kind,
        bytes(100),  # link target
        b"ustar\x0000",
        bytes(32 + 32 + 8 + 8 + 155 + 12),  # names of user and group, device, prefix
    )
    block = b"".join(fields)
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]
