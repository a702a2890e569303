"""Observed state: what somebody saw who compared engines and rendered branches with the records."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime

from registry_tool.domain.frozen import Frozen
from registry_tool.domain.subjects import DeploymentId


class Observed(Frozen):
    """One look at what is really there. It grows old: nothing decides by it, people are shown it."""

    format_version: Literal[1] = 1
    head: str
    """The manifests that were looked at."""
    records: str | None
    """The records that were compared with."""
    observed_at: AwareDatetime
    """When."""
    drift: tuple[str, ...] = ()
    """Differences, one line each, beginning with what they are about."""

    def about(self, deployment: DeploymentId) -> tuple[str, ...]:
        """What was seen of a deployment, or of its environment's rendered branch."""
        starts = (f"{deployment.subject}: ", f"deploy/{deployment.environment}: ")
        return tuple(line.partition(": ")[2] for line in self.drift if line.startswith(starts))
