"""What the records would say once a plan was carried out and all went well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from registry_tool.domain.desired import Desired
from registry_tool.domain.digests import digest_of
from registry_tool.domain.environment import TargetType
from registry_tool.domain.manifest import API_VERSION
from registry_tool.domain.plan import Action, Plan
from registry_tool.domain.recorded import Recorded, Sequenced
from registry_tool.domain.records import (
    Build,
    BuildResult,
    BuildSpec,
    BuiltImage,
    BuiltLayer,
    DeploymentRecord,
    DeploymentRecordSpec,
    DeploymentResult,
    ImageRole,
    RecordedRelease,
    Timings,
)
from registry_tool.domain.references import ImageReference, image_tag, runtime_tag, weights_tag
from registry_tool.domain.revisions import Revision
from registry_tool.domain.subjects import DeploymentId, ReleaseId, parse_deployment, parse_release
from registry_tool.planning.building import plan_release
from registry_tool.planning.keys import builder_name
from registry_tool.planning.layers import planned_layers
from registry_tool.planning.state import State

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
_TIMINGS = Timings(started_at=_NEVER, finished_at=_NEVER)
_TAGS = {
    ImageRole.COMPLETE: image_tag,
    ImageRole.RUNTIME: runtime_tag,
    ImageRole.WEIGHTS: weights_tag,
}

Id = TypeVar("Id")
R = TypeVar("R")


def recorded_after(desired: Desired, recorded: Recorded, plan: Plan) -> Recorded:
    """The records after a plan of `desired` and `recorded`, for planning what comes next.

    Digests of images are made up from keys, times are the epoch; everything that a further plan
    looks at is as it would be.
    """
    state = State(desired, recorded, frozenset())
    revision = str(Revision("plan", plan.head))
    builds = dict(recorded.builds)
    deployments = dict(recorded.deployments)
    for action in plan.actions:
        if action.kind == "build":
            release_id = parse_release(action.subject)
            _append(builds, release_id, _build(state, release_id, action, revision))
        else:
            deployment_id = parse_deployment(action.subject)
            record = (
                _deployed(state, deployment_id, action, revision)
                if action.kind == "deploy"
                else _removed(state, deployment_id, revision)
            )
            _append(deployments, deployment_id, record)
    return replace(recorded, builds=builds, deployments=deployments)


def _append(folders: dict[Id, Sequence[Sequenced[R]]], identity: Id, record: R) -> None:
    before = folders.get(identity, ())
    sequence = before[-1].sequence + 1 if before else 1
    folders[identity] = (*before, Sequenced(sequence, record))


def _build(state: State, release_id: ReleaseId, action: Action, revision: str) -> Build:
    key = state.keys.build(release_id)
    images = tuple(
        BuiltImage(
            role=role,
            reference=str(ImageReference("", release_id.model, tag(release_id))),
            digest=digest_of(f"{role} {key.value}".encode()),
            size=0,
        )
        for role, tag in _TAGS.items()
    )
    layers = tuple(
        BuiltLayer(digest=digest, size=size, source="weights", uploaded=True)
        for digest, size in planned_layers(state, release_id)
    )
    return Build(
        api_version=API_VERSION,
        spec=BuildSpec(
            model=release_id.model,
            version=release_id.version,
            quantization=release_id.quantization,
            key=key.value,
            key_parts=dict(key.parts),
            revision=revision,
            store=state.store,
            images=images,
            layers=layers,
            bytes=action.bytes,
            builder=builder_name(state.desired.registry.manifest, state.keys.rendered(release_id)),
            timings=_TIMINGS,
            result=BuildResult.SUCCEEDED,
        ),
    )


def _deployed(
    state: State, deployment_id: DeploymentId, action: Action, revision: str
) -> DeploymentRecord:
    deployment = state.desired.deployments[deployment_id].manifest
    release_id = state.tracks.release_of(deployment)
    if release_id is None:
        raise ValueError(f"{action.subject} is planned and has no release")
    outcome = plan_release(state, release_id)
    if outcome.key is None:
        raise ValueError(f"{action.subject} is planned and {release_id.subject} has no key")
    key = state.keys.deployment(deployment_id, release_id, outcome.key.value)
    target = state.desired.environments[deployment_id.environment].manifest.spec.target
    delegated = target.type in {TargetType.COMPOSE, TargetType.KUBERNETES}
    return DeploymentRecord(
        api_version=API_VERSION,
        spec=DeploymentRecordSpec(
            environment=deployment_id.environment,
            name=deployment_id.name,
            key=action.key,
            key_parts=dict(key.parts),
            build_key=outcome.key.value,
            revision=revision,
            release=RecordedRelease(**release_id._asdict()),
            target=target,
            weights=deployment.spec.weights,
            result=DeploymentResult.DELEGATED if delegated else DeploymentResult.SUCCEEDED,
            timings=_TIMINGS,
        ),
    )


def _removed(state: State, deployment_id: DeploymentId, revision: str) -> DeploymentRecord:
    latest = state.recorded.deployments[deployment_id][-1].record
    spec = latest.spec.model_copy(
        update={
            "revision": revision,
            "build_key": None,
            "image": None,
            "digest": None,
            "previous_digest": latest.spec.digest,
            "result": DeploymentResult.REMOVED,
            "timings": _TIMINGS,
            "error": None,
            "who": None,
        }
    )
    return latest.model_copy(update={"spec": spec})
