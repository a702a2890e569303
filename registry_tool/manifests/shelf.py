"""Manifests that are known to be valid and are made when somebody looks at them.

A warm start knows the identities of all manifests from the cache; most of their contents are never asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar

from registry_tool.domain.build_template import BuildTemplate
from registry_tool.domain.desired import Located, TemplateFileContent, TemplateSource
from registry_tool.domain.manifest import Manifest
from registry_tool.manifests.source import Cache, EntryLike, Source
from registry_tool.manifests.validating import Valid, read_manifest, restore

K = TypeVar("K")
M_co = TypeVar("M_co", bound=Manifest, covariant=True)


class Shelf:
    """Gives the manifests of one load, from memory, from the cache, or by reading the file again."""

    def __init__(
        self,
        source: Source,
        cache: Cache | None,
        fingerprint: str,
        other: Shelf | None = None,
    ) -> None:
        self._source = source
        self._cache = cache
        self._fingerprint = fingerprint
        # Equal blobs are equal manifests, whichever state they are of.
        self._made: dict[str, Manifest] = other._made if other is not None else {}
        self._bodies: dict[str, bytes] = other._bodies if other is not None else {}

    def keep(self, oid: str, manifest: Manifest) -> None:
        """Remember a manifest that has just been made."""
        self._made[oid] = manifest

    def keep_body(self, oid: str, body: bytes) -> None:
        """Remember the JSON of a manifest."""
        self._bodies[oid] = body

    def has(self, oid: str) -> bool:
        """Whether `get` would be quick."""
        return oid in self._made or oid in self._bodies

    def fetch(self, oids: list[str]) -> None:
        """Get the contents of many blobs in one go."""
        wanted = [oid for oid in oids if not self.has(oid)]
        if self._cache is not None and wanted:
            found = self._cache.get_many([f"{oid}:{self._fingerprint}" for oid in wanted])
            for key, value in found.items():
                self._bodies[key.partition(":")[0]] = value.partition(b"\n")[2]
            wanted = [oid for oid in wanted if oid not in self._bodies]
        self._read(wanted)

    def seal(self) -> None:
        """Never read again: a forked process must not use the pipes and connections of its parent."""
        self._source, self._cache = _Sealed(), None

    def get(self, kind: str, place: EntryLike) -> Manifest:
        """The manifest of that kind in a file."""
        oid = place.oid
        if not self.has(oid):
            self.fetch([oid])
        if oid not in self._made:
            try:
                self._made[oid] = restore(kind, self._bodies.pop(oid))
            except ValueError:
                self._read([oid])  # a damaged cache only costs time
        return self._made[oid]

    def _read(self, oids: list[str]) -> None:
        for oid, data in self._source.read(oids):
            checked = read_manifest("", data)
            if isinstance(checked, Valid) and checked.manifest is not None:
                self._made[oid] = checked.manifest


class _Sealed:
    """No source at all."""

    def entries(self) -> Sequence[EntryLike]:
        raise RuntimeError("a sealed source has no files")

    def read(self, oids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        if oids:
            raise RuntimeError("a sealed source cannot be read")
        return iter(())


class LazyManifests(Mapping[K, Located[M_co]], Generic[K, M_co]):
    """Located manifests by identity. Looking at one fetches some of its neighbours, more each time."""

    def __init__(self, kind: str, places: Mapping[K, EntryLike], shelf: Shelf) -> None:
        self._kind = kind
        self._places = places
        self._shelf = shelf
        self._made: dict[K, Located[Any]] = {}
        self._rest = iter(places.values())
        self._batch = 1

    def __getitem__(self, key: K) -> Located[M_co]:
        located = self._made.get(key)
        if located is None:
            place = self._places[key]
            if not self._shelf.has(place.oid):
                self._fetch(place)
            located = Located(self._shelf.get(self._kind, place), place.path, place.oid)
            self._made[key] = located
        return located

    def __contains__(self, key: object) -> bool:
        return key in self._places

    def __iter__(self) -> Iterator[K]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def _fetch(self, place: EntryLike) -> None:
        oids = [place.oid]
        for other in self._rest:
            oids.append(other.oid)
            if len(oids) >= self._batch:
                break
        self._batch *= 4
        self._shelf.fetch(oids)


class LazyFiles(Mapping[str, TemplateFileContent]):
    """The files beside a template.yaml, read together when one of them is looked at."""

    def __init__(self, entries: Mapping[str, EntryLike], source: Source) -> None:
        self._entries = entries
        self._source = source
        self._contents: dict[str, bytes] | None = None

    def __getitem__(self, path: str) -> TemplateFileContent:
        entry = self._entries[path]
        if self._contents is None:
            oids = sorted({other.oid for other in self._entries.values()})
            self._contents = dict(self._source.read(oids))
        return TemplateFileContent(self._contents[entry.oid], entry.mode == "100755")

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


class LazyTemplates(Mapping[str, TemplateSource]):
    """Templates with the files beside them."""

    def __init__(
        self,
        located: Mapping[str, Located[BuildTemplate]],
        files: Mapping[str, Mapping[str, TemplateFileContent]],
    ) -> None:
        self._located = located
        self._files = files

    def __getitem__(self, name: str) -> TemplateSource:
        return TemplateSource(self._located[name], self._files[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._located)

    def __len__(self) -> int:
        return len(self._located)
