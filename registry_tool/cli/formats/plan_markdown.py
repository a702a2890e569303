"""A plan as Markdown for a pull-request comment, always shorter than what forges accept."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from registry_tool.cli.formats.layout import counted, human_bytes, printable
from registry_tool.cli.formats.plan_text import SYMBOLS, moved, totals
from registry_tool.domain.plan import Action, Plan, Skipped

LIMIT = 65_536
"""GitHub refuses longer comments; the result is shorter, in characters and in UTF-8 bytes."""
_ROOM_FOR_ACTIONS = 40_000
_ROOM_FOR_SKIPPED = 10_000
_LONGEST_CELL = 600
_DRIFT_LINES = 20

T = TypeVar("T")


def format_plan(plan: Plan) -> str:
    """Totals first, then tables of actions and skips, cut with the number of rows left out."""
    base = f"`{plan.base[:12]}`" if plan.base else "none yet"
    parts = [
        f"### {totals(plan)}",
        "",
        f"Manifests `{plan.head[:12]}`, records {base}{_bytes_total(plan)}",
        "",
    ]
    if plan.actions:
        parts += [
            "`+` create, `~` update, `-` delete",
            "",
            "| | Action | Subject | Reason |",
            "|---|---|---|---|",
        ]
        parts += _bounded(plan.actions, _action_row, _ROOM_FOR_ACTIONS, "action")
    if plan.skipped:
        parts += [f"<details><summary>{len(plan.skipped)} skipped</summary>", ""]
        parts += ["| Subject | Reason |", "|---|---|"]
        parts += _bounded(plan.skipped, _skipped_row, _ROOM_FOR_SKIPPED, "skip")
        parts += ["</details>", ""]
    return "\n".join(parts)


def _bytes_total(plan: Plan) -> str:
    if not plan.summary.build:
        return ""
    upload = sum(action.bytes.upload for action in plan.actions)
    reuse = sum(action.bytes.reuse for action in plan.actions)
    return f", {human_bytes(upload)} to upload, {human_bytes(reuse)} reused"


def _action_row(action: Action) -> str:
    verb = "remove" if action.kind == "undeploy" else action.kind
    bytes_line = moved(action)
    reason = _cell(action.reason) + (f"<br>{bytes_line}" if bytes_line else "")
    return f"| `{SYMBOLS[action.change]}` | {verb} | `{action.subject}` | {reason} |"


def _skipped_row(entry: Skipped) -> str:
    return f"| `{entry.subject}` | {_cell(entry.reason)} |"


def _bounded(entries: Sequence[T], row: Callable[[T], str], room: int, noun: str) -> list[str]:
    rows: list[str] = []
    for count, entry in enumerate(entries):
        text = row(entry)
        room -= len(text.encode()) + 1
        if room < 0:
            return [*rows, "", f"… and {counted(len(entries) - count, f'more {noun}')}.", ""]
        rows.append(text)
    return [*rows, ""]


def _cell(text: str) -> str:
    """Text that Markdown and HTML show as it is, in one table cell."""
    short = printable(text)
    short = short if len(short) <= _LONGEST_CELL else short[:_LONGEST_CELL] + "…"
    escaped = short.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~@#])", r"\\\1", escaped)


def format_drift(drift: Sequence[str]) -> str:
    """What was observed to differ from the records, as a list."""
    if not drift:
        return "Observed: no drift.\n"
    shown = [f"- {_cell(line)}" for line in drift[:_DRIFT_LINES]]
    left = len(drift) - len(shown)
    more = ["", f"… and {counted(left, 'more line')}."] if left else []
    return "\n".join([f"**Observed drift: {len(drift)}**", "", *shown, *more, ""])
