"""Work on engines: one deployment after the other in each environment, environments side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from registry_tool.deployers.interface import (
    Deployed,
    EngineDeployer,
    Place,
    ServiceSpec,
    Watch,
)
from registry_tool.domain.environment import TargetType
from registry_tool.domain.plan import Action
from registry_tool.domain.records import DeploymentResult
from registry_tool.domain.subjects import DeploymentId
from registry_tool.errors import ActionFailed, EngineProblem, EnvironmentProblem, LeaseLost
from registry_tool.reconcile.effects import Effects
from registry_tool.reconcile.failing import with_retries
from registry_tool.reconcile.side_by_side import side_by_side

Deployers = Mapping[TargetType, EngineDeployer]


@dataclass(frozen=True)
class EngineWork:
    """One deployment to bring to an engine, or with no `service` only to remove from where it ran."""

    deployment: DeploymentId
    action: Action | None
    """None where nobody needs to be told: what is left behind when an environment moved."""
    place: Place | None = None
    service: ServiceSpec | None = None
    leave: tuple[Place, ...] = ()
    """Engines that it is removed from, after it runs at its place."""


@dataclass(frozen=True)
class EngineResult:
    """How one piece of work went. Without `ended` it could not be done, and `problem` says why."""

    work: EngineWork
    started: datetime
    ended: Deployed | None = None
    problem: EnvironmentProblem | None = None


def deployer_of(deployers: Deployers, place: Place) -> EngineDeployer:
    """The deployer of a place; raises EngineProblem."""
    found = deployers.get(place.target.type)
    if found is None:
        raise EngineProblem(
            f"this installation has no deployer for {place.target.type}",
            help=f"choose another spec.target.type for environment/{place.environment}",
        )
    return found


class EngineRunner:
    """Carries out work on engines. `lease_check` raises LeaseLost once somebody else reconciles."""

    def __init__(
        self, effects: Effects, deployers: Deployers, lease_check: Callable[[], None]
    ) -> None:
        self._effects = effects
        self._deployers = deployers
        self._lease_check = lease_check
        self._abandoned = threading.Event()
        self._watch = Watch(self._check, effects.progress, effects.sleep)

    def _check(self) -> None:
        self._lease_check()
        if self._effects.stop.is_set():
            raise LeaseLost("the deployment was abandoned: a newer revision is reconciled")
        if self._abandoned.is_set():
            raise LeaseLost("the deployment was abandoned: it was interrupted")

    def run(self, works: Sequence[EngineWork]) -> Iterator[EngineResult]:
        """Results as they come. Raises LeaseLost, after all running work has noticed too."""
        if not works:
            return
        chains: dict[str, list[EngineWork]] = {}
        for work in works:
            chains.setdefault(work.deployment.environment, []).append(work)
        yield from side_by_side(
            list(chains.values()),
            self._attempt,
            jobs=self._effects.jobs,
            name="deploy",
            abandoned=self._abandoned,
        )

    def _attempt(self, work: EngineWork) -> EngineResult:
        started = self._effects.now()
        ended: Deployed | None = None
        try:
            ended = self._deploy(work)
            if ended.result is DeploymentResult.SUCCEEDED:
                self._leave(work)
        except ActionFailed as failure:
            failed = Deployed(DeploymentResult.FAILED, error=failure.message)
            return EngineResult(work, started, failed)
        except EnvironmentProblem as problem:
            return EngineResult(work, started, ended if work.service is not None else None, problem)
        return EngineResult(work, started, ended)

    def _deploy(self, work: EngineWork) -> Deployed:
        place, service = work.place, work.service
        if place is None or service is None:
            return Deployed(DeploymentResult.SUCCEEDED)
        deployer = deployer_of(self._deployers, place)
        return with_retries(
            lambda: deployer.deploy(place, service, self._watch),
            what=work.deployment.subject,
            sleep=self._effects.sleep,
            progress=self._effects.progress,
        )

    def _leave(self, work: EngineWork) -> None:
        for place in work.leave:
            deployer = deployer_of(self._deployers, place)
            self._effects.progress.message(f"removing {work.deployment.subject}")
            deployer.remove(place, work.deployment.name, self._watch)
