"""What commands that only look need: the manifests of a commit, and subjects that exist in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry_tool.domain.names import did_you_mean
from registry_tool.domain.subjects import parse_release, parse_subject
from registry_tool.errors import InvalidManifests, UsageProblem

if TYPE_CHECKING:
    from registry_tool.cli.app import App
    from registry_tool.domain.desired import Desired
    from registry_tool.domain.revisions import Revision


@dataclass(frozen=True)
class Committed:
    """The manifests of a commit as far as they can be read; `paths`: subject to file."""

    revision: Revision
    desired: Desired
    paths: Mapping[str, str]


def read_committed(app: App, rev: str | None) -> Committed:
    """The manifests at `rev` (the tip of HEAD's branch by default), without cross-manifest checks.

    Manifests with errors are left out, with a note; raises InvalidManifests without a Registry.
    """
    from registry_tool.manifests.loading import load

    revision = app.repository.revision(rev)
    loaded = load(app.repository.snapshot(revision.oid), app.cache, jobs=app.jobs)
    if loaded.desired is None:
        raise InvalidManifests(f"{revision.short} has no valid Registry", loaded.diagnostics)
    if loaded.held or loaded.refused:
        app.note(
            f"note: {revision.short} has invalid manifests, which are left out;"
            f" see registry-tool validate --rev {revision.oid[:12]}"
        )
    return Committed(revision, loaded.desired, loaded.paths)


def all_subjects(desired: Desired) -> list[str]:
    """Every subject that has a manifest, sorted."""
    return sorted(
        [
            *(f"model/{name}" for name in desired.models),
            *(release.subject for release in desired.releases),
            *(f"environment/{name}" for name in desired.environments),
            *(deployment.subject for deployment in desired.deployments),
            *(f"template/{name}" for name in desired.templates),
            *(f"api-key/{name}" for name in desired.api_keys),
        ]
    )


def existing_subject(text: str, desired: Desired, where: str) -> str:
    """The canonical subject that `text` names; raises UsageProblem with the nearest one."""
    known = all_subjects(desired)
    try:
        subject = parse_subject(text)
    except UsageProblem as problem:
        short = subject_of_any_kind(text, known)
        if short is not None:
            return short
        names = [*known, *(subject.partition("/")[2] for subject in known)]
        hint = did_you_mean(text, names) or problem.help
        raise UsageProblem(problem.message, help=hint) from None
    if subject in known or subject.startswith("artifact/"):
        return subject
    raise UsageProblem(f"there is no {subject} in {where}", help=nearest(text, known))


def subject_of_any_kind(text: str, known: Collection[str]) -> str | None:
    """The one of `known` that `text` names without its kind, or None; UsageProblem for several."""
    meant = [subject for subject in known if subject.partition("/")[2] == text]
    try:
        release = parse_release(text).subject
    except UsageProblem:
        release = ""
    if release in known and release not in meant:
        meant.append(release)
    if len(meant) > 1:
        raise UsageProblem(
            f'"{text}" may be {" or ".join(sorted(meant))}', help="write the one that is meant"
        )
    return meant[0] if meant else None


def nearest(text: str, known: list[str]) -> str | None:
    """A suggestion for a mistyped or incomplete subject."""
    ending = [subject for subject in known if subject.partition("/")[2] == text]
    if ending:
        return f'did you mean "{ending[0]}"?'
    return did_you_mean(text, known)
