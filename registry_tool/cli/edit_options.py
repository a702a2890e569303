"""What every command that edits manifests offers: commit, branch, message, dry run."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from registry_tool.domain.recorded import DEPLOY_BRANCHES, RECORDS_BRANCH
from registry_tool.errors import UsageProblem

_RECORDERS = (RECORDS_BRANCH, DEPLOY_BRANCHES)


@dataclass(frozen=True)
class EditOptions:
    """What every editing command offers beside its own options."""

    commit: bool = False
    branch: str | None = None
    message: str | None = None
    dry_run: bool = False

    @property
    def committed(self) -> bool:
        """Whether the result becomes a commit."""
        return self.commit or self.branch is not None


def edit_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add --commit, --branch, --message and --dry-run; the command takes them as `edit`."""

    @functools.wraps(command)
    def with_edit(
        *args: Any,
        commit: bool,
        branch: str | None,
        message: str | None,
        dry_run: bool,
        **kwargs: Any,
    ) -> int:
        edit = EditOptions(commit, branch, message, dry_run)
        if message is not None and not edit.committed:
            raise UsageProblem(
                "--message is the message of a commit, and no commit is asked for",
                help="add --commit or --branch NAME",
            )
        if branch is not None and f"refs/heads/{branch}".startswith(_RECORDERS):
            raise UsageProblem(
                f"the branch {branch} belongs to the recorder", help="choose another --branch NAME"
            )
        return command(*args, edit=edit, **kwargs)

    for option in (
        click.option("--dry-run", is_flag=True, help="Print the change as a diff; write nothing."),
        click.option("-m", "--message", metavar="TEXT", help="The commit's message."),
        click.option(
            "--branch",
            metavar="NAME",
            help="Commit on this branch (made from HEAD when new); the work tree stays as it is.",
        ),
        click.option(
            "--commit", is_flag=True, help="Commit the change, and nothing but the change."
        ),
    ):
        with_edit = option(with_edit)
    return with_edit
