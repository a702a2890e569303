from __future__ import annotations

from datetime import UTC, datetime, timedelta

from registry_tool.web.charts import Duration, Event, bars, durations, timeline

START = datetime(2026, 5, 1, tzinfo=UTC)


def event(hours: float, lane: str = "staging", result: str = "succeeded") -> Event:
    return Event(lane, START + timedelta(hours=hours), result, "/deployments/staging/search", "x")


def test_bars_are_shares_of_the_largest() -> None:
    found = bars([("a", "/a", 50, "50 B"), ("b", "/b", 200, "200 B"), ("c", "/c", 0, "0 B")])
    assert [(bar.label, bar.percent) for bar in found] == [("a", 25), ("b", 100), ("c", 0)]


def test_bars_of_nothing_but_zeros_are_empty() -> None:
    assert [bar.percent for bar in bars([("a", "/a", 0, "0 B")])] == [0]


def test_events_lie_in_their_lanes_in_the_order_of_time() -> None:
    chart = timeline(
        [event(48), event(0), event(24, "production")],
        [("staging", "/environments/staging"), ("production", "/environments/production")],
        START + timedelta(hours=48),
    )
    assert chart is not None
    staging, production = chart.lanes
    assert (staging.label, staging.href) == ("staging", "/environments/staging")
    assert [mark.x for mark in staging.marks] == [1.5, 98.5]
    assert [mark.x for mark in production.marks] == [50]
    assert chart.ticks == ("2026-05-01 00:00 UTC", "2026-05-03 00:00 UTC")


def test_the_time_axis_reaches_until_now() -> None:
    chart = timeline([event(0)], [("staging", "")], START + timedelta(days=10))
    assert chart is not None
    assert chart.lanes[0].marks[0].x == 1.5
    assert chart.ticks == ("2026-05-01", "2026-05-06", "2026-05-11")


def test_what_went_wrong_has_another_shape_and_is_in_the_legend() -> None:
    chart = timeline([event(0), event(1, result="failed")], [("staging", "")], START)
    assert chart is not None
    assert [mark.shape for mark in chart.lanes[0].marks] == ["dot", "square"]
    assert [entry[0] for entry in chart.legend] == ["succeeded", "failed"]


def test_nothing_happened_is_no_chart() -> None:
    assert timeline([], [("staging", "")], START) is None
    assert durations([]) is None


def test_columns_share_a_round_scale() -> None:
    values = [
        Duration(START + timedelta(hours=2), 7, "failed", "/b", "b"),
        Duration(START, 3, "succeeded", "/a", "a"),
    ]
    plot = durations(values)
    assert plot is not None
    assert plot.scale == ("10 s", "5.0 s", "0")
    assert [(column.href, column.height) for column in plot.columns] == [("/a", 30), ("/b", 70)]
    assert plot.columns[0].x + plot.columns[0].width <= plot.columns[1].x


def test_the_scale_of_long_builds_is_in_minutes() -> None:
    plot = durations([Duration(START, 1500, "succeeded", "/a", "a")])
    assert plot is not None
    assert plot.scale[0] == "50 min"


def test_a_build_without_duration_still_shows() -> None:
    plot = durations([Duration(START, 0, "succeeded", "/a", "a")])
    assert plot is not None
    assert plot.columns[0].height == 1
