"""Conditions of gates that follow from records and commits: where a build has run, and who approved."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from registry_tool.domain.environment import Approvals
from registry_tool.domain.records import DeploymentRecordSpec, DeploymentResult
from registry_tool.domain.subjects import DeploymentId

_RUNS = frozenset((DeploymentResult.SUCCEEDED, DeploymentResult.DELEGATED))
_ENDS = _RUNS | {DeploymentResult.REMOVED}
_ADDRESS = re.compile(r"<([^<>]+)>")


class Proof(NamedTuple):
    """How a build did in an environment."""

    ran: timedelta | None
    """The longest time without a break that it ran; None when it never did."""
    failed: DeploymentId | None
    """A deployment of which the build's newest record is a failure."""


def proved(
    records: Mapping[DeploymentId, Sequence[DeploymentRecordSpec]], build_key: str, now: datetime
) -> Proof:
    """What the records of an environment's deployments, oldest first, say of a build until `now`."""
    longest: timedelta | None = None
    failed: DeploymentId | None = None
    for deployment, entries in records.items():
        latest = next((one for one in reversed(entries) if one.build_key == build_key), None)
        if latest is not None and latest.result not in _RUNS:
            failed = failed or deployment
        ran = _ran_for(entries, build_key, now)
        longest = ran if longest is None else max(longest, ran or longest)
    return Proof(longest, failed)


def _ran_for(
    records: Iterable[DeploymentRecordSpec], build_key: str, now: datetime
) -> timedelta | None:
    """The longest time without a break that a build ran, by the records of one deployment."""
    longest: timedelta | None = None
    since: datetime | None = None
    for record in records:
        if record.result not in _ENDS:
            continue
        runs = record.result in _RUNS and record.build_key == build_key
        at = record.timings.finished_at
        if runs and since is None:
            since = at
        elif not runs and since is not None:
            longest = max(longest or timedelta(0), at - since)
            since = None
    if since is not None:
        longest = max(longest or timedelta(0), now - since)
    return longest


def approvers(approvals: Approvals, author: str, approved_by: Iterable[str]) -> frozenset[str]:
    """The addresses whose approval of a commit counts: never its author's, each once."""
    allowed = {address.lower() for address in approvals.from_}
    found = {_address(text) for text in approved_by} - {author.lower()}
    return frozenset(one for one in found if not allowed or one in allowed)


def _address(trailer: str) -> str:
    """The e-mail address of ``Name <address>``, which is what makes approvers distinct."""
    found = _ADDRESS.search(trailer)
    return (found[1] if found else trailer).strip().lower()
