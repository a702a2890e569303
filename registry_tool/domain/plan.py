"""The plan: what would be done and why, as data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from registry_tool.domain.digests import Sha256, canonical_json
from registry_tool.domain.frozen import Frozen
from registry_tool.domain.records import BytesMoved

FORMAT_VERSION: Literal[1] = 1


class Action(Frozen):
    """One thing to do."""

    kind: Literal["build", "deploy", "undeploy"]
    subject: str
    change: Literal["create", "update", "delete"]
    reason: str
    """One line for people."""
    changed: tuple[str, ...] = ()
    """Names of the key parts that changed, sorted; empty for create and delete."""
    key: Sha256
    """The build or deployment key to reach; for undeploy the recorded one."""
    bytes: BytesMoved = Field(default_factory=BytesMoved)
    """Bytes of weight layers and natively built layers."""


class Skipped(Frozen):
    """Something that is not done although it could be, and why."""

    subject: str
    reason: str


class Summary(Frozen):
    """Numbers of actions by kind."""

    build: Annotated[int, Field(ge=0)] = 0
    deploy: Annotated[int, Field(ge=0)] = 0
    undeploy: Annotated[int, Field(ge=0)] = 0


_ORDER = {"build": 0, "deploy": 1, "undeploy": 2}


class Plan(Frozen):
    """All actions between two states, sorted; without times, so that equal inputs give equal bytes."""

    format_version: Literal[1] = FORMAT_VERSION
    head: str
    """The commit oid of the manifests."""
    base: str | None
    """The commit oid of the records, or null."""
    actions: tuple[Action, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    summary: Summary = Field(default_factory=Summary)

    @classmethod
    def of(
        cls, head: str, base: str | None, actions: Sequence[Action], skipped: Sequence[Skipped]
    ) -> Plan:
        """A plan with its parts in canonical order: builds, deploys, undeploys, each by subject."""
        ordered = tuple(sorted(actions, key=lambda action: (_ORDER[action.kind], action.subject)))
        counts = {kind: sum(action.kind == kind for action in ordered) for kind in _ORDER}
        return cls(
            head=head,
            base=base,
            actions=ordered,
            skipped=tuple(sorted(skipped, key=lambda entry: (entry.subject, entry.reason))),
            summary=Summary(**counts),
        )

    def to_json(self) -> bytes:
        """Canonical JSON, with a final newline."""
        return canonical_json(self.model_dump(mode="json")) + b"\n"
