"""All checks of a state, of which only the affected groups are done when the rest is remembered."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from registry_tool.domain.diagnostics import Diagnostic
from registry_tool.errors import RepositoryProblem
from registry_tool.manifests.loading import load
from registry_tool.manifests.source import Cache, EntryLike
from registry_tool.reconcile.incremental.checked import Checked, StateSource
from registry_tool.reconcile.incremental.grouping import (
    EVERYONE,
    EXCLUSIVE,
    Filed,
    SliceSource,
    by_group,
    file_all,
    is_shared,
    is_whole,
)
from registry_tool.reconcile.incremental.memory import Memory, Rows, Standing
from registry_tool.reconcile.incremental.reach import (
    MOST_FILES,
    Unlimited,
    closure,
    exclusive,
    growth,
    is_far_reaching,
    is_too_much,
    require_limited,
)
from registry_tool.reconcile.states import DesiredState, read_desired
from registry_tool.repository.differences import FileChange, TreeState, differences

if TYPE_CHECKING:
    from registry_tool.repository.repository import Repository

_NAMES = f"{EXCLUSIVE}deployment/"


def check_state(
    repository: Repository,
    source: StateSource,
    base: StateSource | None,
    *,
    cache: Cache | None,
    jobs: Callable[[], int] = lambda: 1,
    may_vanish: bool = False,
) -> Checked:
    """What `read_desired` finds, from memory as far as it goes.

    A state that `may_vanish` when it has errors, such as one that a hook can refuse, is not remembered then.
    """
    run = _Run(repository, source, base, cache, jobs, may_vanish=may_vanish)
    memory = memory_of(repository)
    try:
        memory.attempt(run.work, None)
    finally:
        memory.close()
    return run.result or run.everything()


def check_commit(
    repository: Repository,
    commit: str,
    *,
    base: str | None = None,
    cache: Cache | None,
    jobs: Callable[[], int] = lambda: 1,
) -> Checked:
    """`check_state` of a commit, compared with `base` or else with its first parent."""
    against = base if base is not None else repository.first_parent(commit)
    before = repository.snapshot(against) if against is not None else None
    return check_state(repository, repository.snapshot(commit), before, cache=cache, jobs=jobs)


def memory_of(repository: Repository) -> Memory:
    """The memory of a repository."""
    return Memory(repository.state_path / "cache" / "checks.sqlite")


class _Run:
    """One run of `check_state`."""

    def __init__(
        self,
        repository: Repository,
        source: StateSource,
        base: StateSource | None,
        cache: Cache | None,
        jobs: Callable[[], int],
        *,
        may_vanish: bool,
    ) -> None:
        self._repository = repository
        self._source = source
        self._base = base
        self._cache = cache
        self._jobs = jobs
        self._may_vanish = may_vanish
        self._known: list[tuple[tuple[TreeState, TreeState], list[FileChange]]] = []
        self.result: Checked | None = None

    def work(self, rows: Rows) -> None:
        """Set `result`, and bring the rows up to date."""
        if self.result is not None:
            return
        rows.begin()
        try:
            self._move(rows)
        except (Unlimited, RepositoryProblem, UnicodeEncodeError):
            # A problem that is real comes up again when everything is done.
            rows.forget_changes()
            self.result = self.everything()
            rows.begin()
            self._remember(rows, self.result)
        if self._may_vanish and self.result is not None and self.result.errors:
            rows.forget_changes()

    def everything(self) -> Checked:
        """All checks of all manifests."""
        state = read_desired(self._source, self._base, cache=self._cache, jobs=self._jobs())
        return Checked(
            state.diagnostics, state.checked, self._source, self._cache, state, self._jobs
        )

    def _remember(self, rows: Rows, result: Checked) -> None:
        state = result.full
        rows.clear()
        if state is None or is_too_much(result.diagnostics):
            return
        try:
            filed = file_all(state.loaded, self._source.entries())
            if filed is None:
                return
            groups = {one.entry.path: one.group for one in filed}
            found = by_group(result.diagnostics, groups, state.paths)
            if found is None:
                return
            rows.add_files(filed)
        except UnicodeEncodeError:
            rows.clear()
            return
        try:
            compared = self._compared(rows)
        except Unlimited:
            compared = {EVERYONE}
        rows.set_diagnostics(found)
        self._stand(rows, compared, result.checked)

    def _stand(self, rows: Rows, compared: Collection[str], checked: int) -> None:
        base = self._base.state if self._base is not None else None
        rows.set_standing(Standing(self._source.state, base, frozenset(compared), checked))

    # --- moving on from what is remembered -----------------------------------------------------

    def _move(self, rows: Rows) -> None:
        standing = rows.standing
        if standing is None or (standing.base is None) != (self._base is None):
            raise Unlimited
        changes = self._differences(standing.head, self._source.state)
        rebased = False
        if self._base is not None and standing.base is not None:
            rebased = bool(self._differences(standing.base, self._base.state))
        if not changes and not rebased:
            self._settle(rows, standing.checked, rows.diagnostics())
            return
        groups = set(standing.compared) | self._changed(rows, changes)
        compared = self._compared(rows)
        affected = closure(rows, groups | compared)
        state, files = self._check(rows, affected)
        found = self._merged(rows, state, files, affected)
        checked = standing.checked + growth(changes)
        rows.set_diagnostics(found)
        rows.add_stale(affected)
        self._settle(rows, checked, found)
        self._stand(rows, compared, checked)

    def _settle(self, rows: Rows, checked: int, found: Mapping[str, Sequence[Diagnostic]]) -> None:
        listed = [diagnostic for group in found.values() for diagnostic in group]
        ordered = tuple(sorted(listed, key=lambda entry: entry.sort_key))
        self.result = Checked(ordered, checked, self._source, self._cache, None, self._jobs)

    def _changed(self, rows: Rows, changes: Sequence[FileChange]) -> set[str]:
        """The groups of changed files, before and after; their rows are brought up to date."""
        require_limited(changes)
        paths = [change.path for change in changes]
        groups = set(rows.groups_of(paths).values())
        keys = exclusive(rows.claims_of(paths))
        # A deployment that is no longer declared has no group, and is planned for all the same.
        rows.add_stale([key.removeprefix(EXCLUSIVE) for key in keys if key.startswith(_NAMES)])
        after = self._file(rows, [one.after for one in changes])
        rows.remove_files(paths)
        rows.add_files(after)
        keys |= exclusive(key for one in after for key in one.claims)
        return groups | {one.group for one in after} | rows.claimants(keys)

    def _compared(self, rows: Rows) -> set[str]:
        """The groups in which the state and its base differ."""
        lately = self._lately
        require_limited(lately)
        groups = set(rows.groups_of([change.path for change in lately]).values())
        before = self._file(rows, [one.before for one in lately])
        return groups | {one.group for one in before}

    @cached_property
    def _lately(self) -> list[FileChange]:
        if self._base is None:
            return []
        return self._differences(self._base.state, self._source.state)

    def _differences(self, old: TreeState, new: TreeState) -> list[FileChange]:
        # The last state is often the base of this one, and then these are asked for twice.
        for known, found in self._known:
            if known == (old, new):
                return found
        found = differences(self._repository.command, old, new) if old != new else []
        self._known.append(((old, new), found))
        return found

    def _file(self, rows: Rows, entries: Sequence[EntryLike | None]) -> list[Filed]:
        """Changed files in their groups."""
        present = [entry for entry in entries if entry is not None]
        if not present:
            return []
        # With the Registry it is a state of its own, so it is loaded as any other.
        shared = [one.entry for one in rows.files_in(()) if one.group == EVERYONE]
        known = {entry.path for entry in present}
        others = [entry for entry in shared if entry.path not in known]
        loaded = load(SliceSource([*present, *others], self._source), self._cache)
        filed = file_all(loaded, present)
        if filed is None:
            raise Unlimited
        return filed

    def _check(self, rows: Rows, affected: Collection[str]) -> tuple[DesiredState, list[Filed]]:
        files = rows.files_in(affected)
        if len(files) > MOST_FILES:
            raise Unlimited
        now = {one.entry.path: one.entry for one in files}
        before = dict(now)
        for change in self._lately:
            before.pop(change.path, None)
            if change.before is not None:
                before[change.path] = change.before
        base = SliceSource(before.values(), self._base) if self._base is not None else None
        state = read_desired(SliceSource(now.values(), self._source), base, cache=self._cache)
        if state.refused or state.desired is None:
            raise Unlimited
        return state, files

    def _merged(
        self, rows: Rows, state: DesiredState, files: Sequence[Filed], affected: Collection[str]
    ) -> dict[str, list[Diagnostic]]:
        """What was found now about the affected groups, and before about the others."""
        groups = {one.entry.path: one.group for one in files}
        new = by_group(state.diagnostics, groups, state.paths)
        if new is None or not is_whole(new, affected):
            raise Unlimited
        old = rows.diagnostics()
        found = {
            group: known
            for group, known in old.items()
            if group not in affected and not is_shared(group)
        } | new
        for one in (old, found):
            listed = [diagnostic for group in one.values() for diagnostic in group]
            if is_too_much(listed) or is_far_reaching(listed):
                raise Unlimited
        return found
