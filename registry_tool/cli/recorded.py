"""Which records a command looks at: this repository's own, or its remote's, fetched when possible."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_tool.domain.recorded import RECORDS_BRANCH
from registry_tool.errors import RepositoryProblem

if TYPE_CHECKING:
    from registry_tool.cli.app import App
    from registry_tool.domain.recorded import Recorded
    from registry_tool.repository.repository import Repository


def remote_of(app: App) -> str | None:
    """The remote in which this repository is reconciled: as configured, else origin, else the first."""
    remotes = app.repository.remotes()
    default = "origin" if "origin" in remotes else next(iter(remotes), None)
    return app.setting("remote") or default


def records_of(app: App) -> Recorded:
    """The newest records: fetched from the remote, or those known here when it cannot be reached."""
    from registry_tool.reconcile.states import read_recorded

    fetch_records(app)
    return read_recorded(app.repository, ref=records_ref(app.repository), cache=app.cache)


def fetch_records(app: App) -> str | None:
    """Bring the newest records here, as far as possible; their commit."""
    remote = remote_of(app)
    if remote is not None:
        from registry_tool.repository.remote import fetch

        try:
            fetch(app.repository, remote)
        except RepositoryProblem as problem:
            app.note(f"note: the records known here are used: {problem.message}")
    return app.repository.ref(records_ref(app.repository))


def records_ref(repository: Repository) -> str:
    """The ref that holds the newest records known here.

    A plain `git fetch` brings a remote's records to a remote-tracking branch only; a repository that
    reconciles itself has its own branch, which may be ahead of what it pushed.
    """
    own = repository.ref(RECORDS_BRANCH)
    name = RECORDS_BRANCH.removeprefix("refs/heads/")
    for remote in repository.remotes():
        tracking = f"refs/remotes/{remote}/{name}"
        fetched = repository.ref(tracking)
        if fetched is not None and (own is None or repository.is_ancestor(own, fetched)):
            return tracking
    return RECORDS_BRANCH
