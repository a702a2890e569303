"""Desired state: the manifests of one revision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from registry_tool.domain.manifest import Manifest

if TYPE_CHECKING:
    from registry_tool.domain.api_key import ApiKey
    from registry_tool.domain.build_template import BuildTemplate
    from registry_tool.domain.deployment import Deployment
    from registry_tool.domain.environment import Environment
    from registry_tool.domain.model import Model
    from registry_tool.domain.registry import Registry
    from registry_tool.domain.release import ArtifactLock, Release
    from registry_tool.domain.subjects import DeploymentId, ReleaseId

M_co = TypeVar("M_co", bound=Manifest, covariant=True)


@dataclass(frozen=True, slots=True)
class Located(Generic[M_co]):
    """A manifest, the file that it came from, and that file's blob oid."""

    manifest: M_co
    path: str
    oid: str


@dataclass(frozen=True, slots=True)
class TemplateFileContent:
    """A file beside template.yaml."""

    content: bytes
    executable: bool = False


@dataclass(frozen=True, slots=True)
class TemplateSource:
    """A template and the files beside it, by path relative to template.yaml (which itself is left out)."""

    located: Located[BuildTemplate]
    files: Mapping[str, TemplateFileContent] = field(default_factory=dict)

    @property
    def manifest(self) -> BuildTemplate:
        """The template's manifest."""
        return self.located.manifest


@dataclass(frozen=True)
class Desired:
    """All manifests of one revision by identity. Every mapping may be lazy; iterate sorted keys for stable output."""

    registry: Located[Registry]
    models: Mapping[str, Located[Model]] = field(default_factory=dict)
    releases: Mapping[ReleaseId, Located[Release]] = field(default_factory=dict)
    locks: Mapping[ReleaseId, Located[ArtifactLock]] = field(default_factory=dict)
    environments: Mapping[str, Located[Environment]] = field(default_factory=dict)
    deployments: Mapping[DeploymentId, Located[Deployment]] = field(default_factory=dict)
    api_keys: Mapping[str, Located[ApiKey]] = field(default_factory=dict)
    templates: Mapping[str, TemplateSource] = field(default_factory=dict)
