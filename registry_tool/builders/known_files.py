"""What is known of stored files without reading them again.

An object store says by entity tag or version that an object is still the one that a lock names; of
local files a cache remembers which state was read. Nothing here decides what an image holds: a
build hashes every byte that it publishes, so a wrong belief can only make it fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from registry_tool.domain.release import ArtifactLock, LockedFile, LockedLayer
from registry_tool.domain.storage import normal_storage_path
from registry_tool.storage.stored_file import StoredFile

if TYPE_CHECKING:
    from registry_tool.manifests.source import Cache


@dataclass(frozen=True)
class KnownFiles:
    """What may save a read; any of it may be missing."""

    locks: Sequence[ArtifactLock] = ()
    """Of files at the same location; the first one has the last word."""
    cache: Cache | None = None
    """Digests of local files by the state that they were read in."""
    sources: Mapping[str, Path] = field(default_factory=dict)
    """Local files with the bytes of stored ones, which are read in their place."""

    def sha256(self, location: str, files: Sequence[StoredFile]) -> dict[str, str]:
        """The digests of files that did not change since somebody read them."""
        known = self._remembered(location, files)
        for lock in reversed(self.locks):
            locked = {entry.path: entry for entry in lock.spec.files}
            for file in files:
                entry = locked.get(file.path)
                if entry is not None and is_same_object(entry, file):
                    known[file.path] = entry.sha256
        return known

    def layer(
        self, target: str, paths: Sequence[str], sha256: Mapping[str, str]
    ) -> LockedLayer | None:
        """The layer over these files, where a lock has it."""
        for lock in self.locks:
            if lock.spec.target != target:
                continue
            locked = {entry.path: entry.sha256 for entry in lock.spec.files}
            for layer in lock.spec.layers:
                if layer.files == tuple(paths) and all(
                    locked[path] == sha256.get(path) for path in paths
                ):
                    return layer
        return None

    def remember(
        self, location: str, files: Iterable[StoredFile], sha256: Mapping[str, str]
    ) -> None:
        """Keep the digests of files that were read, for the next time."""
        if self.cache is not None:
            self.cache.put_many(
                {
                    _key(location, file): sha256[file.path].encode()
                    for file in files
                    if file.fingerprint and file.path in sha256
                }
            )

    def _remembered(self, location: str, files: Sequence[StoredFile]) -> dict[str, str]:
        if self.cache is None:
            return {}
        keys = {_key(location, file): file.path for file in files if file.fingerprint}
        found = self.cache.get_many(list(keys))
        return {keys[key]: value.decode() for key, value in found.items()}


def is_same_object(locked: LockedFile, stored: StoredFile) -> bool:
    """Whether storage says that an object is the one that was locked; of a local file it never does."""
    if locked.size != stored.size:
        return False
    if locked.version_id and locked.version_id == stored.version_id:
        return True
    return locked.etag is not None and locked.etag == stored.etag


def _key(location: str, file: StoredFile) -> str:
    return f"sha256:{normal_storage_path(location)}/{file.path}:{file.fingerprint}"
