"""When a health check is asked, and how long a new container has until it must have passed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from registry_tool.domain.deployment import Healthcheck


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of a health check, with the defaults of engines filled in."""

    interval: float = 10
    timeout: float = 5
    retries: int = 3
    start_period: float = 30

    @classmethod
    def of(cls, check: Healthcheck | None) -> Timing:
        """What a deployment says, and the defaults."""
        if check is None:
            return cls()
        default = cls()
        return cls(
            interval=_seconds(check.interval, default.interval),
            timeout=_seconds(check.timeout, default.timeout),
            retries=check.retries or default.retries,
            start_period=_seconds(check.start_period, default.start_period),
        )

    @property
    def patience(self) -> float:
        """How long after its start a container may take to pass for the first time."""
        return self.start_period + self.retries * self.interval + self.timeout


def _seconds(given: timedelta | None, default: float) -> float:
    return default if given is None else given.total_seconds()
