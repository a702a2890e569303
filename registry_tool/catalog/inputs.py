"""What a catalog is made from: plain values that somebody else read from Git."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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
    """A valid manifest file of the revision."""

    path: str
    oid: str
    """The blob's."""
    kind: str
    """``Model``, ``Release``, ``ArtifactLock`` …"""
    name: str
    """The identity: names joined by slashes, as in a subject without its kind."""
    manifest: AnyManifest
    files: tuple[TemplateFile, ...] = ()
    """Of a BuildTemplate: what lies beside it, sorted by path."""


@dataclass(frozen=True, slots=True)
class InvalidFile:
    """A manifest or record file with errors; its subject keeps other files of its identity out."""

    path: str
    subject: str | None
    """When it is known all the same."""
    problems: tuple[Problem, ...]
    kind: str | None = None


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
    """Against the commit's own parent: ``A`` added, ``M`` modified, ``D`` deleted."""
    arrived: str | None
    """The same against the step before, for the commit that counts as the one which made the path what it is at its
    step: ``A``, ``M``, ``D``, or ``R`` where the content of `origin` moved here. None for other commits."""
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit that changed manifests or templates.

    Steps are the commits on the line of first parents, counted from the oldest on; a commit that came in by a merge
    has the merge's step.
    """

    oid: str
    step: int
    author: Person
    authored_at: datetime
    committer: Person
    committed_at: datetime
    message: str
    """The first line."""
    body: str
    approved_by: tuple[str, ...] = ()
    """Values of ``Reviewed-by`` and ``Approved-by`` trailers."""
    is_merge: bool = False
    touches: tuple[Touch, ...] = ()


@dataclass(frozen=True)
class Tip:
    """What was asked for. When it is not accepted, the newest first parent that is stays in force."""

    oid: str
    refused: tuple[InvalidFile, ...] = ()
    """Why it was not; empty when it is what the pair shows."""


class Blob(NamedTuple):
    """A file of the revision."""

    path: str
    oid: str
    executable: bool = False


class KeyQuestion(NamedTuple):
    """Which key a deployment should run with."""

    deployment: str
    """Its id, ``<environment>/<name>``."""
    release: str
    """The id of the release that it means now."""
    files: tuple[Blob, ...]
    """All that decides: Registry, environment, deployment, model, release, lock, and the template with its folder."""


DeploymentKeys = Callable[[Sequence[KeyQuestion]], Mapping[str, str]]
"""Keys by deployment; those that cannot be told are left out."""


def no_keys(_: Sequence[KeyQuestion]) -> Mapping[str, str]:
    """Tell none."""
    return {}


@dataclass(frozen=True)
class CatalogInputs:
    """A whole revision. Everything is read once: steps and commits from the oldest on, files in any order."""

    pair: CatalogPair
    manifests: Iterable[ManifestFile | InvalidFile]
    records: Iterable[RecordFile | InvalidFile]
    steps: Iterable[str]
    """Oids on the line of first parents."""
    commits: Iterable[Commit]
    committed_at: datetime | None = None
    """Of the manifests' commit."""
    tip: Tip | None = None
    keys: DeploymentKeys = no_keys


@dataclass(frozen=True)
class CatalogDelta:
    """What tells a revision from the one that a catalog shows."""

    before: CatalogPair
    after: CatalogPair
    manifests: Mapping[str, ManifestFile | InvalidFile | None] = field(default_factory=dict)
    """Changed files by path; None is gone."""
    records: Mapping[str, RecordFile | InvalidFile | None] = field(default_factory=dict)
    keep_steps: int | None = None
    """How many steps stay; None is all. Commits of later ones are not part of the new revision."""
    steps: Iterable[str] = ()
    """Further ones."""
    commits: Iterable[Commit] = ()
    """Of the further steps, from the oldest on."""
    committed_at: datetime | None = None
    """Of the manifests' commit."""
    tip: Tip | None = None
    keys: DeploymentKeys = no_keys


Progress = Callable[[str, int], None]
"""Told now and then how many of something a cold build has done."""
