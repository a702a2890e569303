"""Observed state: what is there now, compared with what the records say. Reads only."""

from __future__ import annotations

from registry_tool.domain.desired import Desired
from registry_tool.domain.recorded import Recorded
from registry_tool.domain.records import DeploymentResult
from registry_tool.domain.revisions import Revision
from registry_tool.oci.store import ImageStore
from registry_tool.reconcile.deploying import Deploying
from registry_tool.reconcile.effects import Effects

_DEPLOYED = frozenset((DeploymentResult.SUCCEEDED, DeploymentResult.DELEGATED))


def drift_of(
    effects: Effects, desired: Desired, recorded: Recorded, revision: Revision
) -> list[str]:
    """Differences, one line each: branches, engines (also those that do not answer), deployed images that are gone."""
    deploying = Deploying(effects, desired, recorded, revision)
    drift, problems = deploying.engine_drift()
    lines = deploying.rendered_drift()
    lines += [f"{deployment.subject}: {what}" for deployment in drift for what in drift[deployment]]
    lines += [problem.message for problem in problems]
    store = effects.open_store(desired.registry.manifest)
    return lines + _missing_images(store, recorded)


def _missing_images(store: ImageStore, recorded: Recorded) -> list[str]:
    """Deployments whose image the store does not have; images in other stores are not asked for."""
    lines = []
    for deployment in sorted(recorded.deployments):
        latest = recorded.latest_deployment(deployment)
        if latest is None or latest.record.spec.result not in _DEPLOYED:
            continue
        spec = latest.record.spec
        build = recorded.succeeded_build(spec.release.id, store.name, spec.build_key)
        if build is None or spec.digest is None:
            continue
        if store.resolve(spec.release.model, spec.digest) is None:
            lines.append(f"{deployment.subject}: its image {spec.digest} is not in the store")
    return lines
