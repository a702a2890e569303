"""Everything with an effect that a reconciliation may use, put together by the command line."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from registry_tool.domain.progress import Progress, Silent

if TYPE_CHECKING:
    from registry_tool.builders.interface import Builder
    from registry_tool.deployers.interface import EngineDeployer
    from registry_tool.domain.environment import TargetType
    from registry_tool.domain.registry import Registry
    from registry_tool.manifests.source import Cache
    from registry_tool.oci.store import ImageStore
    from registry_tool.repository.lease import Lease
    from registry_tool.repository.repository import Repository
    from registry_tool.storage.storage import Storage


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def no_deployers(store: ImageStore) -> Mapping[TargetType, EngineDeployer]:
    """An installation that uses no engine."""
    del store
    return {}


@dataclass(frozen=True)
class Effects:
    """The outside world, injected.

    `open_store` gives the store that the reconciled revision's Registry names, and the same one for the same settings.
    `builders` holds one builder for each kind of template (``native``, ``docker``). `acquire_lease` waits for the lease
    or raises RepositoryProblem; `stop` is set to abandon the run between effects. `open_deployers` gives the ones that
    bring images of a store to engines.
    """

    repository: Repository
    open_store: Callable[[Registry], ImageStore]
    open_storage: Callable[[tuple[str, ...]], Storage]
    builders: Mapping[str, Builder]
    acquire_lease: Callable[[], Lease]
    open_deployers: Callable[[ImageStore], Mapping[TargetType, EngineDeployer]] = no_deployers
    cache: Cache | None = None
    progress: Progress = field(default_factory=Silent)
    jobs: int = 1
    now: Callable[[], datetime] = utc_now
    sleep: Callable[[float], None] = time.sleep
    stop: threading.Event = field(default_factory=threading.Event)
