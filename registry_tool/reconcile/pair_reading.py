"""Reads from Git what a catalog of a pair is made from: all of it, or what tells it from another pair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from registry_tool.catalog.files import Catalogs
from registry_tool.catalog.inputs import (
    CatalogDelta,
    CatalogInputs,
    CatalogPair,
    Commit,
    InvalidFile,
    ManifestFile,
    RecordFile,
    Tip,
)
from registry_tool.domain.kinds import TEMPLATES_FOLDER
from registry_tool.domain.revisions import Revision
from registry_tool.manifests.source import Cache, EntryLike
from registry_tool.reconcile.deployment_keys import DeploymentKeys
from registry_tool.reconcile.lineage import lineage, plain
from registry_tool.reconcile.manifest_files import (
    REGISTRY_PATH,
    Doubtful,
    read_manifests,
    read_records,
)
from registry_tool.repository.changelog import first_parents, read_changelog
from registry_tool.repository.differences import TreeState, differences
from registry_tool.repository.repository import Repository
from registry_tool.repository.trees import TreeEntry

_MOST_CHANGES = 20_000
"""Files; with more of them a new catalog is as quick as a changed one, and smaller."""
_MOST_NAMED = 500
"""Paths that are asked for by name."""


@dataclass(frozen=True)
class Accepted:
    """The revision to show for another one, and why it is not that one itself."""

    revision: Revision
    tip: Tip
    committed_at: datetime | None
    registry: str = REGISTRY_PATH
    """The file of the Registry."""


class PairReader:
    """Reads pairs of one repository; `catalogs` knows what the pairs before hold."""

    def __init__(
        self, repository: Repository, catalogs: Catalogs, cache: Cache | None, jobs: int
    ) -> None:
        self._repository = repository
        self._catalogs = catalogs
        self._cache = cache
        self._jobs = jobs
        self._keys = DeploymentKeys(repository, cache)

    def inputs(self, pair: CatalogPair, accepted: Accepted) -> CatalogInputs:
        """Everything; read while it is used, which raises Doubtful."""
        repository = self._repository
        snapshot = repository.snapshot(pair.manifests)
        steps = list(first_parents(repository, pair.manifests))[::-1]
        records = repository.tree(pair.records) if pair.records else []
        entries = snapshot.entries()
        return CatalogInputs(
            pair=pair,
            manifests=read_manifests(
                snapshot, entries, _among(entries, accepted.registry), self._cache, self._jobs
            ),
            records=read_records(repository, records),
            steps=steps,
            commits=lineage(read_changelog(repository, pair.manifests), steps, 0),
            committed_at=accepted.committed_at,
            tip=accepted.tip,
            keys=self._keys,
        )

    def delta(self, before: CatalogPair, after: CatalogPair, accepted: Accepted) -> CatalogDelta:
        """What has changed between two pairs. Raises Doubtful."""
        keep, steps, commits = self._lineage(before, after)
        return CatalogDelta(
            before=before,
            after=after,
            manifests=self._changed_manifests(before, after),
            records=self._changed_records(before.records, after.records),
            keep_steps=keep,
            steps=steps,
            commits=commits,
            committed_at=accepted.committed_at,
            tip=accepted.tip,
            keys=self._keys,
        )

    def _lineage(
        self, before: CatalogPair, after: CatalogPair
    ) -> tuple[int | None, Sequence[str], Iterator[Commit]]:
        """How many steps stay, and what comes after them."""
        if before.manifests == after.manifests:
            return None, (), iter(())
        new: list[str] = []
        common: tuple[str, int] | None = None
        with self._catalogs.open(before) as catalog:
            for oid in first_parents(self._repository, after.manifests):
                step = catalog.step_of(oid)
                if step is not None:
                    common = (oid, step)
                    break
                new.append(oid)
        if common is None:
            raise Doubtful("the two revisions have no history in common")
        new.reverse()
        log = read_changelog(self._repository, after.manifests, common[0]) if new else ()
        return common[1] + 1, new, lineage(log, new, common[1] + 1)

    def _changed_manifests(
        self, before: CatalogPair, after: CatalogPair
    ) -> Mapping[str, ManifestFile | InvalidFile | None]:
        if before.manifests == after.manifests:
            return {}
        repository = self._repository
        old, new = (TreeState(repository.tree_of(pair.manifests), {}) for pair in (before, after))
        changes = differences(repository.command, old, new)
        if len(changes) > _MOST_CHANGES:
            raise Doubtful(f"{len(changes)} files are otherwise")
        found: dict[str, ManifestFile | InvalidFile | None] = {}
        entries: dict[str, EntryLike] = {}
        for change in changes:
            found[plain(change.path)] = None
            if change.after is not None:
                entries[change.path] = change.after
        folders = {_template_folder(change.path) for change in changes} - {None}
        for folder in sorted(folder for folder in folders if folder):
            found |= dict.fromkeys(self._known_below(before, folder))
            entries |= {entry.path: entry for entry in repository.tree(after.manifests, [folder])}
        wanted = sorted(entries.values(), key=lambda entry: entry.path)
        with self._catalogs.open(before) as catalog:
            registry = next(iter(repository.tree(after.manifests, [catalog.registry_path()])), None)
        snapshot = repository.snapshot(after.manifests)
        for file in read_manifests(snapshot, wanted, registry, self._cache, self._jobs):
            found[file.path] = file
        return found

    def _known_below(self, before: CatalogPair, folder: str) -> list[str]:
        with self._catalogs.open(before) as catalog:
            return catalog.paths_below(plain(folder))

    def _changed_records(
        self, before: str | None, after: str | None
    ) -> Mapping[str, RecordFile | InvalidFile | None]:
        if before == after:
            return {}
        old, new = self._record_entries(before, after)
        found: dict[str, RecordFile | InvalidFile | None] = {plain(path): None for path in old}
        for file in read_records(self._repository, new):
            found[file.path] = file
        return found

    def _record_entries(
        self, before: str | None, after: str | None
    ) -> tuple[list[str], list[TreeEntry]]:
        """Paths of records that are gone or changed, and records that are new or changed."""
        repository = self._repository
        if before is None or after is None:
            gone = [entry.path for entry in repository.tree(before)] if before else []
            return gone, repository.tree(after) if after else []
        paths = {change.path for change in repository.changed_paths(before, after)}
        if len(paths) > _MOST_CHANGES:
            raise Doubtful(f"{len(paths)} records are otherwise")
        named = sorted(paths) if len(paths) <= _MOST_NAMED else ()
        entries = repository.tree(after, named) if paths else []
        return sorted(paths), [entry for entry in entries if entry.path in paths]


def _among(entries: Sequence[EntryLike], path: str) -> EntryLike | None:
    return next((entry for entry in entries if entry.path == path), None)


def _template_folder(path: str) -> str | None:
    parts = path.split("/")
    return "/".join(parts[:2]) + "/" if parts[0] == TEMPLATES_FOLDER and len(parts) > 2 else None
