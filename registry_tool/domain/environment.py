"""Kind Environment: a place that deployments run in, and its gates."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, StringConstraints

from registry_tool.domain.frozen import Frozen
from registry_tool.domain.manifest import Manifest, Metadata
from registry_tool.domain.names import DnsLabel
from registry_tool.domain.quantities import Duration
from registry_tool.domain.release import Stage


class TargetType(StrEnum):
    """Which deployer serves an environment."""

    COMPOSE = "compose"
    DOCKER = "docker"
    SWARM = "swarm"
    KUBERNETES = "kubernetes"


class Target(Frozen):
    """Where deployments of an environment run."""

    type: TargetType = TargetType.COMPOSE
    """The kind of engine."""
    host: (
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
        | None
    ) = None
    """A Docker context, or a host that the operator granted; never an address."""
    namespace: DnsLabel | None = None
    """The Kubernetes namespace; in a Swarm, the `namespace` label of the nodes to use."""
    network: (
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
        | None
    ) = None
    """The network that containers join; an own one by default."""


def _time_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            "a time zone is a name of the IANA database, for example Europe/Berlin"
        ) from None
    return name


class Freeze(Frozen):
    """A recurring time in which nothing is deployed."""

    schedule: Annotated[str, StringConstraints(min_length=9, max_length=200)]
    """When it begins: a cron expression of five fields."""
    duration: Duration
    """How long it lasts."""
    timezone: Annotated[str, StringConstraints(max_length=64), AfterValidator(_time_zone)] = "UTC"
    """An IANA time zone."""
    reason: str = ""
    """Shown while it lasts."""


class Approvals(Frozen):
    """How many people must have approved a change of a deployment."""

    count: Annotated[int, Field(ge=1, le=20)] = 1
    """Distinct approvers other than the author."""
    from_: Annotated[
        tuple[Annotated[str, StringConstraints(min_length=1, max_length=254)], ...],
        Field(alias="from"),
    ] = ()
    """E-mail addresses that count; empty means anyone's."""


class EnvironmentSpec(Frozen):
    """A place that deployments run in."""

    target: Target = Field(default_factory=Target)
    """Where deployments run."""
    accepts: tuple[Stage, ...] = (Stage.CANDIDATE, Stage.RELEASED)
    """Stages of releases that may run here."""
    promote_from: DnsLabel | None = None
    """The environment in which a release must have run before."""
    soak: Duration | None = None
    """How long it must have run there."""
    freeze: tuple[Freeze, ...] = ()
    """Times in which nothing is deployed."""
    approvals: Approvals | None = None
    """Who must have approved."""
    allow_host_paths: bool = False
    """Whether deployments may mount host paths."""
    allow_empty: bool = False
    """Whether the last deployment may be removed."""


class Environment(Manifest):
    """A place that deployments run in."""

    kind: Literal["Environment"]
    metadata: Metadata
    spec: EnvironmentSpec

    @property
    def subject(self) -> str:
        """``environment/<name>``."""
        return f"environment/{self.metadata.name}"
