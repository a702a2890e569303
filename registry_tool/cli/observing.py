"""Looking at what is really there, for the commands that can show drift."""

from __future__ import annotations

from typing import TYPE_CHECKING

from registry_tool.cli.recorded import records_ref
from registry_tool.domain.recorded import RECORDS_BRANCH
from registry_tool.errors import UsageProblem

if TYPE_CHECKING:
    from registry_tool.cli.app import App
    from registry_tool.domain.desired import Desired
    from registry_tool.domain.recorded import Recorded
    from registry_tool.domain.revisions import Revision


def can_observe(app: App) -> bool:
    """Whether this repository reconciles itself; a clone has neither the store nor the branches."""
    return records_ref(app.repository) == RECORDS_BRANCH


def observe(app: App, desired: Desired, recorded: Recorded, revision: Revision) -> list[str]:
    """Where what is there differs from the records, kept for the web index; raises UsageProblem in a clone."""
    from datetime import UTC, datetime

    from registry_tool.cli.commands.apply import effects_for
    from registry_tool.domain.observed import Observed
    from registry_tool.reconcile.observations import keep_observed
    from registry_tool.reconcile.observing import drift_of

    if not can_observe(app):
        raise UsageProblem(
            "this is a clone of the repository that reconciles, and only that one can observe",
            help="look there",
        )
    drift = drift_of(effects_for(app), desired, recorded, revision)
    observed = Observed(
        head=revision.oid,
        records=recorded.oid,
        observed_at=datetime.now(UTC),
        drift=tuple(drift),
    )
    keep_observed(app.repository.state_path, observed)
    return drift
