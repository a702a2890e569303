"""Desired and recorded state as every command sees them: read, load, check.

Nothing here has an effect; `validate`, `plan` and `apply` differ only in what they do with the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_tool.domain.diagnostics import Diagnostic, Severity
from registry_tool.domain.recorded import RECORDS_BRANCH, Recorded
from registry_tool.errors import InvalidManifests
from registry_tool.manifests.batch import without_collection
from registry_tool.manifests.loading import Loaded, load
from registry_tool.manifests.locating import locate
from registry_tool.manifests.records import load_recorded
from registry_tool.reconcile.parts import check_in_parts

if TYPE_CHECKING:
    from registry_tool.domain.desired import Desired
    from registry_tool.manifests.source import Cache, Source
    from registry_tool.repository.repository import Repository


@dataclass(frozen=True)
class DesiredState:
    """The manifests of one source after all checks."""

    desired: Desired | None
    diagnostics: tuple[Diagnostic, ...]
    checked: int
    held: frozenset[str]
    refused: bool
    paths: Mapping[str, str]
    loaded: Loaded

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The diagnostics that make the revision invalid."""
        return tuple(entry for entry in self.diagnostics if entry.severity is Severity.ERROR)

    def require_valid(self, what: str) -> Desired:
        """The manifests; raises InvalidManifests when there are errors. `what` names the revision or place."""
        if self.errors or self.desired is None:
            count = len(self.errors)
            raise InvalidManifests(
                f"{what} has {count} error{'s' * (count != 1)}", self.diagnostics
            )
        return self.desired


def read_desired(
    source: Source, base: Source | None, *, cache: Cache | None = None, jobs: int = 1
) -> DesiredState:
    """Load and check the manifests of `source`. `base` is what immutability and yanking are compared with.

    A base that is itself broken only takes part as far as it can be read.
    """
    with without_collection():
        loaded = load(source, cache, jobs=jobs)
        before = None
        if base is not None:
            before = load(base, cache, jobs=jobs, beside=loaded)
        diagnostics = loaded.diagnostics
        held = loaded.held
        findings = check_in_parts(loaded, before, jobs)
        diagnostics += locate(source, findings)
    held |= {
        entry.subject
        for entry in findings
        if entry.subject is not None and entry.severity is Severity.ERROR
    }
    return DesiredState(
        desired=loaded.desired,
        diagnostics=tuple(sorted(diagnostics, key=lambda entry: entry.sort_key)),
        checked=loaded.checked,
        held=held,
        refused=loaded.refused,
        paths=loaded.paths,
        loaded=loaded,
    )


def read_desired_at(
    repository: Repository,
    commit: str,
    *,
    base: str | None = None,
    cache: Cache | None = None,
    jobs: int = 1,
) -> DesiredState:
    """The manifests of a commit, compared with `base` or else with its first parent."""
    before = base if base is not None else repository.first_parent(commit)
    return read_desired(
        repository.snapshot(commit),
        repository.snapshot(before) if before is not None else None,
        cache=cache,
        jobs=jobs,
    )


def read_recorded(
    repository: Repository, *, ref: str = RECORDS_BRANCH, cache: Cache | None = None
) -> Recorded:
    """The records at the tip of the records branch; empty while there is none."""
    oid = repository.ref(ref)
    if oid is None:
        return Recorded()
    return load_recorded(oid, repository.tree(oid), repository.read_blobs, cache)


__all__ = ["DesiredState", "Loaded", "read_desired", "read_desired_at", "read_recorded"]
