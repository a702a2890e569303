"""Environments: schedules that come, and gates that have what they need."""

from __future__ import annotations

from collections.abc import Iterator

from registry_tool.domain.diagnostics import Finding
from registry_tool.planning.checks.context import Context


def check_environments(context: Context) -> Iterator[Finding]:
    """All environments by themselves."""
    for environment in context.desired.environments.values():
        spec = environment.manifest.spec
        for index, freeze in enumerate(spec.freeze):
            from registry_tool.planning.gates import schedule_problem

            problem = schedule_problem(freeze.schedule)
            if problem is not None:
                yield Finding(
                    "RT313",
                    environment.path,
                    ("spec", "freeze", index, "schedule"),
                    f'"{freeze.schedule}" is not a schedule: {problem}',
                    'write a cron expression of five fields, for example "0 18 * * 5"',
                    subject=environment.manifest.subject,
                )
        if spec.soak is not None and spec.promote_from is None:
            yield Finding(
                "RT313",
                environment.path,
                ("spec", "soak"),
                "soak says how long a release must have run elsewhere, and nothing says where",
                "set promote_from, or remove soak",
                subject=environment.manifest.subject,
            )
