"""One update of a Swarm service: begun, watched until the Swarm is done with it or has gone back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from registry_tool.deployers.engine import Document, Refused
from registry_tool.deployers.interface import KEY, LABEL, Deployed, ServiceSpec, Watch
from registry_tool.deployers.probing import SETTLED, last_output
from registry_tool.deployers.swarm_engine import SwarmEngine
from registry_tool.deployers.swarm_services import spec_differences
from registry_tool.deployers.timing import Timing
from registry_tool.domain.records import DeploymentResult
from registry_tool.failpoints import reach

LOG_LINES = 200
_POLL = 0.3
_SCHEDULING = 30.0
"""Seconds that a Swarm may take to find machines, beside the patience of the health check."""
_WAITING = frozenset(("new", "pending", "allocated", "assigned", "starting"))
"""States whose time is limited; a node that is `preparing` may be pulling gigabytes."""
_ENDED = frozenset(("complete", "failed", "rejected", "orphaned"))


def running_tasks(tasks: Sequence[Document], key: str) -> list[Document]:
    """The tasks with a deployment key that run, and are healthy where that is checked."""
    return [
        task
        for task in _with_key(tasks, key)
        if task["Status"]["State"] == "running" and task["DesiredState"] == "running"
    ]


def _with_key(tasks: Sequence[Document], key: str) -> list[Document]:
    return [
        task
        for task in tasks
        if (task["Spec"]["ContainerSpec"].get("Labels") or {}).get(KEY) == key
    ]


class SwarmUpdate:
    """Brings one service to what is `wanted`."""

    def __init__(
        self,
        engine: SwarmEngine,
        service: ServiceSpec,
        wanted: Document,
        watch: Watch,
        clock: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._service = service
        self._wanted = wanted
        self._name: str = wanted["Name"]
        self._watch = watch
        self._clock = clock
        self._seen: set[str] = set()
        self._runs_since: float | None = None
        self._told = ""

    def run(self) -> Deployed:
        """Update, or create, and wait. Refused answers are failures of the deployment."""
        found = self._engine.service(self._name)
        subject = self._wanted["Labels"][f"{LABEL}.deployment"]
        if found is not None and found["Spec"]["Labels"].get(f"{LABEL}.deployment") != subject:
            error = f"there is a service {self._name} that belongs to somebody else"
            return Deployed(DeploymentResult.FAILED, error=error)
        # Tasks that ended before are not this deployment's fault.
        self._seen = {task["ID"] for task in self._tasks() if task["Status"]["State"] in _ENDED}
        self._watch.check()
        try:
            self._begin(found)
        except Refused as refused:
            return Deployed(DeploymentResult.FAILED, error=refused.message)
        reach("container-started")
        return self._wait(found)

    def _begin(self, found: Document | None) -> None:
        if found is None:
            self._watch.progress.message(f"creating the service {self._name}")
            self._engine.create_service(self._wanted)
        elif spec_differences(self._wanted, found["Spec"]):
            self._watch.progress.message(f"updating the service {self._name}")
            self._engine.update_service(found["ID"], found["Version"]["Index"], self._wanted)

    def _tasks(self) -> list[Document]:
        found = self._engine.service(self._name)
        return _with_key(self._engine.tasks(found["ID"]), self._service.key) if found else []

    # --- waiting ---------------------------------------------------------------------------------

    def _wait(self, before: Document | None) -> Deployed:
        replicas = self._service.deployment.spec.replicas
        timing = Timing.of(self._service.deployment.spec.healthcheck)
        patience = timing.patience * max(1, replicas) + _SCHEDULING
        waited, last = 0.0, self._clock()
        while True:
            self._watch.check()
            service = self._engine.service(self._name)
            if service is None:
                error = f"{self._name} was removed meanwhile"
                return Deployed(DeploymentResult.FAILED, error=error)
            ended = self._judge(service, before)
            if ended is not None:
                return ended
            states = {task["Status"]["State"] for task in self._tasks()} - _ENDED
            now = self._clock()
            if not states or states & _WAITING:
                waited += now - last
            last = now
            if waited > patience:
                return self._give_up(service, before, f"not healthy after {waited:.0f} s")
            self._watch.sleep(_POLL)

    def _judge(self, service: Document, before: Document | None) -> Deployed | None:
        """How it ended, None while the Swarm is at it."""
        state = (service.get("UpdateStatus") or {}).get("State")
        ours = service["Spec"]["Labels"].get(KEY) == self._service.key
        if state == "rollback_started":
            # It names the task, and is gone when the rollback is complete.
            self._told = service["UpdateStatus"].get("Message", "")
        if state in {"rollback_started", "updating"}:
            return None
        if not ours or state in {"rollback_completed", "rollback_paused"}:
            return self._went_back(service, state or "")
        if state == "paused":
            return self._failed(service)
        tasks = self._tasks()
        if self._runs(tasks):
            reach("swapped")
            return Deployed(DeploymentResult.SUCCEEDED, self._health())
        failed = [
            task
            for task in tasks
            if task["Status"]["State"] in _ENDED and task["ID"] not in self._seen
        ]
        if failed and state is None:
            # A Swarm only goes back from updates; a new service would be started for ever.
            return self._give_up(service, before, "")
        return None

    def _runs(self, tasks: Sequence[Document]) -> bool:
        """Whether all tasks run; without a health check they have to do so for a while."""
        runs = len(running_tasks(tasks, self._service.key))
        if runs < self._service.deployment.spec.replicas:
            self._runs_since = None
            return False
        if self._runs_since is None:
            self._runs_since = self._clock()
        lasting = 0.0 if self._service.health.command or not runs else SETTLED
        return self._clock() - self._runs_since >= lasting

    def _health(self) -> Literal["healthy", "unknown"]:
        return "healthy" if self._service.health.command else "unknown"

    # --- when it does not serve ------------------------------------------------------------------

    def _went_back(self, service: Document, state: str) -> Deployed:
        if state == "rollback_paused":
            error = self._why(service, "the Swarm could not go back either")
            return Deployed(DeploymentResult.FAILED, "unhealthy", error)
        return Deployed(DeploymentResult.ROLLED_BACK, "unhealthy", self._why(service, ""))

    def _failed(self, service: Document) -> Deployed:
        return Deployed(DeploymentResult.FAILED, "unhealthy", self._why(service, ""))

    def _give_up(self, service: Document, before: Document | None, reason: str) -> Deployed:
        why = self._why(service, reason)
        if not self._service.deployment.spec.strategy.auto_rollback:
            return Deployed(DeploymentResult.FAILED, "unhealthy", why)
        self._watch.check()
        if before is None:
            self._engine.remove_service(service["ID"])
            return Deployed(DeploymentResult.FAILED, "unhealthy", why)
        if before["Spec"]["Labels"].get(KEY) == self._service.key:
            return Deployed(DeploymentResult.FAILED, "unhealthy", why)
        self._engine.update_service(service["ID"], service["Version"]["Index"], before["Spec"])
        return Deployed(DeploymentResult.ROLLED_BACK, "unhealthy", why)

    def _why(self, service: Document, reason: str) -> str:
        """What a record says: the log of the task that failed, and last the reason."""
        task = self._culprit()
        parts = [reason, self._told]
        log = ""
        if task is not None:
            parts += [self._ended(task), self._check_said(task)]
            log = self._log(service, task)
        reasons = "; ".join(part for part in parts if part)
        text = f"{self._name} does not serve: {reasons}"
        return "\n".join(part for part in (log.strip(), text) if part)

    def _log(self, service: Document, task: Document) -> str:
        """Of the machine that it ran on, which may be this one and know more than the Swarm tells."""
        container = (task["Status"].get("ContainerStatus") or {}).get("ContainerID")
        try:
            told = self._engine.task_logs(service["ID"], task["ID"], LOG_LINES)
            if not told and container and self._engine.container(container):
                return self._engine.logs(container, LOG_LINES)
        except Refused as refused:
            return refused.message
        return told

    def _ended(self, task: Document) -> str:
        status = task["Status"]
        if status.get("Err") or status["State"] != "complete":
            return status.get("Err") or f"its task is {status['State']}"
        checked = ", as it does when the health check fails and it stops in good order"
        return "its task ended with exit code 0" + (checked if self._service.health.command else "")

    def _check_said(self, task: Document) -> str:
        """What its health check wrote last, where this manager is the machine that it ran on."""
        container = (task["Status"].get("ContainerStatus") or {}).get("ContainerID")
        said = last_output(self._engine.container(container)) if container else ""
        return f"the health check said: {said}" if said else ""

    def _culprit(self) -> Document | None:
        """The task that the Swarm blames; else the first that ended after it had a container, or that waits."""
        tasks = [task for task in self._tasks() if task["ID"] not in self._seen]

        def blame(task: Document) -> tuple[bool, bool, bool, str]:
            began = bool((task["Status"].get("ContainerStatus") or {}).get("ContainerID"))
            ended = task["Status"]["State"] in _ENDED
            return task["ID"] not in self._told, not ended, not began, str(task["CreatedAt"])

        return min(tasks, key=blame, default=None)
