"""What deployers have in common: what they are given, and what each kind of target can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from registry_tool.domain.deployment import Deployment, WeightsMode
from registry_tool.domain.environment import TargetType
from registry_tool.domain.records import ImageRole
from registry_tool.domain.subjects import ReleaseId

RENDERER_VERSION: Mapping[TargetType, int] = {
    TargetType.COMPOSE: 1,
    TargetType.DOCKER: 1,
    TargetType.SWARM: 1,
    TargetType.KUBERNETES: 1,
}
"""Part of the deployment key: raised when equal deployments would run differently than before."""

WEIGHTS_MODES: Mapping[TargetType, frozenset[WeightsMode]] = {
    # A rendered file runs on a machine that nobody here has seen: only what is in the image is sure.
    TargetType.COMPOSE: frozenset((WeightsMode.BAKED,)),
    TargetType.DOCKER: frozenset((WeightsMode.BAKED, WeightsMode.MOUNTED)),
    TargetType.SWARM: frozenset((WeightsMode.BAKED, WeightsMode.MOUNTED)),
    # Image volumes are a stable feature of Kubernetes alone.
    TargetType.KUBERNETES: frozenset(WeightsMode),
}
"""How the container gets the weights, by what the target's engine can do.

`baked`: the complete image. `mounted`: the runtime image, with a volume that the deployer fills from
the release's verified files. `image`: the runtime image, with the weights image as a volume.
"""

IMAGE_ROLES: Mapping[WeightsMode, ImageRole] = {
    WeightsMode.BAKED: ImageRole.COMPLETE,
    WeightsMode.MOUNTED: ImageRole.RUNTIME,
    WeightsMode.IMAGE: ImageRole.RUNTIME,
}
"""Which of a release's images the container runs."""

SHARED_HOST_PORTS: frozenset[TargetType] = frozenset((TargetType.SWARM, TargetType.KUBERNETES))
"""Targets that put several replicas behind one host port."""

ASKS_HTTP: frozenset[TargetType] = frozenset((TargetType.DOCKER, TargetType.KUBERNETES))
"""Targets whose `http` health checks need no command inside the container."""


@dataclass(frozen=True, slots=True)
class Health:
    """The health check that is in force. Neither `command` nor `http` means that there is none."""

    command: tuple[str, ...] = ()
    """Inside the container; exits 0 when all is well."""
    http: str | None = None
    """A path that answers 2xx or 3xx."""
    port: int | None = None
    """The container port of `http`."""


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """A deployment with everything resolved that a deployer needs."""

    deployment: Deployment
    release: ReleaseId
    """Which release runs: a tracking deployment does not say it itself."""
    key: str
    """The deployment key."""
    image: str
    """Reference with digest of the image that the container runs."""
    weights_image: str | None
    """Reference with digest of the weights image, for weights modes that need it."""
    target: str
    """The directory in the image that has, or receives, the release's files."""
    storage: str
    """The storage path of the release's files."""
    health: Health = Health()

    @property
    def name(self) -> str:
        """The deployment's name in its environment."""
        return self.deployment.metadata.name
