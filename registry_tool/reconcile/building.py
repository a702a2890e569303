"""The build step: orders from the plan, run in parallel where they share no weights, each ending in a record."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from registry_tool.builders.interface import BuildOrder, BuiltRelease
from registry_tool.builders.publishing import publish_log
from registry_tool.builders.templates import render_template
from registry_tool.domain.desired import Desired
from registry_tool.domain.manifest import API_VERSION
from registry_tool.domain.plan import Action
from registry_tool.domain.quantities import format_duration
from registry_tool.domain.recorded import Recorded, builds_folder
from registry_tool.domain.records import Build, BuildResult, BuildSpec, BytesMoved, Timings
from registry_tool.domain.revisions import Revision
from registry_tool.domain.subjects import ReleaseId, parse_release
from registry_tool.errors import (
    ActionFailed,
    BuildFailed,
    EngineProblem,
    EnvironmentProblem,
    LeaseLost,
)
from registry_tool.manifests.writing import to_yaml
from registry_tool.oci.store import ImageStore
from registry_tool.planning.keys import build_key, builder_name, labels
from registry_tool.reconcile.effects import Effects
from registry_tool.reconcile.failing import with_retries
from registry_tool.reconcile.redaction import error_excerpt, redact
from registry_tool.reconcile.side_by_side import side_by_side
from registry_tool.repository.recorder import PendingRecord


@dataclass(frozen=True)
class BuildAttempt:
    """How one build went: exactly one of `built`, `failure` and `problem` is set."""

    action: Action
    order: BuildOrder
    builder: str
    timings: Timings
    built: BuiltRelease | None = None
    failure: ActionFailed | None = None
    problem: EnvironmentProblem | None = None


def make_order(desired: Desired, release_id: ReleaseId) -> BuildOrder:
    """Everything that reaches the image of a release that has a lock."""
    release = desired.releases[release_id].manifest
    model = desired.models[release_id.model].manifest
    lock = desired.locks[release_id].manifest.spec
    key = build_key(desired, release_id)
    return BuildOrder(
        release=release_id,
        lock=lock,
        template=render_template(
            desired.templates[release.spec.template.name],
            release=release,
            model=model,
            target=lock.target,
        ),
        key=key.value,
        key_parts=key.parts,
        labels=labels(desired, release_id),
        platforms=release.spec.platforms,
        location=release.spec.storage_path or model.spec.storage_path,
        timeout=desired.registry.manifest.spec.builds.timeout,
    )


def layer_sources(recorded: Recorded, store: str) -> dict[str, str]:
    """By digest, a repository of the store in which a recorded build left the layer."""
    sources = {}
    for release in recorded.builds:
        build = recorded.succeeded_build(release, store)
        for layer in build.spec.layers if build is not None else ():
            sources[layer.digest] = release.model
    return sources


def groups_sharing_layers(
    orders: Sequence[tuple[Action, BuildOrder]],
) -> list[list[tuple[Action, BuildOrder]]]:
    """Orders that have a locked layer in common, in plan order.

    Run one after the other, the second reuses the first's layers, exactly as the plan says.
    """
    groups: list[tuple[set[str], list[tuple[Action, BuildOrder]]]] = []
    for entry in orders:
        digests = {layer.digest for layer in entry[1].lock.layers}
        joined = [group for group in groups if group[0] & digests]
        merged_digests = digests.union(*(group[0] for group in joined))
        merged = [member for group in joined for member in group[1]] + [entry]
        groups = [group for group in groups if group not in joined]
        groups.append((merged_digests, merged))
    return [group for _, group in groups]


class Building:
    """Runs the builds of a plan."""

    def __init__(
        self,
        effects: Effects,
        desired: Desired,
        recorded: Recorded,
        lease_check: Callable[[], None],
    ) -> None:
        self._effects = effects
        self._desired = desired
        self._lease_check = lease_check
        self._storage = effects.open_storage(desired.registry.manifest.spec.storage.allowed)
        self._store = effects.open_store(desired.registry.manifest)
        self._recorded = recorded
        self._abandoned = threading.Event()

    def run(self, actions: Sequence[Action]) -> Iterator[BuildAttempt]:
        """Attempts as they end. Raises LeaseLost, after the running builds have noticed too."""
        sources = layer_sources(self._recorded, self._store.name) if actions else {}
        orders = [
            (
                action,
                replace(make_order(self._desired, parse_release(action.subject)), sources=sources),
            )
            for action in actions
        ]
        groups = groups_sharing_layers(orders)
        if not groups:
            return
        yield from side_by_side(
            groups,
            self._attempt,
            jobs=self._effects.jobs,
            name="build",
            abandoned=self._abandoned,
        )

    def _attempt(self, asked: tuple[Action, BuildOrder]) -> BuildAttempt:
        action, order = asked
        effects = self._effects
        started = effects.now()
        name = builder_name(self._desired.registry.manifest, order.template)
        built: BuiltRelease | None = None
        failure: ActionFailed | None = None
        problem: EnvironmentProblem | None = None
        try:
            built = with_retries(
                lambda: self._build(name, order, started),
                what=action.subject,
                sleep=effects.sleep,
                progress=effects.progress,
            )
        except ActionFailed as caught:
            failure = caught
        except EnvironmentProblem as caught:
            problem = caught
        timings = Timings(started_at=started, finished_at=effects.now())
        return BuildAttempt(action, order, name, timings, built, failure, problem)

    def _build(self, name: str, order: BuildOrder, started: datetime) -> BuiltRelease:
        builder = self._effects.builders.get(name)
        if builder is None:
            raise EngineProblem(
                f"the template of {order.release.subject} needs a container engine",
                help="use a template with an image: recipe, or configure an engine",
            )
        return builder.build(
            order,
            self._store,
            self._storage,
            self._effects.progress,
            self._checker(order, started),
        )

    def _checker(self, order: BuildOrder, started: datetime) -> Callable[[], None]:
        deadline = started + order.timeout

        def check() -> None:
            self._lease_check()
            if self._effects.stop.is_set():
                raise LeaseLost("the build was abandoned: a newer revision is reconciled")
            if self._abandoned.is_set():
                raise LeaseLost("the build was abandoned: it was interrupted")
            if self._effects.now() > deadline:
                raise BuildFailed(
                    f"the build took longer than {format_duration(order.timeout)}",
                    help="raise spec.builds.timeout in manifests/registry.yaml",
                )

        return check


def build_record(
    attempt: BuildAttempt, store: ImageStore, recorded: Recorded, revision: Revision
) -> PendingRecord | None:
    """The record of an attempt, its log published first; None when the environment was at fault."""
    if attempt.problem is not None:
        return None
    order, built, failure = attempt.order, attempt.built, attempt.failure
    log = built.log if built else _failure_log(failure)
    previous = recorded.builds.get(order.release, ())
    expected = previous[-1].sequence + 1 if previous else 1
    published: dict[int, str] = {expected: _publish_log(store, order, expected, log)}

    def content(sequence: int) -> bytes:
        if sequence not in published:
            published[sequence] = _publish_log(store, order, sequence, log)
        return to_yaml(
            Build(
                api_version=API_VERSION,
                spec=BuildSpec(
                    model=order.release.model,
                    version=order.release.version,
                    quantization=order.release.quantization,
                    key=order.key,
                    key_parts=dict(order.key_parts),
                    revision=str(revision),
                    store=store.name,
                    images=built.images if built else (),
                    layers=built.layers if built else (),
                    bytes=built.bytes if built else BytesMoved(),
                    builder=attempt.builder,
                    adopted=built.adopted if built else False,
                    timings=attempt.timings,
                    result=BuildResult.SUCCEEDED if built else BuildResult.FAILED,
                    error=None if built else error_excerpt(_failure_log(failure)),
                    log=published[sequence],
                ),
            )
        )

    return PendingRecord(folder=builds_folder(order.release), key=order.key, content=content)


def _failure_log(failure: ActionFailed | None) -> str:
    if failure is None:
        return ""
    log = failure.log if isinstance(failure, BuildFailed) else ""
    parts = [log, failure.message, f"help: {failure.help}" if failure.help else ""]
    return "\n".join(part for part in parts if part)


def _publish_log(store: ImageStore, order: BuildOrder, sequence: int, log: str) -> str:
    return publish_log(store, order.release.model, order.key, sequence, redact(log))
