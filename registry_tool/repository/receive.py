"""What the server's pre-receive hook lets pass: who may push to which ref. It only reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from registry_tool.domain.recorded import (
    DEPLOY_BRANCHES,
    LEASE_REF,
    RECORDS_BRANCH,
    REQUESTS_FOLDER,
    parse_record_file_name,
)
from registry_tool.errors import RepositoryProblem
from registry_tool.repository.history import read_changes
from registry_tool.repository.refs import RefUpdate
from registry_tool.repository.repository import Repository
from registry_tool.repository.trees import FILE_MODE, object_id

PUSHER_VARIABLES = ("REGISTRY_TOOL_PUSHER", "GL_USERNAME", "GITEA_PUSHER_NAME", "REMOTE_USER")
"""Where servers say who pushes; the first one that is set counts."""


def parse_receive_lines(text: str) -> list[RefUpdate]:
    """The updates that Git gives a receive hook: ``<old> <new> <ref>`` on each line."""
    updates = []
    for line in text.splitlines():
        old, new, ref = line.split(" ", 2)
        updates.append(RefUpdate(_oid(old), _oid(new), ref))
    return updates


def _oid(text: str) -> str | None:
    return text if text.strip("0") else None


def pusher(environment: Mapping[str, str]) -> str | None:
    """Who pushes, as far as the server tells."""
    return next((environment[name] for name in PUSHER_VARIABLES if environment.get(name)), None)


def configured_recorders(repository: Repository) -> list[str]:
    """Identities that may push what the recorder writes.

    The values of ``registry-tool.recorder``.
    """
    return repository.config_all("registry-tool.recorder")


def refused_updates(
    updates: Iterable[RefUpdate],
    pushed_by: str | None,
    recorders: Sequence[str],
    repository: Repository,
) -> list[str]:
    """Why updates are refused, one line each; empty when all may pass.

    Records, rendered branches and the lease belong to the recorder. Everybody may append requests.
    """
    if pushed_by is not None and pushed_by in recorders:
        return []
    who = pushed_by or "somebody the server does not name"
    reasons = []
    for update in updates:
        if not _is_recorders(update.ref):
            continue
        if update.ref == RECORDS_BRANCH and _only_adds_requests(repository, update):
            continue
        reasons.append(
            f"{update.ref}: only the recorder writes here, and {who} is not one "
            "(git config registry-tool.recorder lists them)"
        )
    return reasons


def _is_recorders(ref: str) -> bool:
    return ref in {RECORDS_BRANCH, LEASE_REF} or ref.startswith(DEPLOY_BRANCHES)


def _only_adds_requests(repository: Repository, update: RefUpdate) -> bool:
    """Whether the push moves the branch forward by new files below requests/ and nothing else."""
    if update.new is None:
        return False
    try:
        new = repository.resolve(update.new)
        if update.old is not None and not repository.is_ancestor(update.old, new):
            return False
    except RepositoryProblem as problem:
        if problem.code in {"RT602", "RT603"}:
            return False
        raise
    before = update.old or object_id("tree", b"", repository.object_format)
    changes = read_changes(repository.command, before, new)
    added = {change.path for change in changes if change.status == "A"}
    if len(added) != len(changes) or not all(map(_is_request_path, added)):
        return False
    listed = repository.tree(new, [REQUESTS_FOLDER])
    return all(entry.mode == FILE_MODE for entry in listed if entry.path in added)


def _is_request_path(path: str) -> bool:
    folder, _, name = path.partition("/")
    return folder == REQUESTS_FOLDER and parse_record_file_name(name) is not None
