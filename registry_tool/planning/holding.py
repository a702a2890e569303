"""What an error holds back: its subject and everything that is made from it."""

from __future__ import annotations

from collections.abc import Collection

from registry_tool.domain.desired import Desired
from registry_tool.domain.subjects import ReleaseId


def dependants(desired: Desired, subjects: Collection[str]) -> frozenset[str]:
    """`subjects` with all that depend on them; they need not be in `desired`.

    A deployment that tracks depends on every release that it might choose: one that cannot be read
    must not make it go back to an older one.
    """
    held = set(subjects)
    if not held:
        return frozenset()
    everything = desired.registry.manifest.subject in held
    tracked: set[tuple[str, str]] = set()
    for release_id, release in desired.releases.items():
        template = f"template/{release.manifest.spec.template.name}"
        if everything or f"model/{release_id.model}" in held or template in held:
            held.add(release_id.subject)
    for subject in held:
        kind, _, rest = subject.partition("/")
        if kind == "release":
            model, _, quantization = rest.split("/")
            tracked.add((model, quantization))
    for deployment_id, deployment in desired.deployments.items():
        spec = deployment.manifest.spec
        if spec.version is None:
            release_held = (spec.model, spec.quantization) in tracked
        else:
            named = ReleaseId(spec.model, spec.version, spec.quantization)
            release_held = named.subject in held
        if (
            everything
            or release_held
            or f"model/{spec.model}" in held
            or f"environment/{deployment_id.environment}" in held
        ):
            held.add(deployment_id.subject)
    return frozenset(held)
