"""Who changed what and what was done: commits of manifests and records in one list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from registry_tool.cli.formats.layout import human_bytes
from registry_tool.domain.kinds import MANIFESTS_FOLDER, TEMPLATES_FOLDER
from registry_tool.domain.recorded import Recorded, Sequenced
from registry_tool.domain.records import Build, BuildResult, DeploymentRecord
from registry_tool.domain.subjects import parse_release
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
    """Sorted by time; what happened in the same second stays as it came."""
    return sorted(events, key=lambda event: event.at, reverse=True)


def all_commits(repository: Repository, revision: str, limit: int) -> Iterator[Event]:
    """Commits that changed any manifest or template."""
    folders = (MANIFESTS_FOLDER, TEMPLATES_FOLDER)
    yield from map(_commit_event, repository.commits(revision, folders, limit))


def commits_of(
    repository: Repository,
    revision: str,
    files: Mapping[str, str],
    subject: str,
    *,
    limit: int,
    cache: Cache | None = None,
) -> Iterator[Event]:
    """Commits that changed a subject's files, each followed to where it lay before it moved."""
    found: set[str] = set()
    paths: set[str] = set()
    for part, path in files.items():
        at: str | None = revision
        here: str | None = path
        while at is not None and here is not None:
            oldest = at
            paths.add(here)
            for commit in repository.commits(at, (here,), limit):
                oldest = commit.oid
                found.add(oldest)
            at = repository.first_parent(oldest)
            before = files_at(repository, at, subject, cache).get(part) if at else None
            here = before if before != here else None
    # Once more, for one order. What else used the same paths at other times is left out.
    for commit in repository.commits(revision, sorted(paths)):
        if commit.oid in found:
            yield _commit_event(commit)


def files_at(
    repository: Repository, commit: str, subject: str, cache: Cache | None
) -> dict[str, str]:
    """What declares a subject at a commit: its manifest, a release's lock, a template's folder."""
    loaded = load(repository.snapshot(commit), cache)
    path = loaded.paths.get(subject)
    if loaded.desired is None or path is None:
        return {}
    if subject.startswith("template/"):
        return {"template": path.removesuffix("/template.yaml")}
    files = {"manifest": path}
    if subject.startswith("release/"):
        lock = loaded.desired.locks.get(parse_release(subject))
        files |= {"lock": lock.path} if lock else {}
    return files


def records_about(recorded: Recorded, subject: str | None) -> Iterator[Event]:
    """Deployments, builds and requests of one subject, or all: the latest first."""
    for deployment, records in recorded.deployments.items():
        place = {None, deployment.subject, f"environment/{deployment.environment}"}
        for entry in reversed(records):
            if subject in place | {entry.record.spec.release.id.subject}:
                yield _deployment_event(entry)
    for release, builds in recorded.builds.items():
        if subject in {None, release.subject, f"model/{release.model}"}:
            yield from map(_build_event, reversed(builds))
    for request in reversed(recorded.requests):
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
