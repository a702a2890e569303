"""Which records a command looks at: this repository's own, or what was last fetched of its remote's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_tool.domain.recorded import RECORDS_BRANCH
from registry_tool.reconcile.states import read_recorded

if TYPE_CHECKING:
    from registry_tool.cli.app import App
    from registry_tool.domain.recorded import Recorded
    from registry_tool.repository.repository import Repository


def records_ref(repository: Repository) -> str:
    """The ref that holds the newest records known here.

    A clone of a repository that is reconciled elsewhere has them in a remote-tracking branch only;
    one that reconciles itself has its own branch, which may be ahead of what it pushed.
    """
    own = repository.ref(RECORDS_BRANCH)
    name = RECORDS_BRANCH.removeprefix("refs/heads/")
    for remote in repository.remotes():
        tracking = f"refs/remotes/{remote}/{name}"
        fetched = repository.ref(tracking)
        if fetched is not None and (own is None or repository.is_ancestor(own, fetched)):
            return tracking
    return RECORDS_BRANCH


def records_of(app: App) -> Recorded:
    """The newest records known here."""
    return read_recorded(app.repository, ref=records_ref(app.repository), cache=app.cache)
