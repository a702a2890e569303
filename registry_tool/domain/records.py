"""Record kinds: what the recorder writes, one immutable file per event."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from registry_tool.domain.deployment import WeightsMode
from registry_tool.domain.digests import Digest, Sha256
from registry_tool.domain.environment import Target
from registry_tool.domain.frozen import Frozen
from registry_tool.domain.manifest import Manifest, UnnamedMetadata
from registry_tool.domain.names import DnsLabel, ModelName, QuantizationName
from registry_tool.domain.subjects import DeploymentId, ReleaseId
from registry_tool.domain.versions import Version

Count = Annotated[int, Field(ge=0)]
RevisionText = Annotated[
    str, StringConstraints(pattern=r"^.+@sha(1:[0-9a-f]{40}|256:[0-9a-f]{64})$")
]
ERROR_LIMIT = 4096
"""Bytes of a failed step that a record keeps; the whole log is an artifact in the store."""


class ImageRole(StrEnum):
    """Which of a release's three images is meant."""

    COMPLETE = "complete"
    RUNTIME = "runtime"
    WEIGHTS = "weights"


class BuiltImage(Frozen):
    """One published image."""

    role: ImageRole
    """Complete, without weights, or weights only."""
    reference: str
    """Repository and tag."""
    digest: Digest
    """Of the image manifest, or of the index when there are several platforms."""
    size: Count
    """Bytes of all distinct blobs of the image."""


class BuiltLayer(Frozen):
    """One layer of the complete image, in order."""

    digest: Digest
    """Of the blob."""
    size: Count
    """Bytes of the blob."""
    source: Literal["base", "template", "weights", "runtime"]
    """Where the layer comes from."""
    uploaded: bool
    """Whether this build wrote the blob; otherwise the store had it."""


class BytesMoved(Frozen):
    """Bytes of layers."""

    upload: Count = 0
    """Written to the store by this build."""
    reuse: Count = 0
    """Already in the store."""


class Timings(Frozen):
    """When something ran."""

    started_at: AwareDatetime
    """When it began."""
    finished_at: AwareDatetime
    """When it ended."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.finished_at - self.started_at).total_seconds()


class BuildResult(StrEnum):
    """How a build ended, or that its image is gone."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    PRUNED = "pruned"


class BuildSpec(Frozen):
    """One build of a release."""

    model: ModelName
    """The model of the release."""
    version: Version
    """The version of the release."""
    quantization: QuantizationName
    """The quantization of the release."""
    key: Sha256
    """The build key."""
    key_parts: dict[str, Sha256]
    """SHA-256 of each part; the key is the SHA-256 of their canonical JSON."""
    revision: RevisionText
    """The revision of the manifests."""
    store: str
    """Where the images are; a build counts for this store only."""
    images: tuple[BuiltImage, ...] = ()
    """The published images."""
    layers: tuple[BuiltLayer, ...] = ()
    """Layers of the complete image."""
    bytes: BytesMoved = Field(default_factory=BytesMoved)
    """Bytes of layers written and reused."""
    builder: str
    """Which builder made the image."""
    adopted: bool = False
    """Whether a finished image was found in the store instead of being built."""
    timings: Timings
    """When it ran."""
    result: BuildResult
    """How it ended."""
    error: Annotated[str, StringConstraints(max_length=ERROR_LIMIT)] | None = None
    """The end of the failed step's output, secrets removed."""
    log: str | None = None
    """Reference of the full log."""


class Build(Manifest):
    """One build of a release."""

    kind: Literal["Build"] = "Build"
    metadata: UnnamedMetadata = Field(default_factory=UnnamedMetadata)
    spec: BuildSpec

    @property
    def release(self) -> ReleaseId:
        """What was built."""
        return ReleaseId(self.spec.model, self.spec.version, self.spec.quantization)

    def image(self, role: ImageRole) -> BuiltImage | None:
        """The image of that role, when there is one."""
        return next((image for image in self.spec.images if image.role is role), None)


class DeploymentResult(StrEnum):
    """How a deployment ended."""

    SUCCEEDED = "succeeded"
    DELEGATED = "delegated"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    REMOVED = "removed"


class Person(Frozen):
    """A name and an e-mail address, from Git."""

    name: str
    """As Git has it."""
    email: str
    """As Git has it."""


class Provenance(Frozen):
    """Who asked for a deployment."""

    commit: str
    """The commit that changed the deployment's manifest (or its release, for a tracking deployment)."""
    author: Person
    """Who wrote the commit."""
    committer: Person
    """Who made the commit."""
    authored_at: datetime | None = None
    """When it was written."""
    approved_by: tuple[str, ...] = ()
    """Values of ``Reviewed-by`` and ``Approved-by`` trailers."""
    signer: str | None = None
    """The verified signer."""


class RecordedRelease(Frozen):
    """The release that a record speaks of."""

    model: ModelName
    """The model."""
    version: Version
    """The version."""
    quantization: QuantizationName
    """The quantization."""

    @property
    def id(self) -> ReleaseId:
        """As an identity."""
        return ReleaseId(self.model, self.version, self.quantization)


class DeploymentRecordSpec(Frozen):
    """One change of what runs."""

    environment: DnsLabel
    """Where."""
    name: DnsLabel
    """The deployment's name."""
    key: Sha256
    """The deployment key."""
    key_parts: dict[str, Sha256]
    """SHA-256 of each part of the deployment key."""
    build_key: Sha256 | None = None
    """The key of the build that is deployed; none when removed."""
    revision: RevisionText
    """The revision of the manifests."""
    release: RecordedRelease
    """What was deployed, or removed."""
    target: Target
    """The whole target, so that it can be found when its manifest is gone."""
    weights: WeightsMode = WeightsMode.BAKED
    """How the container gets the weights."""
    image: str | None = None
    """The image reference with digest that runs."""
    digest: Digest | None = None
    """The image digest that runs."""
    previous_digest: Digest | None = None
    """The image digest that ran before."""
    result: DeploymentResult
    """How it ended; ``delegated`` means rendered for another engine."""
    health: Literal["healthy", "unhealthy", "unknown"] = "unknown"
    """What the health check said."""
    timings: Timings
    """When it ran."""
    who: Provenance | None = None
    """Who asked for it."""
    error: Annotated[str, StringConstraints(max_length=ERROR_LIMIT)] | None = None
    """What went wrong, secrets removed."""


class DeploymentRecord(Manifest):
    """One change of what runs."""

    kind: Literal["DeploymentRecord"] = "DeploymentRecord"
    metadata: UnnamedMetadata = Field(default_factory=UnnamedMetadata)
    spec: DeploymentRecordSpec

    @property
    def deployment(self) -> DeploymentId:
        """What was deployed."""
        return DeploymentId(self.spec.environment, self.spec.name)


class RequestSpec(Frozen):
    """Somebody asks for something to be done although its inputs did not change."""

    action: Literal["build", "retry"]
    """``build`` also builds a release without auto_build; ``retry`` tries a failed key again."""
    subject: str
    """The release or deployment."""
    key: Sha256
    """The key that is asked for; a request for another key has no effect."""
    after: Count
    """The highest sequence of the subject's records when asked; a later record answers the request."""
    requested_by: Person
    """Who asks."""
    requested_at: AwareDatetime
    """When."""


class Request(Manifest):
    """Somebody asks for a build or a retry."""

    kind: Literal["Request"] = "Request"
    metadata: UnnamedMetadata = Field(default_factory=UnnamedMetadata)
    spec: RequestSpec
