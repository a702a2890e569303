"""Catalogs from Git: what has changed since the last look, and nothing else, is read again."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import datetime
from itertools import islice

from registry_tool.catalog.files import Catalogs
from registry_tool.catalog.inputs import (
    CatalogDelta,
    CatalogInputs,
    CatalogPair,
    InvalidFile,
    Tip,
)
from registry_tool.domain.recorded import RECORDS_BRANCH
from registry_tool.domain.revisions import Revision
from registry_tool.errors import (
    CatalogProblem,
    IdentityClash,
    InvalidManifests,
    RepositoryProblem,
)
from registry_tool.manifests.batch import without_collection
from registry_tool.manifests.loading import load
from registry_tool.manifests.source import Cache
from registry_tool.reconcile.manifest_files import (
    Doubtful,
    refusals,
)
from registry_tool.reconcile.pair_reading import Accepted, PairReader
from registry_tool.repository.changelog import first_parents
from registry_tool.repository.ref_files import RefFiles, RefState
from registry_tool.repository.repository import Repository

_log = logging.getLogger(__name__)
_PAIR_KEY = re.compile(r"(?P<manifests>[0-9a-f]{40,64})-(?P<records>[0-9a-f]{40,64}|none)")
_MOST_PARENTS = 1000
"""How far the newest acceptable revision is looked for."""
_MOST_NAMES = 1000
"""How many names of revisions are remembered."""


class CatalogUpdater:
    """Keeps the catalogs of a repository up to date.

    Threads and processes may call it at the same time: one works, the others find the result.
    """

    def __init__(
        self,
        repository: Repository,
        catalogs: Catalogs,
        cache: Cache | None = None,
        *,
        jobs: int = 1,
        branch: str | None = None,
        records_ref: Callable[[Repository], str] = lambda _: RECORDS_BRANCH,
    ) -> None:
        """`branch` is what is served, the checked-out branch by default; any name of a revision will do."""
        self._repository = repository
        self._catalogs = catalogs
        self._cache = cache
        self._jobs = jobs
        self._branch = branch
        self._records_ref = records_ref
        self._reader = PairReader(repository, catalogs, cache, jobs)
        self._refs = RefFiles(repository)
        self._named: dict[str, tuple[tuple[RefState, ...], CatalogPair]] = {}

    # --- the served branch ---

    def refresh(self) -> CatalogPair | None:
        """Bring the current catalog up to date; None while there is nothing that can be shown.

        Cheap when nothing has changed. Raises RepositoryProblem, and InvalidManifests when no revision is acceptable.
        """
        # Settings and branches of remotes count as well, and are looked at as often as this is called.
        self._named = {}
        wanted = self._wanted()
        if wanted is None:
            return None
        pair = self._up_to_date(*wanted)
        if pair is not None:
            return pair
        with self._catalogs.changing():
            return self._up_to_date(*wanted) or self._project(*wanted)

    def _wanted(self) -> tuple[Revision, str | None] | None:
        """The tips of the served branch and of the records; None before the first commit."""
        try:
            revision = self._repository.revision(self._branch)
        except RepositoryProblem as problem:
            if problem.code == "RT604":
                return None
            raise
        return revision, self._repository.ref(self._records_ref(self._repository))

    def _up_to_date(self, tip: Revision, records: str | None) -> CatalogPair | None:
        meta = self._catalogs.current_meta()
        if meta is None or meta.tip.oid != tip.oid or meta.pair.records != records:
            return None
        return meta.pair if meta.pair.revision.ref == tip.ref else None

    def _project(self, tip: Revision, records: str | None) -> CatalogPair:
        meta = self._catalogs.current_meta()
        if meta is not None:
            try:
                pair = self._change(meta.pair, tip, records)
            except (CatalogProblem, Doubtful) as problem:
                _log.debug("the catalog is built anew: %s", problem)
            else:
                return pair
        return self._build(tip, records, self._catalogs.build)

    def _build(
        self, asked: Revision, records: str | None, build: Callable[[CatalogInputs], None]
    ) -> CatalogPair:
        """Make a catalog from nothing, first as if the revision were acceptable: most are, and reading it tells."""
        # What is made are trees, and many: looking for cycles among them takes a quarter of the time.
        with without_collection():
            pair = CatalogPair(asked, records)
            accepted = Accepted(asked, Tip(asked.oid), self._commit_time(asked.oid))
            try:
                build(self._reader.inputs(pair, accepted))
            except (IdentityClash, Doubtful) as problem:
                _log.debug("%s: %s", asked.short, problem)
            else:
                return pair
            accepted = self._accepted(asked)
            pair = CatalogPair(accepted.revision, records)
            build(self._reader.inputs(pair, accepted))
            return pair

    def _change(self, shown: CatalogPair, tip: Revision, records: str | None) -> CatalogPair:
        """Change the current catalog. Raises Doubtful, CatalogProblem."""
        commit = self._commit_time(tip.oid)
        accepted = Accepted(tip, Tip(tip.oid), commit)
        try:
            return self._apply(shown, accepted, records, self._catalogs.update)
        except (IdentityClash, Doubtful) as problem:
            _log.debug("%s: %s", tip.short, problem)
            accepted = self._accepted(tip)
            if accepted.revision.oid == tip.oid:
                raise  # it is acceptable, and only a look at all of it can tell what it says
            return self._apply(shown, accepted, records, self._catalogs.update)

    def _apply(
        self,
        shown: CatalogPair,
        accepted: Accepted,
        records: str | None,
        apply: Callable[[CatalogDelta], None],
    ) -> CatalogPair:
        after = CatalogPair(accepted.revision, records)
        apply(self._reader.delta(shown, after, accepted))
        return after

    # --- any revision ---

    def at(self, revision: str) -> CatalogPair:
        """Have a catalog of any revision, with the records of its time; also of a pair's key.

        Raises RepositoryProblem (RT602) when there is no such revision, InvalidManifests when nothing of it can be
        shown.
        """
        known = self.known(revision)
        if known is not None and self._catalogs.has(known):
            return known
        named, state = self._named, self._state(revision)
        pair = self._have(revision)
        if state is not None and state == self._state(revision):
            if len(named) >= _MOST_NAMES:
                named.clear()
            named[revision] = (state, pair)
        return pair

    def known(self, revision: str) -> CatalogPair | None:
        """What `at` gave for a name, as long as no ref has moved; None when that is not known at once."""
        found = self._named.get(revision)
        if found is None:
            return None
        state, pair = found
        return pair if state == self._state(revision) else None

    def _state(self, revision: str) -> tuple[RefState, ...] | None:
        names = (revision, self._branch or "HEAD", RECORDS_BRANCH)
        states = tuple(state for name in names if (state := self._refs.state(name)) is not None)
        return states if len(states) == len(names) else None

    def _have(self, revision: str) -> CatalogPair:
        asked, records = self._asked(revision)
        current = self._catalogs.current()
        if current is not None and (asked.oid, records) == (current.manifests, current.records):
            return current
        pair = CatalogPair(asked, records)
        if self._catalogs.has(pair):
            return pair
        with self._catalogs.changing():
            if self._catalogs.has(pair):
                return pair
            return self._project_at(asked, records)

    def _asked(self, text: str) -> tuple[Revision, str | None]:
        match = _PAIR_KEY.fullmatch(text)
        if match is None:
            revision = self._repository.revision(text)
            return revision, self._records_at(revision.oid)
        revision = self._repository.revision(match["manifests"])
        records = match["records"]
        return revision, None if records == "none" else self._repository.resolve(records)

    def _records_at(self, manifests: str) -> str | None:
        """The last records that were made for a revision or an older one; the newest of all for the tip."""
        wanted = self._wanted()
        if wanted is None:
            return None
        tip, newest = wanted
        if tip.oid == manifests:
            return newest
        line = set(first_parents(self._repository, manifests))
        for commit in self._repository.commits(newest) if newest is not None else ():
            for value in commit.trailer("Registry-Revision"):
                try:
                    made_for = Revision.parse(value).oid
                except ValueError:
                    continue
                if made_for in line:
                    return commit.oid
        return None

    def _project_at(self, asked: Revision, records: str | None) -> CatalogPair:
        accepted = Accepted(asked, Tip(asked.oid), self._commit_time(asked.oid))
        nearest = self._nearest(asked.oid)
        if nearest is not None:
            try:
                return self._apply(nearest, accepted, records, self._catalogs.derive)
            except (CatalogProblem, Doubtful) as problem:
                _log.debug("the catalog of %s is built: %s", asked.short, problem)
        return self._build(asked, records, self._catalogs.build_at)

    def _nearest(self, oid: str) -> CatalogPair | None:
        """The catalog with the fewest commits between it and a revision, by the current one's line."""
        pairs = self._catalogs.near()
        if not pairs:
            return None
        with self._catalogs.open(pairs[0]) as current:
            place = current.step_of(oid)
            steps = {pair: current.step_of(pair.manifests) for pair in pairs}
        if place is None:
            return pairs[0]
        known = {pair: step for pair, step in steps.items() if step is not None}
        return min(known, key=lambda pair: abs(known[pair] - place))

    # --- acceptance ---

    def _accepted(self, asked: Revision) -> Accepted:
        """The newest first parent of a revision, or itself, whose identities are all known.

        Raises InvalidManifests when there is none.
        """
        refused: tuple[InvalidFile, ...] = ()
        first: InvalidManifests | None = None
        for oid in islice(first_parents(self._repository, asked.oid), _MOST_PARENTS):
            loaded = load(self._repository.snapshot(oid), self._cache, jobs=self._jobs)
            if loaded.desired is not None and not loaded.refused:
                revision = asked._replace(oid=oid)
                path = loaded.desired.registry.path
                return Accepted(revision, Tip(asked.oid, refused), self._commit_time(oid), path)
            refused = refused or refusals(loaded)
            first = first or InvalidManifests(
                f"{asked.short} cannot be shown, nor can anything before it", loaded.diagnostics
            )
        raise first or InvalidManifests(f"{asked.short} has no history", ())

    def _commit_time(self, oid: str) -> datetime | None:
        return next(
            (commit.committed_at for commit in self._repository.commits(oid, limit=1)), None
        )
