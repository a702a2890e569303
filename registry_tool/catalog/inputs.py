"""What a catalog is made from: plain values that somebody else read from Git."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from registry_tool.domain.kinds import AnyManifest, AnyRecord
from registry_tool.domain.records import Person
from registry_tool.domain.revisions import Revision


class CatalogPair(NamedTuple):
    """Names what a catalog shows: a revision of the manifests and a commit of the records."""

    revision: Revision
    """The ref that was asked for, and the commit whose manifests are shown."""
    records: str | None
    """The commit of the records; None before the first one."""

    @property
    def manifests(self) -> str:
        """The oid of the manifests' commit."""
        return self.revision.oid

    @property
    def key(self) -> str:
        """For file names and entity tags: both oids, the ref left out."""
        return f"{self.manifests}-{self.records or 'none'}"


class Problem(NamedTuple):
    """What is wrong with a file: a diagnostic of the manifest loader, for people."""

    code: str
    message: str
    line: int
    column: int
    help: str | None


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """A manifest file of the revision. An invalid one has an identity, problems and no manifest."""

    path: str
    oid: str
    """The blob's."""
    kind: str
    """``Model``, ``Release``, ``ArtifactLock`` …"""
    name: str
    """The identity: names joined by slashes, as in a subject without its kind."""
    manifest: AnyManifest | None
    problems: tuple[Problem, ...] = ()
    files: tuple[TemplateFile, ...] = ()
    """Of a BuildTemplate: what lies beside it, sorted by path."""


class TemplateFile(NamedTuple):
    """A file beside template.yaml; its content stays in Git."""

    path: str
    """Relative to the template's folder."""
    oid: str
    executable: bool


@dataclass(frozen=True, slots=True)
class RecordFile:
    """A file of the records branch."""

    path: str
    sequence: int
    record: AnyRecord


class Touch(NamedTuple):
    """A path that a commit changed."""

    path: str
    status: str
    """``A`` added, ``M`` modified, ``D`` deleted, ``R`` moved here unchanged from `origin`."""
    effective: bool
    """Whether this is how the path came to be as it is on the revision's own line of first parents."""
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit that changed manifests or templates.

    `step` counts commits on the line of first parents from the oldest on; a commit that came in by a merge has the
    merge's step.
    """

    oid: str
    step: int
    author: Person
    authored_at: datetime
    committer: Person
    committed_at: datetime
    subject: str
    body: str
    approved_by: tuple[str, ...] = ()
    """Values of ``Reviewed-by`` and ``Approved-by`` trailers."""
    is_merge: bool = False
    touches: tuple[Touch, ...] = ()


@dataclass(frozen=True)
class CatalogInputs:
    """A whole revision. Iterables are read once, in any order of files, and commits from the oldest on."""

    pair: CatalogPair
    manifests: Iterable[ManifestFile]
    records: Iterable[RecordFile]
    commits: Iterable[Commit]


@dataclass(frozen=True)
class CatalogDelta:
    """What tells a revision from the one that a catalog shows."""

    before: CatalogPair
    after: CatalogPair
    manifests: Mapping[str, ManifestFile | None] = field(default_factory=dict)
    """Changed files by path; None is gone."""
    records: Mapping[str, RecordFile | None] = field(default_factory=dict)
    keep_steps: int | None = None
    """Commits of later steps are not part of the new revision; None keeps all."""
    commits: Iterable[Commit] = ()
    """What is new, from the oldest on."""


Progress = Callable[[str, int], None]
"""Told now and then how many of something a cold build has done."""
