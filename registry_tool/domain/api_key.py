"""Kind ApiKey: who may read the index. Only a hash is kept."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Literal, NamedTuple

from pydantic import AwareDatetime, StringConstraints

from registry_tool.domain.digests import Sha256
from registry_tool.domain.frozen import Frozen
from registry_tool.domain.manifest import Manifest, Metadata

_KEY_TEXT = re.compile(r"rt_([A-Za-z0-9]{4,32})_([A-Za-z0-9_-]{43})", re.ASCII)


class KeyText(NamedTuple):
    """A key as its holder has it, ``rt_<key_id>_<secret>``; the secret is 256 random bits in base64url."""

    key_id: str
    secret: str

    def __str__(self) -> str:
        return f"rt_{self.key_id}_{self.secret}"

    @property
    def sha256(self) -> str:
        """What the manifest keeps of the secret."""
        return hashlib.sha256(self.secret.encode()).hexdigest()

    @classmethod
    def parse(cls, text: str) -> KeyText | None:
        """The inverse of `str`; None for anything else."""
        match = _KEY_TEXT.fullmatch(text)
        return cls(match[1], match[2]) if match else None


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
