"""What happens to one release: build it, leave it, or say why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from registry_tool.builders.templates import TemplateProblem
from registry_tool.domain.plan import Action
from registry_tool.domain.records import Build, BuildResult
from registry_tool.domain.references import build_tag
from registry_tool.domain.release import Release, Stage
from registry_tool.domain.subjects import ReleaseId
from registry_tool.planning.keys import OWN_PARTS, Key, changed_parts
from registry_tool.planning.state import State, failure, listed


@dataclass(frozen=True, slots=True)
class ReleaseOutcome:
    """What is decided about a release."""

    key: Key | None = None
    """The key that deployments of the release run; None when it cannot be known."""
    built: bool = False
    """Whether an image of that key is in the store."""
    action: Action | None = None
    """The build to do, without its bytes."""
    skipped: str | None = None
    """Why something that could be done is not."""

    @property
    def deployable(self) -> bool:
        """Whether an image of the key is there once the plan was carried out."""
        return self.key is not None and (self.built or self.action is not None)


def plan_release(state: State, release_id: ReleaseId) -> ReleaseOutcome:
    """Decide about one release that is in the desired state."""
    if release_id.subject in state.held:
        return ReleaseOutcome(skipped="invalid: `registry-tool validate` says why")
    release = state.desired.releases[release_id].manifest
    live = state.live_builds(release_id)
    missing = _missing(state, release)
    if missing is not None:
        return ReleaseOutcome(skipped=f"invalid: there is no {missing}")
    if release_id not in state.desired.locks:
        return ReleaseOutcome(skipped="not locked")
    try:
        key = state.keys.build(release_id)
    except TemplateProblem as problem:
        if release.spec.stage is not Stage.CANDIDATE and live:
            return _frozen(live[0], "the template no longer renders")
        return ReleaseOutcome(skipped=f"invalid: {problem.message}")
    return _decide(state, release, key, live)


def _missing(state: State, release: Release) -> str | None:
    """What a release refers to and is not there; checks report it, and hold the release."""
    spec = release.spec
    if spec.model not in state.desired.models:
        return f"model/{spec.model}"
    if spec.template.name not in state.desired.templates:
        return f"template/{spec.template.name}"
    return None


def _decide(state: State, release: Release, key: Key, live: list[Build]) -> ReleaseOutcome:
    spec = release.spec
    latest = live[0] if live else None
    same = latest is not None and latest.spec.key == key.value
    settled = spec.stage is not Stage.CANDIDATE
    if latest is not None and not same and settled and _same_content(latest, key):
        return _kept(state, release, latest, key)
    request = state.open_request(release.subject, key.value, _highest(state, release.id))
    if request is not None:
        return _build(release, key, live, f"requested by {request.requested_by.name}")
    if same:
        return ReleaseOutcome(key=key, built=True)
    if release.id not in state.deployed:
        if spec.stage is Stage.DEPRECATED:
            return ReleaseOutcome(key=key)
        if spec.yanked is not None:
            return ReleaseOutcome(key=key, skipped=f"yanked: {spec.yanked.reason}")
    failed = _failed(state, release.id, key)
    if failed is not None:
        return ReleaseOutcome(key=key, skipped=failed)
    if not spec.auto_build:
        return ReleaseOutcome(key=key, skipped="auto_build is off")
    return _build(release, key, live, _reason(state, release.id, key, live))


def _highest(state: State, release_id: ReleaseId) -> int:
    builds = state.recorded.builds.get(release_id, ())
    return builds[-1].sequence if builds else 0


def _same_content(build: Build, key: Key) -> bool:
    """Whether a build is of the release as it is declared, whatever became of its template."""
    return not OWN_PARTS & set(_differing(build.spec.key_parts, key.parts))


def _differing(old: Mapping[str, str], new: Mapping[str, str]) -> set[str]:
    return {name for name in {*old, *new} if old.get(name) != new.get(name)}


def _kept(state: State, release: Release, build: Build, key: Key) -> ReleaseOutcome:
    """A release keeps its image; of old releases that run nowhere nobody needs to be told."""
    changed = changed_parts(build.spec.key_parts, key.parts)
    frozen = _frozen(build, f"{listed(changed)} changed after the release")
    told = release.spec.stage is Stage.RELEASED or release.id in state.deployed
    return frozen if told else replace(frozen, skipped=None)


def _frozen(build: Build, why: str) -> ReleaseOutcome:
    return ReleaseOutcome(
        key=Key(build.spec.key, build.spec.key_parts),
        built=True,
        skipped=f"frozen: {why}; ship a new version",
    )


def _failed(state: State, release_id: ReleaseId, key: Key) -> str | None:
    for entry in state.builds_here(release_id):
        spec = entry.record.spec
        if spec.key == key.value:
            if spec.result is not BuildResult.FAILED:
                return None
            return f"failed: {failure(spec.error)}; registry-tool retry {release_id.subject}"
    return None


def _reason(state: State, release_id: ReleaseId, key: Key, live: list[Build]) -> str:
    if live:
        changed = listed(changed_parts(live[0].spec.key_parts, key.parts))
        if any(build.spec.key == key.value for build in live):
            return f"{changed} changed back; adopts {build_tag(key.value)}"
        return f"{changed} changed"
    results = {entry.record.spec.result for entry in state.builds_here(release_id)}
    if BuildResult.PRUNED in results:
        return "its image was pruned"
    if not results and state.recorded.builds.get(release_id):
        return f"no build in {state.store} yet"
    return "no build of this release yet"


def _build(release: Release, key: Key, live: list[Build], reason: str) -> ReleaseOutcome:
    changed = changed_parts(live[0].spec.key_parts, key.parts) if live else ()
    action = Action(
        kind="build",
        subject=release.subject,
        change="update" if live else "create",
        reason=reason,
        changed=changed,
        key=key.value,
    )
    return ReleaseOutcome(key=key, action=action)
