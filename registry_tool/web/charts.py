"""Charts as geometry: shares of a width, which templates write as SVG and people see on every screen size."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from registry_tool.web.text import day, human_seconds, moment

MARKS: Mapping[str, int] = {
    "succeeded": 2,
    "delegated": 1,
    "failed": 4,
    "rolled_back": 3,
    "removed": 5,
    "pruned": 5,
}
"""Which colour stands for a result."""


@dataclass(frozen=True)
class Bar:
    """One row of a bar chart."""

    label: str
    href: str
    percent: float
    """Of the longest bar."""
    text: str
    """The value for people."""
    part: float = 0.0
    """How much of the bar is shared with others, in percent of the longest bar."""


@dataclass(frozen=True)
class Mark:
    """Something that happened, on a time axis."""

    x: float
    """Percent of the width."""
    color: int
    shape: str
    """``dot``, or ``square`` for what went wrong: colour alone says nothing to some."""
    href: str
    title: str


@dataclass(frozen=True)
class Lane:
    """One row of a timeline."""

    label: str
    href: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Timeline:
    """Lanes over one time axis."""

    lanes: tuple[Lane, ...]
    ticks: tuple[str, ...]
    legend: tuple[tuple[str, int, str], ...]
    """Result, colour, shape."""


@dataclass(frozen=True)
class Event:
    """What a timeline is made from."""

    lane: str
    at: datetime
    result: str
    href: str
    title: str


@dataclass(frozen=True)
class Column:
    """One column of a plot; all in percent."""

    x: float
    width: float
    height: float
    color: int
    href: str
    title: str


@dataclass(frozen=True)
class Plot:
    """Columns over a value axis."""

    columns: tuple[Column, ...]
    scale: tuple[str, ...]
    """Values of the axis, from the top down."""
    ticks: tuple[str, ...]
    legend: tuple[tuple[str, int, str], ...]


@dataclass(frozen=True)
class Duration:
    """What a plot of durations is made from."""

    at: datetime
    seconds: float
    result: str
    href: str
    title: str


def bars(rows: Sequence[tuple[str, str, float, str]]) -> tuple[Bar, ...]:
    """Rows of label, link, value and the value's text, each as a share of the largest."""
    longest = max((value for _, _, value, _ in rows), default=0) or 1
    return tuple(
        Bar(label, href, _round(100 * value / longest), text) for label, href, value, text in rows
    )


def timeline(
    events: Iterable[Event], lanes: Sequence[tuple[str, str]], now: datetime
) -> Timeline | None:
    """Events in lanes of name and link, from the first event until now; None when nothing happened."""
    found = sorted(events, key=lambda event: event.at)
    if not found:
        return None
    start = found[0].at
    end = max(now, found[-1].at, start + timedelta(minutes=1))
    span = (end - start).total_seconds()
    marks: dict[str, list[Mark]] = {name: [] for name, _ in lanes}
    for event in found:
        share = (event.at - start).total_seconds() / span
        mark = Mark(
            # Neither the first nor the last mark is cut off at the border.
            x=_round(1.5 + 97 * share),
            color=MARKS.get(event.result, 5),
            shape=_shape(event.result),
            href=event.href,
            title=f"{event.title}, {moment(event.at)}",
        )
        marks.setdefault(event.lane, []).append(mark)
    links = dict(lanes)
    return Timeline(
        tuple(Lane(name, links.get(name, ""), tuple(row)) for name, row in marks.items()),
        _time_ticks(start, end),
        _legend(event.result for event in found),
    )


def durations(values: Sequence[Duration]) -> Plot | None:
    """Columns in the order of time, equally wide; None without values."""
    if not values:
        return None
    ordered = sorted(values, key=lambda value: value.at)
    top = _round_up(max(value.seconds for value in ordered))
    step = 100 / max(len(ordered), 12)
    columns = tuple(
        Column(
            x=_round(index * step + step * 0.1),
            width=_round(step * 0.8),
            height=_round(max(1.0, 100 * value.seconds / top)),
            color=MARKS.get(value.result, 5),
            href=value.href,
            title=f"{value.title}, {human_seconds(value.seconds)}, {moment(value.at)}",
        )
        for index, value in enumerate(ordered)
    )
    ticks = tuple(dict.fromkeys((day(ordered[0].at), day(ordered[-1].at))))
    scale = (human_seconds(top), human_seconds(top / 2), "0")
    return Plot(columns, scale, ticks, _legend(value.result for value in ordered))


def _shape(result: str) -> str:
    return "square" if result in {"failed", "rolled_back"} else "dot"


def _legend(results: Iterable[str]) -> tuple[tuple[str, int, str], ...]:
    present = set(results)
    return tuple(
        (name.replace("_", " "), color, _shape(name))
        for name, color in MARKS.items()
        if name in present
    )


def _time_ticks(start: datetime, end: datetime) -> tuple[str, ...]:
    middle = start + (end - start) / 2
    if end - start > timedelta(days=3):
        return (day(start), day(middle), day(end))
    return (moment(start), moment(end))


def _round_up(value: float) -> float:
    """The next of 1, 2, 5, 10, 20, … (of seconds, or of minutes beyond two)."""
    if value > 120:
        return 60 * _round_up(value / 60)
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 5, 10) if value <= power * step)


def _round(value: float) -> float:
    return round(value, 2)
