"""A plan for people: a legend, each action with its reason, what is skipped, and totals."""

from __future__ import annotations

from collections.abc import Sequence

from registry_tool.cli.formats.layout import human_bytes, printable, styled
from registry_tool.domain.plan import Action, Plan

SYMBOLS = {"create": "+", "update": "~", "delete": "-"}
_STYLES = {"create": "green", "update": "yellow", "delete": "red"}


def format_plan(plan: Plan, *, color: bool, drifted: bool = False) -> str:
    """The whole plan; its last line is the totals. What has `drifted` is no part of it."""
    lines = [
        f"Manifests {plan.head[:12]}, records {plan.base[:12] if plan.base else 'none yet'}",
        "",
    ]
    if plan.actions:
        legend = "   ".join(
            f"{styled(symbol, _STYLES[change], color)} {change}"
            for change, symbol in SYMBOLS.items()
        )
        lines += [f"Legend: {legend}", ""]
    for action in plan.actions:
        lines += _action(action, color)
    if plan.skipped:
        lines += ["Skipped:"]
        lines += [f"  {entry.subject}: {printable(entry.reason)}" for entry in plan.skipped]
        lines += [""]
    if not plan.actions:
        lines.append("No changes but the drift." if drifted else "No changes.")
    lines.append(styled(totals(plan), "bold", color))
    return "\n".join(lines) + "\n"


def totals(plan: Plan) -> str:
    """``Plan: 2 to build, 1 to deploy, 0 to remove.``."""
    summary = plan.summary
    return (
        f"Plan: {summary.build} to build, {summary.deploy} to deploy, {summary.undeploy} to remove."
    )


def moved(action: Action) -> str | None:
    """Bytes that a build uploads and reuses, for people; None for other actions."""
    if action.kind != "build":
        return None
    return f"upload {human_bytes(action.bytes.upload)}, reuse {human_bytes(action.bytes.reuse)}"


def _action(action: Action, color: bool) -> list[str]:
    symbol = styled(SYMBOLS[action.change], _STYLES[action.change], color)
    verb = "remove" if action.kind == "undeploy" else action.kind
    lines = [f"{symbol} {verb} {styled(action.subject, 'bold', color)}"]
    lines.append(f"    {printable(action.reason)}")
    bytes_line = moved(action)
    if bytes_line:
        lines.append(f"    {bytes_line}")
    return [*lines, ""]


def format_drift(drift: Sequence[str], *, color: bool) -> str:
    """What was observed to differ from the records, and an empty line."""
    if not drift:
        return "Observed: no drift.\n\n"
    lines = [f"  {styled('!', 'yellow', color)} {printable(line)}" for line in drift]
    return "\n".join(["Observed drift:", *lines, "", ""])
