"""Who asked for a deployment: the commit that last changed it, and who approved that commit."""

from __future__ import annotations

from collections.abc import Sequence

from registry_tool.domain.records import Provenance
from registry_tool.domain.revisions import Revision
from registry_tool.repository.repository import Repository

APPROVALS = ("Reviewed-by", "Approved-by")


def provenance(repository: Repository, revision: Revision, paths: Sequence[str]) -> Provenance:
    """The newest commit up to `revision` that touched one of `paths`; the revision's own when none did.

    In a shallow clone the answer may be the oldest commit that is there.
    """
    found = next(repository.commits(revision.oid, paths=paths, limit=1), None)
    commit = found or next(repository.commits(revision.oid, limit=1))
    approved = [value for key in APPROVALS for value in commit.trailer(key)]
    return Provenance(
        commit=commit.oid,
        author=commit.author,
        committer=commit.committer,
        authored_at=commit.authored_at,
        approved_by=tuple(dict.fromkeys(approved)),
    )
