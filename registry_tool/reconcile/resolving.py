"""Which revision is reconciled: the tip of one branch, here or in a remote."""

from __future__ import annotations

from registry_tool.domain.recorded import RECORDS_BRANCH
from registry_tool.domain.revisions import Revision
from registry_tool.errors import RepositoryProblem, UsageProblem
from registry_tool.repository.remote import fetch
from registry_tool.repository.repository import Repository


def resolve_revision(
    repository: Repository, rev: str | None, *, remote: str | None, allow_old: bool
) -> Revision:
    """The tip of the branch that HEAD names, fetched from `remote` when there is one, or `rev` on that branch.

    Raises UsageProblem for a revision that is not on the branch, or behind its tip without `allow_old`, and
    RepositoryProblem when there is no commit or the remote cannot be used.
    """
    branch = repository.head_branch()
    if remote:
        tip = fetch(repository, remote, branch).branch
    else:
        _require_own_records(repository)
        tip = repository.ref(f"refs/heads/{branch}")
    if tip is None:
        raise RepositoryProblem(
            f'the branch "{branch}" has no commit yet',
            help="commit the manifests first",
            code="RT604",
        )
    oid = repository.resolve(rev) if rev else tip
    if oid != tip:
        _require_on_branch(repository, oid, tip, branch, allow_old)
    return Revision(branch, oid)


def _require_own_records(repository: Repository) -> None:
    """Refuse to start or go on with records here when a remote has newer ones: the two could never be joined."""
    own = repository.ref(RECORDS_BRANCH)
    for remote in repository.remotes():
        there = repository.ref(RECORDS_BRANCH.replace("refs/heads", f"refs/remotes/{remote}", 1))
        if there is not None and (own is None or not repository.is_ancestor(there, own)):
            raise UsageProblem(
                f"{remote} has records that are not here: what is done here would not be known there",
                help=f"apply with --push {remote}, or push and let {remote} reconcile",
            )


def _require_on_branch(
    repository: Repository, oid: str, tip: str, branch: str, allow_old: bool
) -> None:
    if not repository.is_ancestor(oid, tip):
        raise UsageProblem(
            f"{oid[:12]} is not on the branch {branch}, and only that branch is reconciled",
            help=f"merge it into {branch} first",
        )
    if not allow_old:
        raise UsageProblem(
            f"{oid[:12]} is behind the tip of {branch} ({tip[:12]}); applying it would undo newer commits",
            help="revert with a commit, or say --allow-old",
        )
