"""Where manifest files come from: a Git tree, the index, a work tree, or memory.

The types are protocols, so that a Git snapshot need not know this package.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

REGULAR_MODES = ("100644", "100755")


class EntryLike(Protocol):
    """A file of a tree: its path, its Git mode such as ``100644``, and the oid of its blob."""

    @property
    def path(self) -> str:
        """With forward slashes, relative to the repository."""

    @property
    def mode(self) -> str:
        """The Git mode, six octal digits."""

    @property
    def oid(self) -> str:
        """The blob's oid, also for files of a work tree that no commit holds yet."""


@dataclass(frozen=True, slots=True)
class Entry:
    """The plain implementation of `EntryLike`."""

    path: str
    mode: str
    oid: str


class Source(Protocol):
    """All files below manifests/ and build_templates/ of one state of a repository."""

    def entries(self) -> Sequence[EntryLike]:
        """The files, sorted by path."""

    def read(self, oids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Oid and content of blobs, in the order asked for."""


class Cache(Protocol):
    """A store of bytes that may forget anything at any time."""

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """What is known of `keys`."""

    def put_many(self, items: Mapping[str, bytes]) -> None:
        """Keep these, perhaps."""


class DictSource:
    """Files in memory: path to content, or to mode and content. Oids are those that Git would give."""

    def __init__(self, files: Mapping[str, bytes | tuple[str, bytes]]) -> None:
        self._contents: dict[str, bytes] = {}
        entries = []
        for path in sorted(files):
            given = files[path]
            mode, content = given if isinstance(given, tuple) else ("100644", given)
            oid = blob_oid(content)
            self._contents[oid] = content
            entries.append(Entry(path, mode, oid))
        self._entries = tuple(entries)

    def entries(self) -> Sequence[Entry]:
        return self._entries

    def read(self, oids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        for oid in oids:
            yield oid, self._contents[oid]


def blob_oid(content: bytes) -> str:
    """The SHA-1 oid that Git gives to a blob."""
    digest = hashlib.sha1(b"blob %d\0" % len(content), usedforsecurity=False)
    digest.update(content)
    return digest.hexdigest()
