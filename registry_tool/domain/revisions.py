"""Revisions: a Git ref together with the commit that it named."""

from __future__ import annotations

import re
from typing import NamedTuple

_OID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.ASCII)


class Revision(NamedTuple):
    """A commit and the ref it was reached by, written ``main@sha1:<oid>`` as Flux does."""

    ref: str
    oid: str

    def __str__(self) -> str:
        return f"{self.ref}@{'sha1' if len(self.oid) == 40 else 'sha256'}:{self.oid}"

    @property
    def short(self) -> str:
        """For people: ``main@1a2b3c4d5e6f``."""
        return f"{self.ref}@{self.oid[:12]}"

    @classmethod
    def parse(cls, text: str) -> Revision:
        """The inverse of `str`; raises ValueError."""
        ref, separator, rest = text.rpartition("@")
        algorithm, _, oid = rest.partition(":")
        if not separator or algorithm not in {"sha1", "sha256"} or not is_oid(oid):
            raise ValueError(f'"{text}" is not a revision such as main@sha1:<40 hex digits>')
        return cls(ref, oid)


def is_oid(text: str) -> bool:
    """Whether `text` is a full lower-case Git object id (SHA-1 or SHA-256)."""
    return _OID.fullmatch(text) is not None
