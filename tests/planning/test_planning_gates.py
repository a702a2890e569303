"""Gates: closed for a reason, and open again at the right time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from planning_world import START, World

from registry_tool.domain.environment import Freeze
from registry_tool.domain.records import Person, Provenance
from registry_tool.domain.subjects import DeploymentId
from registry_tool.planning.gates import blocked, frozen_until

PRODUCTION = DeploymentId("production", "search")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def freeze(schedule: str, duration: str, timezone: str = "UTC", reason: str = "") -> Freeze:
    return Freeze.model_validate(
        {"schedule": schedule, "duration": duration, "timezone": timezone, "reason": reason}
    )


# --- freeze --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2025-01-10T17:59:59", None),
        ("2025-01-10T18:00:00", "2025-01-13T06:00"),
        ("2025-01-12T12:00:00", "2025-01-13T06:00"),
        ("2025-01-13T05:59:59", "2025-01-13T06:00"),
        ("2025-01-13T06:00:00", None),
    ],
)
def test_a_weekend_freeze_begins_and_ends_on_time(now: str, end: str | None) -> None:
    found = frozen_until(freeze("0 18 * * 5", "2d12h"), moment(now))
    assert found == (moment(end) if end else None)


@pytest.mark.parametrize(
    ("now", "frozen"),
    [
        # In winter Berlin is one hour ahead of UTC, in summer two.
        ("2025-01-15T07:30", False),
        ("2025-01-15T08:30", True),
        ("2025-07-15T07:30", True),
        ("2025-07-15T09:30", False),
    ],
)
def test_a_freeze_follows_the_wall_clock_of_its_zone(now: str, frozen: bool) -> None:
    found = frozen_until(freeze("0 9 * * *", "2h", "Europe/Berlin"), moment(now))
    assert (found is not None) == frozen


@pytest.mark.parametrize("start", ["2025-03-29T23:00", "2025-10-25T22:00"])
def test_a_freeze_over_a_change_of_the_clocks_lasts_as_long_as_any_other(start: str) -> None:
    night = freeze("0 0 * * 0", "4h", "Europe/Berlin")
    begin = moment(start)
    assert frozen_until(night, begin - timedelta(seconds=1)) is None
    assert frozen_until(night, begin) == begin + timedelta(hours=4)
    assert frozen_until(night, begin + timedelta(hours=4, seconds=-1)) is not None
    assert frozen_until(night, begin + timedelta(hours=4)) is None


def test_a_freeze_in_the_hour_that_the_clocks_skip_begins_after_it() -> None:
    skipped = freeze("30 2 30 3 *", "1h", "Europe/Berlin")
    assert frozen_until(skipped, moment("2025-03-30T00:59")) is None
    assert frozen_until(skipped, moment("2025-03-30T01:00")) == moment("2025-03-30T02:00")


def test_windows_without_a_gap_are_one() -> None:
    nights = freeze("0 0,6,12 * * *", "6h")
    assert frozen_until(nights, moment("2025-01-01T01:00")) == moment("2025-01-01T18:00")


def test_a_freeze_without_end_is_answered_at_once() -> None:
    always = freeze("* * * * *", "1h")
    end = frozen_until(always, moment("2025-01-01T01:00"))
    assert end is not None
    assert end > moment("2025-01-01T02:00")


# --- promotion, approvals, and their order -------------------------------------------------------


@pytest.fixture
def promoted(world: World) -> World:
    """A release that is deployed in staging and is to go to production after a day."""
    world.locked()
    world.built()
    world.deployment("canary", "staging")
    world.environment("production", promote_from="staging", soak="1d")
    world.deployment("search", "production")
    return world


def gate(world: World, who: Provenance | None = None, after: Any = None) -> str | None:
    now = world.clock + (after or timedelta(0))
    return blocked(world.desired, world.recorded, PRODUCTION, now, who)


def test_without_gates_nothing_waits(world: World) -> None:
    world.locked()
    world.environment("production")
    world.deployment("search", "production")
    assert gate(world) is None
    assert blocked(world.desired, world.recorded, DeploymentId("no", "where"), START, None) is None


def test_a_freeze_names_its_window_and_its_end(world: World) -> None:
    world.locked()
    world.environment(
        "production",
        freeze=[
            {
                "schedule": "0 0 1 1 *",
                "duration": "2d",
                "timezone": "Europe/Berlin",
                "reason": "holidays",
            }
        ],
    )
    world.deployment("search", "production")
    assert gate(world) == (
        "frozen until 2025-01-03 00:00 CET: holidays (0 0 1 1 * for 2d, Europe/Berlin)"
    )
    del world.deployments[PRODUCTION]
    assert gate(world) is not None, "removals wait too"
    assert gate(world, after=timedelta(days=3)) is None


def test_a_release_runs_in_staging_first(promoted: World) -> None:
    assert gate(promoted) == "release/minilm/1.0.0/none has not run in staging yet"
    promoted.ran(DeploymentId("staging", "canary"))
    waiting = gate(promoted, after=timedelta(hours=6))
    assert waiting is not None
    assert waiting.startswith("release/minilm/1.0.0/none has run in staging for 6h of 1d; opens")
    assert "2025-01-02 00:00 UTC" in waiting
    assert gate(promoted, after=timedelta(days=1)) is None


def test_a_removal_needs_no_soak(promoted: World) -> None:
    del promoted.deployments[PRODUCTION]
    assert gate(promoted) is None


def test_another_build_of_the_release_does_not_count(promoted: World) -> None:
    promoted.ran(DeploymentId("staging", "canary"))
    promoted.lock(weights="other")
    promoted.built()
    assert gate(promoted, after=timedelta(days=9)) is not None


def test_a_soak_is_without_a_break(promoted: World) -> None:
    canary = DeploymentId("staging", "canary")
    promoted.ran(canary)
    promoted.passes(hours=20)
    promoted.ran(canary, "removed")
    promoted.passes(hours=20)
    promoted.ran(canary)
    assert gate(promoted, after=timedelta(hours=23)) is not None
    assert gate(promoted, after=timedelta(hours=24)) is None


def test_a_soak_that_was_long_enough_once_stays(promoted: World) -> None:
    canary = DeploymentId("staging", "canary")
    promoted.ran(canary)
    promoted.passes(hours=30)
    promoted.locked("1.1.0", weights="new")
    promoted.deployment("canary", "staging", version="1.1.0")
    promoted.built("1.1.0")
    promoted.ran(canary, version="1.1.0")
    assert gate(promoted) is None


def test_deploying_the_same_build_again_is_no_break(promoted: World) -> None:
    canary = DeploymentId("staging", "canary")
    promoted.ran(canary)
    promoted.passes(hours=20)
    promoted.deployment("canary", "staging", replicas=2)
    promoted.ran(canary)
    assert gate(promoted, after=timedelta(hours=4)) is None


def test_a_failure_after_the_soak_closes_the_gate(promoted: World) -> None:
    canary = DeploymentId("staging", "canary")
    promoted.ran(canary)
    promoted.passes(days=2)
    promoted.ran(canary, "rolled_back", error="unhealthy")
    assert gate(promoted) == (
        "release/minilm/1.0.0/none last failed in staging, as deployment/staging/canary"
    )


def who(*approved_by: str) -> Provenance:
    ada = Person(name="Ada", email="ada@example.org")
    return Provenance(commit="1" * 40, author=ada, committer=ada, approved_by=approved_by)


@pytest.mark.parametrize(
    ("approved_by", "opens"),
    [
        ((), False),
        (("Bob <bob@example.org>",), False),
        (("Bob <bob@example.org>", "Robert <BOB@example.org>"), False),
        (("Bob <bob@example.org>", "Ada <ada@example.org>"), False),
        (("Bob <bob@example.org>", "carol@example.org"), True),
    ],
)
def test_approvers_are_distinct_and_not_the_author(
    world: World, approved_by: tuple[str, ...], opens: bool
) -> None:
    world.locked()
    world.environment("production", approvals={"count": 2})
    world.deployment("search", "production")
    waiting = gate(world, who(*approved_by))
    assert (waiting is None) == opens
    if waiting:
        assert "of 2 approvals" in waiting


def test_only_named_approvers_count(world: World) -> None:
    world.locked()
    world.environment("production", approvals={"from": ["Carol@example.org"]})
    world.deployment("search", "production")
    assert gate(world, who("Bob <bob@example.org>")) == (
        "0 of 1 approvals of carol@example.org: "
        "add Approved-by: trailers to the commit that asks for it"
    )
    assert gate(world, who("Carol <carol@example.org>")) is None
    assert gate(world, None) is not None
