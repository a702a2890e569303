"""What every manifest has: apiVersion, kind, metadata, spec."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from registry_tool.domain.frozen import Frozen
from registry_tool.domain.names import DnsLabel, ModelName, TemplateName

API_VERSION: Literal["registry-tool/v1"] = "registry-tool/v1"

LabelKey = Annotated[
    str,
    StringConstraints(
        pattern=r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$",
        max_length=317,
    ),
]
LabelValue = Annotated[
    str, StringConstraints(pattern=r"^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$", max_length=63)
]


class UnnamedMetadata(Frozen):
    """Metadata of kinds whose identity is in `spec`."""

    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    """Short values to select by; keys and values follow the Kubernetes grammar."""
    annotations: dict[LabelKey, str] = Field(default_factory=dict)
    """Free text for other tools."""


class ModelMetadata(UnnamedMetadata):
    """Metadata of a Model."""

    name: ModelName
    """The model's name: an OCI path component."""


class TemplateMetadata(UnnamedMetadata):
    """Metadata of a BuildTemplate."""

    name: TemplateName
    """The template's name: an OCI path component."""


class Metadata(UnnamedMetadata):
    """Metadata of a kind that is named by a DNS label."""

    name: DnsLabel
    """The name: lower-case letters, digits and hyphens."""


class Manifest(Frozen):
    """Base of all kinds. Subclasses add `kind`, `metadata` and `spec`."""

    api_version: Literal["registry-tool/v1"] = Field(alias="apiVersion")
    """The version of the manifest format."""
