"""What deployers have in common: what they are given, and what each kind of target can do."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from registry_tool.domain.deployment import Deployment, WeightsMode
from registry_tool.domain.environment import Target, TargetType
from registry_tool.domain.progress import Progress
from registry_tool.domain.records import DeploymentResult, ImageRole
from registry_tool.domain.subjects import DeploymentId, ReleaseId

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
    # Volumes of a Swarm are on its machines, and only the managers are reached.
    TargetType.SWARM: frozenset((WeightsMode.BAKED,)),
    # Image volumes are a stable feature of Kubernetes alone; nobody fills others there.
    TargetType.KUBERNETES: frozenset((WeightsMode.BAKED, WeightsMode.IMAGE)),
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

ENGINES: frozenset[TargetType] = frozenset((TargetType.DOCKER, TargetType.SWARM))
"""Targets that are served through a connection to their engine; the others get rendered files."""

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
    """Reference with digest of the weights image, for weights modes other than `baked`."""
    target: str
    """The directory in the image that has, or receives, the release's files."""
    storage: str
    """The storage path of the release's files."""
    health: Health = Health()

    @property
    def name(self) -> str:
        """The deployment's name in its environment."""
        return self.deployment.metadata.name


@dataclass(frozen=True, slots=True)
class Place:
    """An environment as deployers know it, which may outlive its manifest."""

    environment: str
    target: Target


@dataclass(frozen=True, slots=True)
class Deployed:
    """How bringing a service to an engine ended, when it was possible to try.

    `rolled_back` means that what ran before runs again, or still.
    """

    result: Literal[
        DeploymentResult.SUCCEEDED, DeploymentResult.FAILED, DeploymentResult.ROLLED_BACK
    ]
    health: Literal["healthy", "unhealthy", "unknown"] = "unknown"
    error: str = ""
    """What went wrong, with the end of the container's log; secrets that were mounted are left out."""


@dataclass(frozen=True, slots=True)
class Watch:
    """What goes on beside an effect: `check` raises when it must not go on, before it and while it waits."""

    check: Callable[[], None]
    progress: Progress
    sleep: Callable[[float], None] = time.sleep


class EngineDeployer(Protocol):
    """Brings services to an engine itself.

    Every method may be repeated: after a crash it finds what is there and goes on. All raise
    EngineProblem when the engine cannot be used; nothing is recorded then, and it is tried again.
    """

    def deploy(self, place: Place, service: ServiceSpec, watch: Watch) -> Deployed:
        """Have the service run as it says, in place of what ran under its name."""

    def remove(self, place: Place, name: str, watch: Watch) -> None:
        """Have nothing run under that name."""

    def drift(
        self, place: Place, services: Sequence[ServiceSpec], known: Collection[str]
    ) -> dict[str, list[str]]:
        """What differs from `services`, by name, each in a few words. Reads only.

        Beside them, whatever runs here under a name that is not in `known` is told.
        """


LABEL = "io.registry-tool"
"""What the names of all labels start with."""
KEY = f"{LABEL}.deployment-key"


def service_labels(service: ServiceSpec) -> dict[str, str]:
    """By what everything that belongs to a deployment is found again."""
    return {
        f"{LABEL}.deployment": service.deployment.subject,
        KEY: service.key,
        f"{LABEL}.environment": service.deployment.spec.environment,
        f"{LABEL}.release": service.release.subject,
    }


def deployment_label(place: Place, name: str) -> str:
    """The label of one deployment, as a filter."""
    return f"{LABEL}.deployment={DeploymentId(place.environment, name).subject}"


def secret_variable(environment: str, secret: str) -> str:
    """The environment variable that holds a secret: ``RT_SECRET_<ENVIRONMENT>_<NAME>``."""
    return re.sub(r"[^A-Z0-9]", "_", f"RT_SECRET_{environment}_{secret}".upper())
