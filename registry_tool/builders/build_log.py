"""The log of a build; and what an engine tells of one, as progress for those who watch and in the log for later."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from registry_tool.builders.buildkit_trace import Trace, Vertex
from registry_tool.builders.interface import BuildOrder
from registry_tool.domain.progress import Progress

_SHOWN = 160
"""Characters of a step's name that are shown while it runs; the log has all of it."""
_COMMAND = re.compile(
    r"(?:executor failed running \[.*\]|process \".*\" did not complete successfully): (?=exit code)",
    re.DOTALL,
)


@dataclass(slots=True)
class _Step:
    """A step of the Dockerfile, or of the engine around it."""

    vertex: Vertex
    output: bytearray = field(default_factory=bytearray)
    announced: bool = False
    told: bool = False

    @property
    def name(self) -> str:
        return self.vertex.name

    @property
    def internal(self) -> bool:
        """Whether it only shows how the engine works."""
        return not self.name.startswith("[") or self.name.startswith("[internal]")

    @property
    def failed(self) -> bool:
        # Steps beside the failing one are cancelled.
        return bool(self.vertex.error) and "context canceled" not in self.vertex.error

    def outcome(self) -> str:
        vertex = self.vertex
        if vertex.error:
            return without_command(vertex.error) if self.failed else "cancelled"
        if vertex.cached:
            return "cached"
        if vertex.started is None or vertex.completed is None:
            return "not finished"
        return f"done in {vertex.completed - vertex.started:.1f} s"

    def text(self) -> str:
        output = self.output.decode(errors="replace").replace("\r\n", "\n")
        end = "" if not output or output.endswith("\n") else "\n"
        return f"{self.name}\n{output}{end}{self.outcome()}\n"


class BuildLog:
    """What was done, line by line."""

    def __init__(self, order: BuildOrder) -> None:
        self._done: list[str] = []
        self.line(f"{order.release.subject} with template {order.template.name}")
        self.line(f"build key {order.key}")

    def line(self, text: str) -> None:
        """One more line."""
        self._done.append(text + "\n")

    def layer(self, what: str, digest: str, size: int, written: bool) -> None:
        """A layer, and where it came from."""
        self.line(f"{what}: {digest}, {size} bytes, {'written' if written else 'in the store'}")

    def __str__(self) -> str:
        return "".join(self._done)


class EngineLog(BuildLog):
    """With the steps of an engine. Engines limit what they pass on of a step's output, to 2 MiB or less."""

    def __init__(self, order: BuildOrder, progress: Progress) -> None:
        super().__init__(order)
        self._release = str(order.release)
        self._progress = progress
        self._steps: dict[str, _Step] = {}

    def take(self, trace: Trace) -> None:
        """What the engine told now."""
        for vertex in trace.vertexes:
            step = self._steps.setdefault(vertex.digest, _Step(vertex))
            step.vertex = vertex
            if not step.internal:
                self._tell(step)
        for output in trace.outputs:
            if output.vertex in self._steps:
                self._steps[output.vertex].output += output.data

    def _tell(self, step: _Step) -> None:
        shown = _shown(step.name)
        vertex = step.vertex
        if vertex.started is not None and vertex.completed is None and not step.announced:
            step.announced = True
            self._progress.message(f"{self._release}: {shown}")
        if vertex.completed is not None and not step.told:
            step.told = True
            self._progress.message(f"{self._release}: {shown}: {step.outcome()}")

    def end_steps(self) -> None:
        """The engine's part is over: what follows comes after its steps. Another platform may begin."""
        self._done += self._texts()
        self._steps = {}

    @property
    def failed_step(self) -> str | None:
        """The step that failed, on one line; None when none did."""
        return next((_shown(step.name) for step in self._steps.values() if step.failed), None)

    def _texts(self) -> Iterator[str]:
        """Steps in order; the one that failed last, where everybody looks."""
        for step in sorted(self._steps.values(), key=lambda step: step.failed):
            begun = step.vertex.started is not None or step.vertex.cached
            if step.output or step.failed or (begun and not step.internal):
                yield step.text()

    def __str__(self) -> str:
        return "".join([*self._done, *self._texts()])


def without_command(words: str) -> str:
    """An engine's error without the command that failed, which the step's name has already."""
    return _COMMAND.sub("", words)


def _shown(name: str) -> str:
    line = " ".join(name.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"
