"""Who changed what and what was done: commits of manifests and records in one list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from registry_tool.cli.formats.layout import human_bytes
from registry_tool.domain.kinds import MANIFESTS_FOLDER, TEMPLATES_FOLDER
from registry_tool.domain.recorded import Recorded, Sequenced
from registry_tool.domain.records import Build, BuildResult, DeploymentRecord
from registry_tool.manifests.loading import load

if TYPE_CHECKING:
    from registry_tool.manifests.source import Cache
    from registry_tool.repository.history import CommitInfo
    from registry_tool.repository.repository import Repository


@dataclass(frozen=True)
class Event:
    """A commit (`kind` commit) or a record (build, deployment, request)."""

    at: datetime
    kind: str
    name: str
    """The commit's oid, or the subject of the record."""
    who: str
    text: str
    sequence: int | None = None

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return vars(self) | {"at": self.at.isoformat()}


def newest_first(events: Iterator[Event]) -> list[Event]:
    """Sorted by time, then as they came."""
    return sorted(events, key=lambda event: event.at, reverse=True)


def all_commits(repository: Repository, revision: str, limit: int) -> Iterator[Event]:
    """Commits that changed any manifest or template."""
    folders = (MANIFESTS_FOLDER, TEMPLATES_FOLDER)
    yield from map(_commit_event, repository.commits(revision, folders, limit))


def commits_of(
    repository: Repository,
    revision: str,
    paths: Sequence[str],
    subject: str,
    *,
    limit: int,
    cache: Cache | None = None,
) -> Iterator[Event]:
    """Commits that changed the files of a subject, followed to where they lay before they moved."""
    seen: set[str] = set()
    while paths:
        oldest: CommitInfo | None = None
        for commit in repository.commits(revision, paths, limit - len(seen)):
            oldest = commit
            if commit.oid not in seen:
                seen.add(commit.oid)
                yield _commit_event(commit)
        if oldest is None or len(seen) >= limit:
            return
        parent = repository.first_parent(oldest.oid)
        earlier = paths_at(repository, parent, subject, cache) if parent else ()
        if not earlier or set(earlier) <= set(paths):
            return
        paths, revision = earlier, parent or revision


def paths_at(
    repository: Repository, commit: str, subject: str, cache: Cache | None
) -> tuple[str, ...]:
    """The files that declared a subject at a commit: its manifest, a release's lock, a template's folder."""
    loaded = load(repository.snapshot(commit), cache)
    if loaded.desired is None:
        return ()
    path = loaded.paths.get(subject)
    if path is None:
        return ()
    if subject.startswith("template/"):
        return (path.removesuffix("/template.yaml"),)
    locks = [
        located.path
        for release, located in loaded.desired.locks.items()
        if release.subject == subject
    ]
    return (path, *locks)


def records_about(recorded: Recorded, subject: str | None) -> Iterator[Event]:
    """Builds, deployments and requests of one subject, or all; a release's deployments are its own."""
    for release, builds in recorded.builds.items():
        if subject in {None, release.subject, f"model/{release.model}"}:
            yield from map(_build_event, builds)
    for deployment, records in recorded.deployments.items():
        place = {None, deployment.subject, f"environment/{deployment.environment}"}
        for entry in records:
            release = entry.record.spec.release.id
            if subject in place | {release.subject}:
                yield _deployment_event(entry)
    for request in recorded.requests:
        spec = request.record.spec
        if subject in {None, spec.subject}:
            text = f"asked for a {spec.action}"
            who = spec.requested_by.name
            yield Event(spec.requested_at, "request", spec.subject, who, text, request.sequence)


def _commit_event(commit: CommitInfo) -> Event:
    return Event(commit.committed_at, "commit", commit.oid, commit.author.name, commit.subject)


def _build_event(entry: Sequenced[Build]) -> Event:
    spec = entry.record.spec
    text = f"{spec.result.value}, key {spec.key[:12]}"
    if spec.result is BuildResult.SUCCEEDED:
        text += ", adopted" if spec.adopted else f", {human_bytes(spec.bytes.upload)} uploaded"
    elif spec.error:
        text += f": {spec.error.strip().splitlines()[-1]}"
    subject = entry.record.release.subject
    return Event(spec.timings.finished_at, "build", subject, "", text, entry.sequence)


def _deployment_event(entry: Sequenced[DeploymentRecord]) -> Event:
    spec = entry.record.spec
    text = f"{spec.result.value} {spec.release.id}"
    if spec.error:
        text += f": {spec.error.strip().splitlines()[-1]}"
    who = spec.who.author.name if spec.who else ""
    subject = entry.record.deployment.subject
    return Event(spec.timings.finished_at, "deployment", subject, who, text, entry.sequence)
