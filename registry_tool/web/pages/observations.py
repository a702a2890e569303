"""What was seen of engines and rendered branches, beside what the records say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from registry_tool.catalog.queries import Cell
from registry_tool.domain.subjects import DeploymentId
from registry_tool.web.pages.visits import Visit


@dataclass(frozen=True)
class Observation:
    """The last look, as far as it says something of what is shown."""

    at: datetime | None = None
    """When somebody looked; None when nobody did."""
    current: bool = False
    """Whether the records are still those that were compared with."""
    drift: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What differs, by ``<environment>/<name>``."""
    other: tuple[str, ...] = ()
    """What differs and belongs to no deployment that is shown, such as an engine that does not answer."""

    @property
    def count(self) -> int:
        """How many deployments differ."""
        return len(self.drift)


def observation_of(page: Visit, cells: Iterable[Cell]) -> Observation:
    """The last look on this machine at some deployments; only its time when it is not current."""
    return observation_at(page, [DeploymentId(cell.environment, cell.name) for cell in cells])


def observation_at(page: Visit, places: Sequence[DeploymentId]) -> Observation:
    """The same, by names."""
    observed = page.context.observed()
    if observed is None:
        return Observation()
    if observed.records != page.catalog.pair.records:
        return Observation(observed.observed_at)
    drift = {str(place): lines for place in places if (lines := observed.about(place))}
    told = tuple(f"{name}: " for place in places for name in _names(place))
    other = tuple(line for line in observed.drift if not line.startswith(told))
    return Observation(observed.observed_at, True, drift, other)


def _names(place: DeploymentId) -> tuple[str, str]:
    return place.subject, f"deploy/{place.environment}"
