"""Manifests as they would be after an edit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from registry_tool.manifests.source import Entry, EntryLike, Source, blob_oid


class Overlay:
    """A source with some files changed, added or, where the content is None, left out."""

    def __init__(self, below: Source, changes: Mapping[str, bytes | None]) -> None:
        self._below = below
        self._new = {
            path: (blob_oid(data), data) for path, data in changes.items() if data is not None
        }
        self._entries = self._merged(set(changes))

    def _merged(self, changed: set[str]) -> list[EntryLike]:
        modes = {entry.path: entry.mode for entry in self._below.entries()}
        merged = [entry for entry in self._below.entries() if entry.path not in changed]
        merged += [
            Entry(path, modes.get(path, "100644"), oid) for path, (oid, _) in self._new.items()
        ]
        return sorted(merged, key=lambda entry: entry.path)

    def entries(self) -> Sequence[EntryLike]:
        return self._entries

    def read(self, oids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        new = dict(self._new.values())
        below = dict(self._below.read([oid for oid in oids if oid not in new]))
        for oid in oids:
            yield oid, new[oid] if oid in new else below[oid]
