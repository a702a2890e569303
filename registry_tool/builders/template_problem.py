"""What is wrong with a template, or with a release's use of it."""

from __future__ import annotations

from registry_tool.domain.diagnostics import Pointer
from registry_tool.errors import RegistryToolError


class TemplateFault(Exception):
    """A fault in one text, before it is known where the text stands. Never leaves this package."""

    def __init__(self, code: str, message: str, help: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.help = help

    def at(self, *pointer: str | int, prefix: str = "") -> TemplateProblem:
        """The problem at a value of template.yaml; `prefix` names the file that the text is in."""
        return TemplateProblem(self.code, pointer, prefix + self.message, help=self.help)


class TemplateProblem(RegistryToolError):
    """A template cannot be rendered for a release.

    `pointer` leads into template.yaml, or into the release when `in_template` is false. `further`
    holds what else was found on the way, so that all of it can be shown at once.
    """

    def __init__(
        self,
        code: str,
        pointer: Pointer,
        message: str,
        *,
        help: str | None = None,
        in_template: bool = True,
        on_key: bool = False,
    ) -> None:
        super().__init__(message, help=help, code=code)
        self.problem_code = code
        self.pointer = pointer
        self.in_template = in_template
        self.on_key = on_key
        self.further: tuple[TemplateProblem, ...] = ()

    @property
    def all(self) -> tuple[TemplateProblem, ...]:
        """This problem and the further ones."""
        return (self, *self.further)


def raise_all(problems: list[TemplateProblem]) -> None:
    """Raise the first problem with the rest as `further`; do nothing without problems."""
    if problems:
        first, *rest = problems
        first.further = tuple(rest)
        raise first
