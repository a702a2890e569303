"""Kind Model: what releases are made from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue, StringConstraints

from registry_tool.domain.frozen import Frozen
from registry_tool.domain.manifest import Manifest, ModelMetadata
from registry_tool.domain.quantities import ParameterCount
from registry_tool.domain.storage import StoragePath

ShortText = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Tag = Annotated[
    str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\s,](?:[^\n,]*[^\s,])?$")
]


class ModelSpec(Frozen):
    """Facts about a model."""

    storage_path: StoragePath
    """Where checkpoint files live: ``s3://…`` or an absolute path such as a Ceph mount."""
    description: str = ""
    """What the model is for."""
    company: ShortText | None = None
    """Who made the model."""
    base_model: ShortText | None = None
    """The model that this one was made from."""
    parameter_count: ParameterCount | None = None
    """Number of parameters: an integer, or for example ``7B`` or ``350M``."""
    license: ShortText | None = None
    """SPDX identifier or name of the license."""
    tags: tuple[Tag, ...] = ()
    """Free words to find the model by."""
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    """Any JSON."""


class Model(Manifest):
    """A model: what releases are made from."""

    kind: Literal["Model"]
    metadata: ModelMetadata
    spec: ModelSpec

    @property
    def subject(self) -> str:
        """``model/<name>``."""
        return f"model/{self.metadata.name}"
