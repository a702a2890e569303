"""Desired and recorded state side by side, with what every single decision needs to look up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from registry_tool.domain.desired import Desired
from registry_tool.domain.recorded import Recorded, Sequenced
from registry_tool.domain.records import Build, BuildResult, RequestSpec
from registry_tool.domain.subjects import ReleaseId
from registry_tool.planning.holding import dependants
from registry_tool.planning.keys import Keys, store_name
from registry_tool.planning.tracking import Tracks

_REASON_LIMIT = 200


class State:
    """One pair of desired and recorded state. `held` is closed under dependants."""

    def __init__(self, desired: Desired, recorded: Recorded, held: frozenset[str]) -> None:
        self.desired = desired
        self.recorded = recorded
        self.held = dependants(desired, held)
        self.keys = Keys(desired)
        self.tracks = Tracks(desired.releases)
        self.store = store_name(desired.registry.manifest)

    @cached_property
    def deployed(self) -> frozenset[ReleaseId]:
        """Releases that deployments mean, whether they exist or not."""
        found = (
            self.tracks.release_of(located.manifest)
            for located in self.desired.deployments.values()
        )
        return frozenset(release for release in found if release is not None)

    @cached_property
    def _environments(self) -> frozenset[str]:
        held = (subject.split("/") for subject in self.held if subject.startswith("deployment/"))
        declared = (deployment.environment for deployment in self.desired.deployments)
        return frozenset((*declared, *(parts[1] for parts in held)))

    def populated(self, environment: str) -> bool:
        """Whether some deployment is declared in an environment, even one with errors."""
        return environment in self._environments

    @cached_property
    def _requests(self) -> Mapping[str, list[RequestSpec]]:
        found: dict[str, list[RequestSpec]] = {}
        for entry in self.recorded.requests:
            request = entry.record.spec
            found.setdefault(request.subject, []).append(request)
        return found

    def open_request(self, subject: str, key: str, sequence: int) -> RequestSpec | None:
        """The newest request for a key that no record after it has answered.

        `sequence` is the highest of the subject's records.
        """
        for request in reversed(self._requests.get(subject, ())):
            if request.key == key and request.after >= sequence:
                return request
        return None

    def builds_here(self, release: ReleaseId) -> Iterator[Sequenced[Build]]:
        """The release's builds in this store, newest first."""
        for entry in reversed(self.recorded.builds.get(release, ())):
            if entry.record.spec.store == self.store:
                yield entry

    def live_builds(self, release: ReleaseId) -> list[Build]:
        """Succeeded builds in this store whose images were not pruned since, newest first."""
        pruned: set[str] = set()
        live: list[Build] = []
        for entry in self.builds_here(release):
            spec = entry.record.spec
            if spec.result is BuildResult.PRUNED:
                pruned.add(spec.key)
            elif spec.result is BuildResult.SUCCEEDED and spec.key not in pruned:
                live.append(entry.record)
        return live

    def stored_layers(self) -> set[str]:
        """Digests of all layers that succeeded builds left in this store."""
        return {
            layer.digest
            for release in self.recorded.builds
            for build in self.live_builds(release)
            for layer in build.spec.layers
        }


def failure(error: str | None) -> str:
    """The last line of a recorded error that says something, for one line of a plan."""
    lines = [line.strip() for line in (error or "").splitlines()]
    telling = [line for line in lines if line and not line.startswith("help:")]
    text = telling[-1] if telling else "no reason was recorded"
    return text if len(text) <= _REASON_LIMIT else text[: _REASON_LIMIT - 1] + "…"


def listed(names: tuple[str, ...]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
