"""All cross-manifest checks in one run, in stable order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping

from registry_tool.domain.desired import Desired
from registry_tool.domain.diagnostics import Finding
from registry_tool.planning.checks.context import Context
from registry_tool.planning.checks.deployments import check_deployments
from registry_tool.planning.checks.environments import check_environments
from registry_tool.planning.checks.immutability import check_immutability
from registry_tool.planning.checks.locks import check_locks
from registry_tool.planning.checks.policy import check_policy
from registry_tool.planning.checks.references import check_references
from registry_tool.planning.checks.templates import check_templates

_CHECKS: tuple[Callable[[Context], Iterator[Finding]], ...] = (
    check_references,
    check_locks,
    check_templates,
    check_policy,
    check_environments,
    check_deployments,
    check_immutability,
)


def check(
    desired: Desired,
    base: Desired | None = None,
    paths: Mapping[str, str] | None = None,
    held: Collection[str] = (),
) -> list[Finding]:
    """Everything that is wrong between manifests, sorted by file, code and place.

    `base` is the state to compare with: what was released there may not change. `paths` has the
    file of every subject, also of those whose manifests have errors of their own, which are in
    `held`: what follows from these errors is not reported a second time.
    """
    # Not `paths or {}`: a lazy mapping is made to find out whether it is empty.
    context = Context(desired, base, paths if paths is not None else {}, held)
    findings = [finding for one in _CHECKS for finding in one(context)]
    return sorted(
        findings,
        key=lambda finding: (
            finding.path,
            finding.code,
            tuple(map(str, finding.pointer)),
            finding.message,
        ),
    )
