"""What every check looks at: the manifests, those of the base revision, and what is known at all."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from registry_tool.domain.desired import Desired, Located
from registry_tool.domain.diagnostics import Finding, RelatedPlace
from registry_tool.domain.names import did_you_mean
from registry_tool.domain.subjects import DeploymentId, ReleaseId
from registry_tool.planning.keys import Keys
from registry_tool.planning.tracking import Tracks

SHOWN = 5
"""How many findings of one kind about one manifest are given; more would hide the others."""


class Context:
    """One desired state under check.

    `paths` also has subjects whose manifests have errors; `held` are those subjects.
    """

    def __init__(
        self,
        desired: Desired,
        base: Desired | None,
        paths: Mapping[str, str],
        held: Collection[str],
    ) -> None:
        self.desired = desired
        self.base = base
        self.keys = Keys(desired)
        self.tracks = Tracks(desired.releases)
        self._paths = paths
        self._held = held

    def is_known(self, subject: str) -> bool:
        """Whether there is a manifest of a subject, if only one with errors."""
        return subject in self._held or subject in self._paths

    def has_errors(self, subject: str) -> bool:
        """Whether a manifest of a subject could not be loaded. A release's lock counts to it."""
        return subject in self._held

    def base_release(self, deployment_id: DeploymentId) -> ReleaseId | None:
        """The release that a deployment meant in the base revision."""
        located = self.base.deployments.get(deployment_id) if self.base is not None else None
        if located is None or self.base is None:
            return None
        return Tracks(self.base.releases).release_of(located.manifest)


def unknown(
    code: str,
    located: Located[Any],
    pointer: tuple[str | int, ...],
    kind: str,
    name: str,
    *,
    known: Iterable[str],
    deleted: Located[Any] | None,
) -> Finding:
    """A reference that leads nowhere; `deleted` is what it led to in the base revision."""
    subject = located.manifest.subject
    if deleted is not None:
        return Finding(
            "RT217",
            located.path,
            pointer,
            f'{subject} refers to the {kind} "{name}", which this change deletes',
            f"restore {deleted.path}, or change what refers to it first",
            subject=subject,
        )
    names = sorted(known)
    listed = ", ".join(names[:SHOWN]) + (" …" if len(names) > SHOWN else "")
    return Finding(
        code,
        located.path,
        pointer,
        f'unknown {kind} "{name}"',
        did_you_mean(name, names) or (f"there are {listed}" if names else f"there is no {kind}"),
        subject=subject,
    )


def place(located: Located[Any], pointer: tuple[str | int, ...], message: str) -> RelatedPlace:
    """A value of another manifest that explains a finding."""
    return RelatedPlace(located.path, pointer, message)
