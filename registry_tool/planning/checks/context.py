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
SUGGESTIONS = 100
"""How many unknown names get a suggestion."""


_UNKNOWN = {"release": "RT210", "template": "RT211", "environment": "RT212", "model": "RT214"}


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
        self._base_tracks = Tracks(base.releases) if base is not None else None
        self._paths = paths
        self._held = held
        self._suggestions: dict[tuple[str, str], str | None] = {}

    def is_known(self, subject: str) -> bool:
        """Whether there is a manifest of a subject, if only one with errors."""
        return subject in self._held or subject in self._paths

    def has_errors(self, subject: str) -> bool:
        """Whether a manifest of a subject could not be loaded. A release's lock counts to it."""
        return subject in self._held

    def suggestion(self, kind: str, name: str, known: Iterable[str]) -> str | None:
        """The nearest known name, as a question.

        Comparing with thousands of names is slow, so it is done for a hundred names at most: who
        has more unknown ones has made one mistake, and not a hundred.
        """
        asked = (kind, name)
        if asked not in self._suggestions:
            if len(self._suggestions) >= SUGGESTIONS:
                return None
            self._suggestions[asked] = did_you_mean(name, known)
        return self._suggestions[asked]

    def may_track_errors(self, model: str, quantization: str) -> bool:
        """Whether a release that could not be loaded might be the one that is tracked."""
        return any(
            subject.startswith(f"release/{model}/") and subject.endswith(f"/{quantization}")
            for subject in self._held
        )

    def base_release(self, deployment_id: DeploymentId) -> ReleaseId | None:
        """The release that a deployment meant in the base revision."""
        located = self.base.deployments.get(deployment_id) if self.base is not None else None
        if located is None or self._base_tracks is None:
            return None
        return self._base_tracks.release_of(located.manifest)


def unknown(
    context: Context,
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
        _UNKNOWN[kind],
        located.path,
        pointer,
        f'unknown {kind} "{name}"',
        context.suggestion(kind, name, names)
        or (f"there are {listed}" if names else f"there is no {kind}"),
        subject=subject,
    )


def place(located: Located[Any], pointer: tuple[str | int, ...], message: str) -> RelatedPlace:
    """A value of another manifest that explains a finding."""
    return RelatedPlace(located.path, pointer, message)
