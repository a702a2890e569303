"""An image as it leaves an engine: the archive of `GET /images/{id}/get`, read as a stream.

Two forms are known. Engines before 25 write `<id>/layer.tar` for each layer, and say only at the end which is which:
such a layer is hashed on its way into a temporary file. Later ones write an OCI layout, `blobs/sha256/<digest>`,
whose uncompressed layers are passed on as they come; compressed ones (the containerd image store) are decompressed
beside, since only then it is known which layer they are.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import IO, BinaryIO, cast

from registry_tool.errors import EngineProblem
from registry_tool.oci.descriptors import LAYER, Descriptor

_BUFFER = 1 << 20
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})")
_GZIP = b"\x1f\x8b"

Keep = Callable[[Descriptor, Iterable[bytes]], None]
"""Takes a layer, and its bytes in pieces: more than once, unless they are an iterator."""


def read_layers(archive: BinaryIO, wanted: frozenset[str], keep: Keep) -> dict[str, Descriptor]:
    """Give the layers with the wanted diff ids to `keep`; returns their descriptors by diff id.

    Stops reading when all were there. Raises EngineProblem when one is missing.
    """
    found: dict[str, Descriptor] = {}
    with tarfile.open(fileobj=archive, mode="r|", bufsize=_BUFFER) as members:
        while found.keys() != wanted and (member := members.next()) is not None:
            # It would keep all of them in memory.
            members.members = []  # type: ignore[attr-defined]
            file = members.extractfile(member) if member.isreg() else None
            if file is None:
                continue
            blob = _BLOB.fullmatch(member.name)
            if blob:
                digest = f"sha256:{blob[1]}"
                found |= _blob(digest, member.size, file, wanted - found.keys(), keep)
            elif member.name.endswith("/layer.tar"):
                found |= _spooled(file, wanted - found.keys(), keep)
    missing = sorted(wanted - found.keys())
    if missing:
        raise EngineProblem(
            f"the engine's archive of the image has no layer {missing[0]}",
            help="run again; if it stays so, this engine writes archives in a form that is not known",
            code="RT611",
        )
    return found


def _blob(
    digest: str, size: int, file: IO[bytes], wanted: frozenset[str], keep: Keep
) -> dict[str, Descriptor]:
    if digest in wanted:
        layer = Descriptor(LAYER, digest, size)
        keep(layer, _pieces(file))
        return {digest: layer}
    beginning = file.read(len(_GZIP))
    if beginning != _GZIP:
        return {}  # a document, or a layer that the store has
    return _compressed(beginning, digest, size, file, wanted, keep)


def _compressed(
    beginning: bytes,
    digest: str,
    size: int,
    file: IO[bytes],
    wanted: frozenset[str],
    keep: Keep,
) -> dict[str, Descriptor]:
    with tempfile.TemporaryFile() as spool:
        _write(spool, beginning)
        for piece in _pieces(file):
            _write(spool, piece)
        spool.seek(0)
        diff_id = _digest_of_content(spool, digest)
        if diff_id not in wanted:
            return {}
        keep(layer := Descriptor(LAYER + "+gzip", digest, size), _Spooled(spool))
    return {diff_id: layer}


def _digest_of_content(file: IO[bytes], name: str) -> str:
    content = hashlib.sha256()
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as expanded:
            for piece in _pieces(cast("IO[bytes]", expanded)):
                content.update(piece)
    except (gzip.BadGzipFile, EOFError, zlib.error) as problem:
        raise EngineProblem(
            f"the engine's archive of the image is damaged at {name}: {problem}",
            code="RT611",
            transient=True,
        ) from problem
    return f"sha256:{content.hexdigest()}"


def _spooled(file: IO[bytes], wanted: frozenset[str], keep: Keep) -> dict[str, Descriptor]:
    content = hashlib.sha256()
    with tempfile.TemporaryFile() as spool:
        for piece in _pieces(file):
            content.update(piece)
            _write(spool, piece)
        digest = f"sha256:{content.hexdigest()}"
        if digest not in wanted:
            return {}
        keep(layer := Descriptor(LAYER, digest, spool.tell()), _Spooled(spool))
    return {digest: layer}


class _Spooled:
    """A file in pieces, from its beginning each time: an upload that breaks can go on."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(0)
        return _pieces(self._file)


def _write(spool: IO[bytes], piece: bytes) -> None:
    try:
        spool.write(piece)
    except OSError as problem:
        raise EngineProblem(
            f"a layer cannot be kept in {tempfile.gettempdir()} meanwhile: {problem.strerror}",
            help="free some space there, or name a larger directory in TMPDIR",
            code="RT611",
        ) from problem


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(_BUFFER):
        yield piece
