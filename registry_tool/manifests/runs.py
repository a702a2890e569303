"""Runs of neighbouring files, and what the cache remembers of a run: who its manifests are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from registry_tool.manifests.identity import Identity
from registry_tool.manifests.source import EntryLike

Run = Sequence[EntryLike]


@dataclass
class Summary:
    """The valid manifests of a run, by kind: their places in the run, and their names joined by slashes."""

    kinds: dict[str, tuple[list[int], list[str]]] = field(default_factory=dict)
    misplaced: list[tuple[str, str, int]] = field(default_factory=list)
    """Kind, name and place of manifests that are not at their conventional path."""

    def add(self, index: int, path: str, identity: Identity) -> None:
        """One more manifest."""
        name = "/".join(identity.names)
        indexes, names = self.kinds.setdefault(identity.kind, ([], []))
        indexes.append(index)
        names.append(name)
        if identity.conventional_path != path:
            self.misplaced.append((identity.kind, name, index))

    def to_bytes(self) -> bytes:
        """For the cache."""
        return json.dumps([self.kinds, self.misplaced]).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Summary:
        """The inverse of `to_bytes`; raises ValueError."""
        kinds, misplaced = json.loads(data)
        if not isinstance(kinds, dict) or not isinstance(misplaced, list):
            raise ValueError("not a summary")
        return cls(kinds, misplaced)


def split(entries: Sequence[EntryLike]) -> list[list[EntryLike]]:
    """The entries in runs of about 256. Contents decide where a run ends, so a change moves no other run's end."""
    runs: list[list[EntryLike]] = []
    run: list[EntryLike] = []
    for entry in entries:
        run.append(entry)
        if entry.oid[-2:] == "00":
            runs.append(run)
            run = []
    if run:
        runs.append(run)
    return runs


def cache_key(run: Run, fingerprint: str) -> str:
    """Names the paths and contents of a run."""
    text = "\0".join([part for entry in run for part in (entry.path, entry.oid)])
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
    return f"run-{digest}:{fingerprint}"
