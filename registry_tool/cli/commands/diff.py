"""`diff`: two revisions compared by what their manifests declare."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from registry_tool.cli.app import App, pass_app
from registry_tool.cli.options import format_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_tool.domain.comparing import FieldChange, SubjectChange

_SYMBOLS = {"created": ("+", "green"), "updated": ("~", "yellow"), "deleted": ("-", "red")}
_LONGEST_VALUE = 120


@click.command("diff")
@click.argument("old", metavar="REV")
@click.argument("new", metavar="REV")
@format_option("text", "json")
@pass_app
def diff_command(app: App, old: str, new: str, output: str) -> None:
    """Compare the manifests of two revisions by identity: moved files are no difference."""
    from registry_tool.cli.formats.json import document
    from registry_tool.cli.reading import read_committed
    from registry_tool.domain.comparing import compare

    before, after = read_committed(app, old), read_committed(app, new)
    changes = compare(before.desired, after.desired)
    if output == "text":
        app.out(_as_text(changes, color=app.color))
        return
    app.out(
        document(
            {
                "from": str(before.revision),
                "to": str(after.revision),
                "subjects": [
                    {
                        "subject": entry.subject,
                        "change": entry.change,
                        "fields": [field._asdict() for field in entry.fields],
                    }
                    for entry in changes
                ],
                "summary": _counts(changes),
            }
        )
    )


def _counts(changes: Sequence[SubjectChange]) -> dict[str, int]:
    return {name: sum(entry.change == name for entry in changes) for name in _SYMBOLS}


def _as_text(changes: Sequence[SubjectChange], *, color: bool) -> str:
    from registry_tool.cli.formats.layout import styled

    if not changes:
        return "No differences.\n"
    lines = []
    for entry in changes:
        symbol, style = _SYMBOLS[entry.change]
        lines.append(f"{styled(symbol, style, color)} {styled(entry.subject, 'bold', color)}")
        lines += [f"    {_field_line(field)}" for field in entry.fields]
    counts = _counts(changes)
    lines += ["", ", ".join(f"{count} {name}" for name, count in counts.items()) + "."]
    return "\n".join(lines) + "\n"


def _field_line(field: FieldChange) -> str:
    from registry_tool.cli.formats.layout import printable

    name = printable(field.field)
    if field.old is None:
        return f"{name}: added {_value(field.new)}"
    if field.new is None:
        return f"{name}: removed {_value(field.old)}"
    return f"{name}: {_value(field.old)} → {_value(field.new)}"


def _value(value: str | int | float | bool | None) -> str:
    from registry_tool.cli.formats.layout import printable

    plain = isinstance(value, str) and value.strip() == value and value != ""
    text = printable(str(value)) if plain else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"
