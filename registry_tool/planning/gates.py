"""Gates: what keeps a planned deployment waiting although nothing is wrong with it.

They depend on the time, so a plan does not know them: they are asked when it is carried out, with
an injected clock. A gate that is closed now opens by itself, or by an approval.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from registry_tool.domain.desired import Desired
from registry_tool.domain.environment import Approvals, Freeze
from registry_tool.domain.gates import approvers, proved
from registry_tool.domain.quantities import format_duration
from registry_tool.domain.recorded import Recorded
from registry_tool.domain.records import Provenance
from registry_tool.domain.subjects import DeploymentId
from registry_tool.planning.building import plan_release
from registry_tool.planning.state import State

_CHAIN = 1000
"""How many windows that follow each other without a gap are looked through for their end."""


def blocked(
    desired: Desired,
    recorded: Recorded,
    deployment_id: DeploymentId,
    now: datetime,
    provenance: Provenance | None,
) -> str | None:
    """Why a change of a deployment has to wait at `now`, or None. `now` has a time zone.

    A removal waits for freezes only. `provenance` is the commit that asks for the change.
    """
    environment = desired.environments.get(deployment_id.environment)
    if environment is None:
        return None
    spec = environment.manifest.spec
    for freeze in spec.freeze:
        end = frozen_until(freeze, now)
        if end is not None:
            return _frozen(freeze, end)
    if deployment_id not in desired.deployments:
        return None
    if spec.promote_from is not None:
        waiting = _not_promoted(
            desired, recorded, deployment_id, spec.promote_from, spec.soak or timedelta(0), now
        )
        if waiting is not None:
            return waiting
    return _not_approved(spec.approvals, provenance) if spec.approvals is not None else None


# --- freeze --------------------------------------------------------------------------------------


def schedule_problem(schedule: str) -> str | None:
    """Why a freeze's schedule is none, or None."""
    from cronsim import CronSim, CronSimError

    if len(schedule.split()) != 5:
        return "it does not have five fields: minute, hour, day, month, weekday"
    try:
        next(CronSim(schedule, datetime(2024, 1, 1, tzinfo=UTC)))
    except CronSimError as problem:
        return str(problem)
    except StopIteration:
        return "it never comes"
    return None


def frozen_until(freeze: Freeze, now: datetime) -> datetime | None:
    """When the freeze that holds at `now` ends, in its own time zone; None outside of it.

    Windows begin by the wall clock of their time zone and last for real time, so one that spans a
    change of the clocks is neither shorter nor longer. Windows without a gap are one.
    """
    from cronsim import CronSim

    zone = ZoneInfo(freeze.timezone)
    # One second later, so that a window that begins now counts.
    local = (now + timedelta(seconds=1)).astimezone(zone)
    start = next(CronSim(freeze.schedule, local, reverse=True), None)
    if start is None or _after(start, freeze.duration) <= now:
        return None
    end = _after(start, freeze.duration)
    following: Iterator[datetime] = CronSim(freeze.schedule, local)
    for _, begins in zip(range(_CHAIN), following, strict=False):
        if begins.astimezone(UTC) > end:
            break
        end = _after(begins, freeze.duration)
    return end.astimezone(zone)


def _after(start: datetime, duration: timedelta) -> datetime:
    # In UTC: adding to a local time would add wall-clock time.
    return start.astimezone(UTC) + duration


def _frozen(freeze: Freeze, end: datetime) -> str:
    why = f": {freeze.reason}" if freeze.reason else ""
    window = f"{freeze.schedule} for {format_duration(freeze.duration)}, {freeze.timezone}"
    return f"frozen until {end:%Y-%m-%d %H:%M %Z}{why} ({window})"


# --- promotion -----------------------------------------------------------------------------------


def _not_promoted(
    desired: Desired,
    recorded: Recorded,
    deployment_id: DeploymentId,
    source: str,
    soak: timedelta,
    now: datetime,
) -> str | None:
    state = State(desired, recorded, frozenset())
    release_id = state.tracks.release_of(desired.deployments[deployment_id].manifest)
    if release_id is None or release_id not in desired.releases:
        return None
    key = plan_release(state, release_id).key
    if key is None:
        return f"{release_id.subject} is not built"
    there = {
        other: [entry.record.spec for entry in entries]
        for other, entries in recorded.deployments.items()
        if other.environment == source
    }
    proof = proved(there, key.value, now)
    if proof.failed is not None:
        return f"{release_id.subject} last failed in {source}, as {proof.failed.subject}"
    if proof.ran is None:
        return f"{release_id.subject} has not run in {source} yet"
    if proof.ran < soak:
        opens = now + soak - proof.ran
        return (
            f"{release_id.subject} has run in {source} for "
            f"{format_duration(proof.ran)} of {format_duration(soak)}; "
            f"opens {opens.astimezone(UTC):%Y-%m-%d %H:%M UTC} if it keeps running"
        )
    return None


# --- approvals -----------------------------------------------------------------------------------


def _not_approved(approvals: Approvals, provenance: Provenance | None) -> str | None:
    author = provenance.author.email if provenance is not None else ""
    counted = approvers(approvals, author, provenance.approved_by if provenance else ())
    if len(counted) >= approvals.count:
        return None
    allowed = sorted({address.lower() for address in approvals.from_})
    whose = f" of {', '.join(allowed)}" if allowed else ""
    return (
        f"{len(counted)} of {approvals.count} approvals{whose}: "
        "add Approved-by: trailers to the commit that asks for it"
    )
