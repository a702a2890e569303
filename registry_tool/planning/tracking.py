"""Which release a deployment means: the one that it names, or the best one that it tracks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from registry_tool.domain.deployment import Deployment
from registry_tool.domain.desired import Located
from registry_tool.domain.release import Release
from registry_tool.domain.subjects import ReleaseId
from registry_tool.domain.versions import precedence, satisfies


class Tracks:
    """Resolves deployments among the releases of one desired state."""

    def __init__(self, releases: Mapping[ReleaseId, Located[Release]]) -> None:
        self._releases = releases

    @cached_property
    def _by_model(self) -> Mapping[tuple[str, str], list[ReleaseId]]:
        """Releases of each model and quantization, highest version first."""
        found: dict[tuple[str, str], list[ReleaseId]] = {}
        for release in self._releases:
            found.setdefault((release.model, release.quantization), []).append(release)
        for releases in found.values():
            releases.sort(key=lambda release: precedence(release.version), reverse=True)
        return found

    def release_of(self, deployment: Deployment) -> ReleaseId | None:
        """The release to deploy, which need not exist; None when nothing satisfies `track`.

        Tracking skips yanked releases, so yanking one moves its trackers to the next best.
        """
        spec = deployment.spec
        if spec.version is not None:
            return ReleaseId(spec.model, spec.version, spec.quantization)
        track = spec.track
        if track is None:
            return None
        for release_id in self._by_model.get((spec.model, spec.quantization), ()):
            release = self._releases[release_id].manifest.spec
            if release.stage is not track.stage or release.yanked is not None:
                continue
            if satisfies(release_id.version, track.version):
                return release_id
        return None
