"""Waiting for a new container to serve: asked from here over HTTP, or with a command inside it.

The engine asks too, at its own pace; whoever sees it first decides.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from registry_tool.deployers.engine import Document, Engine, Refused
from registry_tool.deployers.interface import Health, Watch
from registry_tool.deployers.timing import Timing

SETTLED = 2.0
"""Seconds that a container without a health check has to run on."""
_POLLS = (0.1, 0.1, 0.2, 0.3, 0.5)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a container serves; `why` not."""

    health: Literal["healthy", "unhealthy", "unknown"]
    why: str = ""

    @property
    def passed(self) -> bool:
        """Whether it may take its place."""
        return self.health != "unhealthy"


@dataclass
class Prober:
    """Asks containers of one engine that are on one network."""

    engine: Engine
    network: str
    watch: Watch
    clock: Callable[[], float] = field(default=time.monotonic)

    def wait(self, container: str, health: Health, timing: Timing) -> Verdict:
        """Until the container serves, ended or had its time."""
        started = self.clock()
        last = "it did not answer"
        command = _Command(self.engine, container, health.command, timing.timeout, self.clock)
        for turn in range(1 << 30):
            self.watch.check()
            found = self.engine.container(container)
            ended = _ended(found)
            if ended is not None or found is None:
                return Verdict("unhealthy", ended or "it is gone")
            waited = self.clock() - started
            if not health.command and not health.http:
                if waited >= SETTLED:
                    return Verdict("unknown")
            else:
                last = self._ask(found, health, timing, command) or ""
                if not last:
                    return Verdict("healthy")
                if waited > timing.patience or _given_up(found):
                    reasons = [f"after {waited:.0f} s", last, last_output(found)]
                    return Verdict("unhealthy", ": ".join(filter(None, reasons)))
            self.watch.sleep(_POLLS[min(turn, len(_POLLS) - 1)])
        raise AssertionError("unreachable")

    def _ask(
        self, found: Document, health: Health, timing: Timing, command: _Command
    ) -> str | None:
        """None when the container serves, else what is wrong."""
        if (found["State"].get("Health") or {}).get("Status") == "healthy":
            return None
        if health.http is not None and self.engine.address.is_local:
            address = self._address_of(found)
            if address:
                wrong = ask(address, health.port or 80, health.http, timing.timeout)
                if wrong is None:
                    return None
                if wrong.reached or not health.command:
                    return wrong.why
        if not health.command:
            return "the engine is not on this machine, and the template has no probe to ask inside"
        return command.ask()

    def _address_of(self, found: Document) -> str | None:
        networks = found["NetworkSettings"]["Networks"]
        return (networks.get(self.network) or {}).get("IPAddress") or None


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why a server does not serve. One that was not `reached` may still do, for others."""

    why: str
    reached: bool


def ask(address: str, port: int, path: str, timeout: float) -> NoAnswer | None:
    """None when a server answers 2xx or 3xx, else what it did instead."""
    asked = f"GET {path} on port {port}"
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (ConnectionError, http.client.HTTPException) as problem:
        return NoAnswer(f"{asked}: {problem or type(problem).__name__}", reached=True)
    except OSError as problem:
        return NoAnswer(f"{asked}: {problem}", reached=False)
    finally:
        connection.close()
    return None if 200 <= status < 400 else NoAnswer(f"{asked} answered {status}", reached=True)


class _Command:
    """A command inside a container, started again each time it ended; it is never waited for."""

    def __init__(
        self,
        engine: Engine,
        container: str,
        command: tuple[str, ...],
        timeout: float,
        clock: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._container = container
        self._command = command
        self._timeout = timeout
        self._clock = clock
        self._running: tuple[str, float] | None = None
        self._last = "the health check did not end"

    def ask(self) -> str | None:
        """None when it just ended well, else how it did the last time."""
        try:
            if self._running is not None:
                execution, since = self._running
                code = self._engine.exit_code(execution)
                if code == 0:
                    return None
                if code is not None:
                    self._last = f"the health check {self._command[0]} ended with {code}"
                elif self._clock() - since < self._timeout:
                    return self._last
                self._running = None
            self._running = (self._engine.execute(self._container, self._command), self._clock())
        except Refused as problem:
            # It has just ended, or there is no such program in it; the next look at it tells.
            self._last = problem.message
            self._running = None
        return self._last


def last_output(found: Document | None) -> str:
    """The last line of what a container's health check wrote when it failed, as its engine asked it."""
    health = (found or {}).get("State", {}).get("Health") or {}
    asked = health.get("Log") or [{"ExitCode": 0}]
    if asked[-1]["ExitCode"] == 0:
        return ""
    lines = asked[-1].get("Output", "").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _given_up(found: Document) -> bool:
    return bool((found["State"].get("Health") or {}).get("Status") == "unhealthy")


def _ended(found: Document | None) -> str | None:
    """How a container ended, None while it runs."""
    if found is None or found["State"]["Running"]:
        return None
    state = found["State"]
    if state.get("OOMKilled"):
        return "it ran out of memory"
    return f"it ended with exit code {state['ExitCode']}" + (
        f": {state['Error']}" if state.get("Error") else ""
    )
