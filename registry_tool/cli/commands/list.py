"""`list`: manifests and builds of one kind."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import click

from registry_tool.cli.app import App, pass_app
from registry_tool.cli.options import format_option, rev_option
from registry_tool.errors import UsageProblem

if TYPE_CHECKING:
    from registry_tool.cli.views.listing import Filters, Listing

KINDS = (
    "models",
    "releases",
    "environments",
    "deployments",
    "templates",
    "artifacts",
    "builds",
    "api-keys",
)


@click.command("list")
@click.argument("kind", metavar="KIND")
@rev_option()
@click.option("--model", metavar="NAME", help="Only of this model.")
@click.option("--stage", metavar="STAGE", help="Only releases of this stage.")
@click.option("--environment", metavar="NAME", help="Only deployments in this environment.")
@format_option("text", "json")
@pass_app
def list_command(
    app: App,
    kind: str,
    rev: str | None,
    model: str | None,
    stage: str | None,
    environment: str | None,
    output: str,
) -> None:
    """List manifests or builds of one KIND.

    KIND is models, releases, environments, deployments, templates, artifacts, builds or api-keys;
    the singular is fine too.
    """
    from registry_tool.cli.formats.json import document
    from registry_tool.cli.formats.layout import table
    from registry_tool.cli.reading import read_committed
    from registry_tool.cli.recorded import records_of
    from registry_tool.cli.views.listing import LISTINGS, Filters, Selection
    from registry_tool.domain.recorded import Recorded

    name = _kind(kind)
    listing = LISTINGS[name]
    filters = Filters(model=model, stage=stage, environment=environment)
    _check_filters(name, listing, filters)
    committed = read_committed(app, rev)
    needs_records = name == "builds"
    recorded = records_of(app) if needs_records else Recorded()
    rows = list(listing.rows(Selection(committed.desired, recorded, filters)))
    if output == "json":
        items = [row.item for row in rows]
        app.out(document({"revision": str(committed.revision), "kind": name, "items": items}))
    elif rows:
        app.out(table(listing.headings, [row.cells for row in rows], color=app.color))
    else:
        app.note(f"no {name.replace('-', ' ')} at {committed.revision.short}")


def _kind(text: str) -> str:
    from registry_tool.domain.names import did_you_mean

    plural = text if text.endswith("s") else f"{text}s"
    plural = plural.replace("_", "-").lower()
    if plural in KINDS:
        return plural
    raise UsageProblem(
        f'there is no kind "{text}"',
        help=did_you_mean(plural, KINDS) or f"the kinds are {', '.join(KINDS)}",
    )


def _check_filters(name: str, listing: Listing, filters: Filters) -> None:
    from registry_tool.domain.names import did_you_mean
    from registry_tool.domain.release import Stage

    for field in fields(filters):
        if getattr(filters, field.name) is not None and field.name not in listing.filters:
            allowed = ", ".join(f"--{option}" for option in listing.filters) or "no filter"
            raise UsageProblem(
                f"--{field.name} does not apply to {name}",
                help=f"{name} can be listed with {allowed}",
            )
    stages = [stage.value for stage in Stage]
    if filters.stage is not None and filters.stage not in stages:
        raise UsageProblem(
            f'there is no stage "{filters.stage}"',
            help=did_you_mean(filters.stage, stages) or f"the stages are {', '.join(stages)}",
        )
