"""Kinds Release and ArtifactLock: a version to ship, and the files that it is made of."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue, StringConstraints

from registry_tool.domain.digests import Digest, Sha256
from registry_tool.domain.frozen import Frozen
from registry_tool.domain.globs import glob_problem
from registry_tool.domain.manifest import Manifest, UnnamedMetadata
from registry_tool.domain.names import ModelName, QuantizationName, TemplateName
from registry_tool.domain.storage import ImagePath, LockedPath, StoragePath
from registry_tool.domain.subjects import ReleaseId
from registry_tool.domain.versions import Version

Platform = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]+/[a-z0-9_]+(/[a-z0-9]+)?$", max_length=64)
]
"""``os/architecture[/variant]``, for example ``linux/amd64``."""


def _glob(text: str) -> str:
    problem = glob_problem(text)
    if problem:
        raise ValueError(f'"{text}" cannot be a glob: {problem}')
    return text


Glob = Annotated[
    str,
    StringConstraints(min_length=1, max_length=1024, pattern=r"^[^/\\][^\\]*$"),
    AfterValidator(_glob),
]
"""A pattern of the gitignore language, relative to the storage path."""


class Stage(StrEnum):
    """Where a release is in its life."""

    CANDIDATE = "candidate"
    RELEASED = "released"
    DEPRECATED = "deprecated"


class TemplateUse(Frozen):
    """Which template builds a release."""

    name: TemplateName
    """The template."""
    params: dict[str, JsonValue] = Field(default_factory=dict)
    """Values for the template's parameters."""


class ArtifactGlobs(Frozen):
    """Which files under the storage path belong to a release (gitignore's glob language, relative paths)."""

    include: tuple[Glob, ...] = ("**",)
    """A file belongs when one of these matches …"""
    exclude: tuple[Glob, ...] = ()
    """… and none of these."""


class Yanked(Frozen):
    """Why a release must not be deployed any more."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    """Shown wherever the release is named."""


class ReleaseSpec(Frozen):
    """A version of a model to ship."""

    model: ModelName
    """The model."""
    version: Version
    """SemVer 2.0 without build metadata."""
    quantization: QuantizationName = "none"
    """How weights are quantized; a value, never absent."""
    stage: Stage = Stage.CANDIDATE
    """Once released, what is built may not change."""
    release_notes: str = ""
    """Markdown."""
    template: TemplateUse
    """How the image is made."""
    storage_path: StoragePath | None = None
    """Where this release's files live; the model's by default."""
    artifacts: ArtifactGlobs = Field(default_factory=ArtifactGlobs)
    """Which files belong to the release."""
    platforms: Annotated[tuple[Platform, ...], Field(min_length=1)] = ("linux/amd64",)
    """What the image is built for."""
    auto_build: bool = True
    """Whether a reconciler builds without being asked."""
    yanked: Yanked | None = None
    """Set to take the release out of use."""
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    """Any JSON."""


class Release(Manifest):
    """A version of a model, in one quantization, to build and ship."""

    kind: Literal["Release"]
    metadata: UnnamedMetadata = Field(default_factory=UnnamedMetadata)
    spec: ReleaseSpec

    @property
    def id(self) -> ReleaseId:
        """Model, version and quantization."""
        return ReleaseId(self.spec.model, self.spec.version, self.spec.quantization)

    @property
    def subject(self) -> str:
        """``release/<model>/<version>/<quantization>``."""
        return self.id.subject


class Role(StrEnum):
    """What a locked file is for."""

    WEIGHTS = "weights"
    TOKENIZER = "tokenizer"
    CONFIG = "config"
    REQUIREMENTS = "requirements"
    THIRD_PARTY = "third_party"
    WHEEL = "wheel"
    CODE = "code"
    OTHER = "other"


class LockedFile(Frozen):
    """One file, as it was when the lock was written."""

    path: LockedPath
    """Relative to the storage path, and to `target` in the image."""
    role: Role
    """What the file is for."""
    size: Annotated[int, Field(ge=0)]
    """Bytes."""
    sha256: Sha256
    """Of the content."""
    media_type: str | None = None
    """When known."""
    etag: str | None = None
    """The storage's entity tag at that time."""
    version_id: str | None = None
    """The storage's object version."""


class LockedLayer(Frozen):
    """One uncompressed tar layer over some of the files."""

    digest: Digest
    """Of the tar, which is also the diff id."""
    size: Annotated[int, Field(ge=0)]
    """Bytes of the tar."""
    files: Annotated[tuple[LockedPath, ...], Field(min_length=1)]
    """Paths of the files in it, in tar order."""


class ArtifactLockSpec(Frozen):
    """The files of a release."""

    model: ModelName
    """The model."""
    version: Version
    """The release's version."""
    quantization: QuantizationName = "none"
    """The release's quantization."""
    target: ImagePath
    """The directory in the image."""
    set_digest: Sha256
    """SHA-256 of the path-sorted lines ``<sha256>  <path>``."""
    files: Annotated[tuple[LockedFile, ...], Field(min_length=1)]
    """All files, sorted by path."""
    layers: Annotated[tuple[LockedLayer, ...], Field(min_length=1, max_length=64)]
    """The layers that carry the files."""


class ArtifactLock(Manifest):
    """The files of a release with sizes and checksums, written by `registry-tool lock`."""

    kind: Literal["ArtifactLock"]
    metadata: UnnamedMetadata = Field(default_factory=UnnamedMetadata)
    spec: ArtifactLockSpec

    @property
    def id(self) -> ReleaseId:
        """The release that the lock belongs to."""
        return ReleaseId(self.spec.model, self.spec.version, self.spec.quantization)

    @property
    def subject(self) -> str:
        """The release's subject: a lock is part of its release."""
        return self.id.subject
