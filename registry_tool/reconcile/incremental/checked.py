"""A state after all checks, with its manifests when somebody asks for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from registry_tool.domain.diagnostics import Diagnostic, Severity
from registry_tool.errors import InvalidManifests
from registry_tool.manifests.loading import load
from registry_tool.manifests.source import Cache, Source
from registry_tool.repository.differences import TreeState

if TYPE_CHECKING:
    from registry_tool.domain.desired import Desired
    from registry_tool.reconcile.states import DesiredState


class StateSource(Source, Protocol):
    """A source that knows what tells it from others."""

    @property
    def state(self) -> TreeState:
        """See TreeState."""


@dataclass(frozen=True)
class Checked:
    """A state after all checks."""

    diagnostics: tuple[Diagnostic, ...]
    checked: int
    """How many manifest files there are."""
    source: StateSource
    cache: Cache | None
    full: DesiredState | None
    """Everything, when it had to be done."""
    jobs: Callable[[], int]
    """How many processes may parse what no cache has."""

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The diagnostics that make the revision invalid."""
        return tuple(entry for entry in self.diagnostics if entry.severity is Severity.ERROR)

    def refuse_invalid(self, what: str) -> None:
        """Raise InvalidManifests when there are errors. `what` names the revision or place."""
        count = len(self.errors)
        if count:
            raise InvalidManifests(
                f"{what} has {count} error{'s' * (count != 1)}", self.diagnostics
            )

    def require_valid(self, what: str) -> Desired:
        """The manifests; raises InvalidManifests when there are errors."""
        self.refuse_invalid(what)
        return self.require_readable(what)

    def require_readable(self, what: str) -> Desired:
        """The valid manifests; raises InvalidManifests when there is no valid Registry."""
        if self.desired is None:
            self.refuse_invalid(what)
            raise RuntimeError("a state without errors has a Registry")
        return self.desired

    @cached_property
    def desired(self) -> Desired | None:
        """All valid manifests, loaded when they are asked for."""
        if self.full is not None:
            return self.full.desired
        return load(self.source, self.cache, jobs=self.jobs()).desired
