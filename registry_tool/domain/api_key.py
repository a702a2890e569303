"""Kind ApiKey: who may read the index. Only a hash is kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, StringConstraints

from registry_tool.domain.digests import Sha256
from registry_tool.domain.frozen import Frozen
from registry_tool.domain.manifest import Manifest, Metadata


class ApiKeySpec(Frozen):
    """A key's owner and the hash of its secret."""

    owner: Annotated[str, StringConstraints(min_length=1, max_length=254)]
    """A person or a system."""
    key_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]{4,32}$")]
    """The public part of the key."""
    sha256: Sha256
    """Of the secret part, 256 random bits."""
    expires_at: AwareDatetime | None = None
    """When the key stops working, with a time zone."""
    revoked: bool = False
    """Whether the key was taken back."""


class ApiKey(Manifest):
    """A key for the web index; the manifest keeps a hash only."""

    kind: Literal["ApiKey"]
    metadata: Metadata
    spec: ApiKeySpec

    @property
    def subject(self) -> str:
        """``api-key/<name>``."""
        return f"api-key/{self.metadata.name}"
