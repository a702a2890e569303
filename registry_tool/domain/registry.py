"""Kind Registry: the settings of one repository."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from registry_tool.domain.frozen import Frozen
from registry_tool.domain.manifest import LabelKey, Manifest, Metadata
from registry_tool.domain.quantities import Duration, parse_duration
from registry_tool.domain.references import Repository


class ImagesSettings(Frozen):
    """Where images go."""

    repository: Repository | None = None
    """``host[:port]/path`` of an OCI registry; without it images go to the embedded OCI layout."""
    insecure: bool = False
    """Speak plain HTTP to the registry."""
    served_at: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z0-9.\[\]:-]+(:[0-9]+)?$", max_length=253)
    ] = "localhost:8000"
    """The ``host[:port]`` at which pullers reach the embedded layout."""
    keep: Annotated[int, Field(ge=1)] | None = None
    """How many images of a release garbage collection keeps; unset keeps all."""


class BuilderChoice(StrEnum):
    """Which builder assembles images."""

    AUTO = "auto"
    DOCKER = "docker"


class BuildsSettings(Frozen):
    """How images are built."""

    timeout: Duration = Field(default_factory=lambda: parse_duration("1h"))
    """A build that takes longer is stopped and recorded as failed."""
    builder: BuilderChoice = BuilderChoice.AUTO
    """``auto`` assembles `image:` templates natively; ``docker`` sends everything through an engine."""


class StorageSettings(Frozen):
    """Which storage may be read."""

    allowed: Annotated[
        tuple[Annotated[str, StringConstraints(min_length=1, max_length=1024)], ...],
        Field(min_length=1),
    ]
    """URL or absolute path prefixes (whole components); nothing else is ever read."""


class WebSettings(Frozen):
    """The web index."""

    title: Annotated[str, StringConstraints(max_length=100)] = "Model registry"
    """Shown on every page."""
    edit_url: (
        Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$", max_length=1024)] | None
    ) = None
    """Where the forge edits a file; ``{path}`` is replaced by the manifest's path."""
    require_api_key: bool = False
    """Whether API and pages need a key."""
    cors_origins: tuple[
        Annotated[str, StringConstraints(pattern=r"^(\*|https?://[^\s/]+)$")], ...
    ] = ()
    """Origins that browsers may call the API from."""


class Event(StrEnum):
    """What a notification can be about."""

    BUILD_SUCCEEDED = "build_succeeded"
    BUILD_FAILED = "build_failed"
    DEPLOYED = "deployed"
    DEPLOYMENT_FAILED = "deployment_failed"
    ROLLED_BACK = "rolled_back"
    REVISION_REFUSED = "revision_refused"


class NotificationSettings(Frozen):
    """One receiver of notifications."""

    secret: Annotated[
        str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)
    ]
    """The name of the granted secret that holds the receiver's URL."""
    events: tuple[Event, ...] = tuple(Event)
    """Which events are sent; all by default."""


class PolicySettings(Frozen):
    """Rules that manifests must follow."""

    licenses: tuple[Annotated[str, StringConstraints(min_length=1, max_length=100)], ...] = ()
    """Licenses that models may have; empty allows any."""
    required_labels: tuple[LabelKey, ...] = ()
    """Labels that every Model, Release and Deployment must carry."""
    base_images: tuple[Annotated[str, StringConstraints(min_length=1, max_length=512)], ...] = ()
    """Repository prefixes that base images may come from; empty allows any."""


class AllowedSigner(Frozen):
    """One signer, as in ssh-keygen's allowed_signers file."""

    principal: Annotated[str, StringConstraints(pattern=r"^[^\s,\"]+$", max_length=254)]
    """Usually an e-mail address."""
    key: Annotated[
        str,
        StringConstraints(
            pattern=r"^(ssh-[a-z0-9-]+|ecdsa-[a-z0-9-]+|sk-[a-z0-9@.-]+|gpg) [A-Za-z0-9+/=]+$",
            max_length=2000,
        ),
    ]
    """The public key: its type and value, or ``gpg`` and a fingerprint."""


class TrustSettings(Frozen):
    """Whose signatures count."""

    commits: tuple[AllowedSigner, ...] = ()
    """Who may sign commits of manifests; empty means signatures are not required."""
    records: tuple[AllowedSigner, ...] = ()
    """Who may sign records; empty means signatures are not required."""


class RegistrySpec(Frozen):
    """Settings of a repository."""

    images: ImagesSettings = Field(default_factory=ImagesSettings)
    """Where images go."""
    builds: BuildsSettings = Field(default_factory=BuildsSettings)
    """How images are built."""
    storage: StorageSettings
    """Which storage may be read."""
    web: WebSettings = Field(default_factory=WebSettings)
    """The web index."""
    notifications: tuple[NotificationSettings, ...] = ()
    """Who is told what."""
    policy: PolicySettings = Field(default_factory=PolicySettings)
    """Rules that manifests must follow."""
    trust: TrustSettings = Field(default_factory=TrustSettings)
    """Whose signatures count."""


class Registry(Manifest):
    """The settings of a registry repository; there is exactly one."""

    kind: Literal["Registry"]
    metadata: Metadata
    spec: RegistrySpec

    @property
    def subject(self) -> str:
        """``registry/<name>``."""
        return f"registry/{self.metadata.name}"
