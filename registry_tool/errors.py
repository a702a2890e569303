"""The whole exception tree.

    RegistryToolError                 exit 1   anything the tool refuses or fails to do, with a message for people
    ├── UsageProblem                  exit 2   the command line names something that cannot be meant
    │   └── BadQuery                           a question to the catalog names what it does not have
    ├── InvalidManifests              exit 1   carries the diagnostics
    ├── ActionFailed                  exit 1   an action ran and did not succeed
    │   ├── ContentMismatch                    bytes in storage or a store differ from what is declared
    │   └── BuildFailed                        a build step failed for good; a record says so
    ├── PlanChanged                   exit 1   a saved plan no longer is what would be done
    ├── LeaseLost                     exit 1   another reconciler holds the lease; late effects are refused
    └── EnvironmentProblem            exit 3   Git, storage, registry or engine cannot be used as asked
        ├── RepositoryProblem                  no repository, missing revision, shallow clone, refused push …
        ├── StorageProblem                     a storage location cannot be read or written
        ├── StoreProblem                       an image store cannot be read or written
        ├── EngineProblem                      a container engine cannot be used
        └── CatalogProblem                     there is no catalog of what is asked for, or it cannot be read
            └── IdentityClash                  two files declare the same, so there can be no catalog of both

A `transient` EnvironmentProblem may succeed when tried again; everything else needs a person. Exceptions of other
libraries are translated where they appear and never leave their package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_tool.domain.diagnostics import Diagnostic


class RegistryToolError(Exception):
    """Base of all expected failures: `message` says what was seen, `help` the next step.

    `code` is a stable RT code when docs/diagnostics.md has a section for it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, help: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.help = help
        self.code = code


class UsageProblem(RegistryToolError):
    """The command line names something that cannot be meant."""

    exit_code = 2


class BadQuery(UsageProblem):
    """A question to the catalog names a kind, field or cursor that it does not have."""


class InvalidManifests(RegistryToolError):
    """The manifests have errors; `diagnostics` holds all of them, in stable order."""

    def __init__(
        self, message: str, diagnostics: Sequence[Diagnostic], *, help: str | None = None
    ) -> None:
        super().__init__(message, help=help)
        self.diagnostics = tuple(diagnostics)


class ActionFailed(RegistryToolError):
    """An action ran and did not succeed."""


class ContentMismatch(ActionFailed):
    """Bytes differ from what a lock or a digest declares; the message names the file."""


class BuildFailed(ActionFailed):
    """A build step failed for good. `log` is the text of the failed step, unredacted."""

    def __init__(
        self, message: str, *, log: str = "", help: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message, help=help, code=code)
        self.log = log


class PlanChanged(RegistryToolError):
    """A saved plan no longer is what would be done."""


class LeaseLost(RegistryToolError):
    """Another reconciler holds the lease."""


class EnvironmentProblem(RegistryToolError):
    """Git, storage, a registry or an engine cannot be used as asked."""

    exit_code = 3

    def __init__(
        self,
        message: str,
        *,
        help: str | None = None,
        code: str | None = None,
        transient: bool = False,
    ) -> None:
        super().__init__(message, help=help, code=code)
        self.transient = transient


class RepositoryProblem(EnvironmentProblem):
    """The Git repository cannot be used as asked."""


class StorageProblem(EnvironmentProblem):
    """A storage location cannot be read or written."""


class StoreProblem(EnvironmentProblem):
    """An image store cannot be read or written."""


class EngineProblem(EnvironmentProblem):
    """A container engine cannot be used."""


class CatalogProblem(EnvironmentProblem):
    """There is no catalog of what is asked for, or it cannot be read."""


class IdentityClash(CatalogProblem):
    """Two files declare the same, so there can be no catalog of both."""
