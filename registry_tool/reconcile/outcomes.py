"""What became of each action, for people, for machines and for the records."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from registry_tool.domain.plan import Action, Plan
from registry_tool.domain.revisions import Revision
from registry_tool.errors import EnvironmentProblem


class Outcome(StrEnum):
    """How one action ended. The first four are change words, the others say why nothing changed."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    FAILED = "failed"
    BLOCKED = "blocked"
    """A gate is closed or a build that is needed failed: tried again by the next reconciliation."""
    UNAVAILABLE = "unavailable"
    """Something outside could not be used; nothing is recorded, the next reconciliation tries again."""


DONE = {"create": Outcome.CREATED, "update": Outcome.UPDATED, "delete": Outcome.DELETED}


@dataclass(frozen=True)
class ActionOutcome:
    """One action and how it ended; `detail` is one line."""

    action: Action
    outcome: Outcome
    detail: str = ""
    output: str = ""
    """The end of what a step or a container wrote that failed, without secrets."""


@dataclass(frozen=True)
class ApplyReport:
    """The whole reconciliation. `records` is the tip of the records branch afterwards."""

    revision: Revision
    plan: Plan
    outcomes: tuple[ActionOutcome, ...] = ()
    records: str | None = None
    branches: tuple[str, ...] = ()
    problems: tuple[EnvironmentProblem, ...] = field(default=())

    @property
    def exit_code(self) -> int:
        """0 when everything was done, 1 when an action failed, 3 when the environment was at fault.

        What the environment prevented also blocks what would have come after it.
        """
        outcomes = {entry.outcome for entry in self.outcomes}
        if Outcome.FAILED in outcomes:
            return 1
        if self.problems:
            return 3
        return 1 if Outcome.BLOCKED in outcomes else 0
