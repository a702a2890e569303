"""Kind Deployment: a release that runs in an environment."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from registry_tool.domain.frozen import Frozen
from registry_tool.domain.manifest import Manifest, Metadata
from registry_tool.domain.names import DnsLabel, ModelName, QuantizationName
from registry_tool.domain.quantities import Duration, Memory
from registry_tool.domain.release import Stage
from registry_tool.domain.storage import ImagePath
from registry_tool.domain.subjects import DeploymentId
from registry_tool.domain.versions import Version, VersionRange

PortNumber = Annotated[int, Field(ge=1, le=65535)]
EnvironmentVariable = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=200)
]
SecretName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
]
Argument = Annotated[str, StringConstraints(max_length=8192)]


class Port(Frozen):
    """A port of the container."""

    container: PortNumber
    """Inside the container."""
    host: PortNumber | None = None
    """On the host; unset is not published."""
    protocol: Literal["tcp", "udp"] = "tcp"
    """``tcp`` or ``udp``."""


class Volume(Frozen):
    """Storage mounted into the container."""

    source: Annotated[
        str, StringConstraints(pattern=r"^(/[^\n:]*|[A-Za-z0-9][A-Za-z0-9._-]*)$", max_length=1024)
    ]
    """A named volume, or an absolute host path where the environment allows it."""
    target: ImagePath
    """Where it is mounted."""
    read_only: bool = False
    """Whether the container may only read it."""


class WeightsMode(StrEnum):
    """How the container gets the weights."""

    BAKED = "baked"
    MOUNTED = "mounted"
    IMAGE = "image"


class Resources(Frozen):
    """What the container may use."""

    cpus: Annotated[float, Field(gt=0, le=4096)] | None = None
    """Processors."""
    memory: Memory | None = None
    """For example ``512Mi`` or ``2Gi``."""
    gpus: Annotated[int, Field(ge=0, le=64)] | None = None
    """Whole GPUs."""


class Healthcheck(Frozen):
    """How to see whether the container serves."""

    http: Annotated[str, StringConstraints(pattern=r"^/[^\s\"'\\]*$", max_length=1024)] | None = (
        None
    )
    """A path that answers 2xx or 3xx, asked by the reconciler or the kubelet."""
    command: Annotated[tuple[Argument, ...], Field(min_length=1)] | None = None
    """A command inside the container that exits 0."""
    port: PortNumber | None = None
    """The container port for `http`; the first of `ports` by default."""
    interval: Duration | None = None
    """How long to wait between two checks."""
    timeout: Duration | None = None
    """How long one check may take."""
    retries: Annotated[int, Field(ge=1, le=1000)] | None = None
    """How many checks in a row must fail before the container counts as unhealthy."""
    start_period: Duration | None = None
    """Failures in this time after the start do not count."""

    @model_validator(mode="after")
    def _one_probe(self) -> Self:
        if self.http is not None and self.command is not None:
            raise ValueError("a health check has http or command, not both")
        return self


class Strategy(Frozen):
    """How a new release takes the place of the old one."""

    type: Literal["rolling", "recreate"] = "rolling"
    """``rolling`` starts the new one first; ``recreate`` stops the old one first."""
    auto_rollback: bool = True
    """Go back when the new one does not become healthy."""


class Track(Frozen):
    """Follow releases instead of naming a version."""

    version: VersionRange = "*"
    """For example ``^1.2``; the highest version in it is deployed."""
    stage: Stage = Stage.RELEASED
    """Only releases of this stage are considered."""


class DeploymentSpec(Frozen):
    """A release that runs in an environment."""

    environment: DnsLabel
    """Where."""
    model: ModelName
    """Which model."""
    version: Version | None = None
    """Which version; required unless `track` is set."""
    quantization: QuantizationName = "none"
    """Which quantization."""
    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    """How many containers."""
    command: tuple[Argument, ...] | None = None
    """Replaces the image's command."""
    ports: tuple[Port, ...] = ()
    """Ports of the container."""
    env: dict[EnvironmentVariable, Argument] = Field(default_factory=dict)
    """Environment variables; never secrets."""
    secrets: tuple[SecretName, ...] = ()
    """Names of secrets that the operator granted, mounted at ``/run/secrets/<name>``."""
    weights: WeightsMode = WeightsMode.BAKED
    """How the container gets the weights."""
    volumes: tuple[Volume, ...] = ()
    """What else is mounted."""
    resources: Resources = Field(default_factory=Resources)
    """What the container may use."""
    healthcheck: Healthcheck | None = None
    """How to see whether the container serves; the template's probe by default."""
    strategy: Strategy = Field(default_factory=Strategy)
    """How a new release takes the place of the old one."""
    suspend: bool = False
    """Leave what runs alone until this is false."""
    track: Track | None = None
    """Follow releases instead of naming a version."""

    @model_validator(mode="after")
    def _version_or_track(self) -> Self:
        if (self.version is None) == (self.track is None):
            raise ValueError("a deployment names a version or has track, and not both")
        return self


class Deployment(Manifest):
    """A release that runs in an environment."""

    kind: Literal["Deployment"]
    metadata: Metadata
    spec: DeploymentSpec

    @property
    def id(self) -> DeploymentId:
        """Environment and name."""
        return DeploymentId(self.spec.environment, self.metadata.name)

    @property
    def subject(self) -> str:
        """``deployment/<environment>/<name>``."""
        return self.id.subject
