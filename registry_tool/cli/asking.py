"""Requests: records that ask for something although its inputs did not change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from registry_tool.cli.finding import find_deployment, find_release
from registry_tool.cli.recorded import remote_of
from registry_tool.domain.manifest import API_VERSION
from registry_tool.domain.recorded import REQUESTS_FOLDER
from registry_tool.domain.records import BuildResult, DeploymentResult, Request, RequestSpec
from registry_tool.domain.revisions import Revision
from registry_tool.domain.subjects import parse_deployment, parse_release
from registry_tool.errors import UsageProblem
from registry_tool.manifests.writing import to_yaml
from registry_tool.planning.building import plan_release
from registry_tool.planning.state import State
from registry_tool.reconcile.effects import utc_now
from registry_tool.reconcile.states import read_desired_at, read_recorded
from registry_tool.repository.identity import author
from registry_tool.repository.recorder import PendingRecord, Recorder
from registry_tool.repository.remote import Fetched, fetch

if TYPE_CHECKING:
    from registry_tool.cli.app import App
    from registry_tool.domain.desired import Desired
    from registry_tool.domain.recorded import Recorded

_FAILED = {DeploymentResult.FAILED, DeploymentResult.ROLLED_BACK}


@dataclass(frozen=True)
class Wanted:
    """What is asked for: a subject at a key, after the records that it has now."""

    subject: str
    key: str
    after: int


class Asking:
    """The committed manifests and the records that requests refer to, and where requests go."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.remote, fetched = _fetched(app)
        repository = app.repository
        self.revision = repository.revision()
        if fetched is not None and fetched.branch is not None:
            self.revision = Revision(self.revision.ref, fetched.branch)
        state = read_desired_at(repository, self.revision.oid, cache=app.cache, jobs=app.jobs)
        self.desired: Desired = state.require_valid(self.revision.short)
        self.recorded: Recorded = read_recorded(repository, cache=app.cache)
        self._state = State(self.desired, self.recorded, frozenset())

    def build_of(self, text: str) -> Wanted:
        """The build of a release, whatever became of earlier ones."""
        release = find_release(self.desired, text, self.revision.short).manifest
        key = plan_release(self._state, release.id).key
        if key is None:
            raise UsageProblem(
                f"{release.id} has no lock at {self.revision.short}, so there is nothing to build yet",
                help=f"registry-tool lock {release.id} --commit",
            )
        builds = self.recorded.builds.get(release.id, ())
        return Wanted(release.subject, key.value, builds[-1].sequence if builds else 0)

    def failed_build_of(self, text: str) -> Wanted:
        """The build of a release whose last try with the same inputs failed; raises UsageProblem."""
        wanted = self.build_of(text)
        release = find_release(self.desired, text, self.revision.short).manifest
        latest = next(self._state.builds_here(release.id), None)
        if latest is None:
            raise _did_not_fail(wanted.subject, "it was not built yet", "registry-tool apply")
        spec = latest.record.spec
        if spec.result is not BuildResult.FAILED:
            raise _did_not_fail(
                wanted.subject,
                f"its last build {spec.result}",
                f"registry-tool build {release.id} asks for a build all the same",
            )
        if spec.key != wanted.key:
            raise _changed(wanted.subject)
        return wanted

    def failed_deployment_of(self, text: str) -> Wanted:
        """A deployment whose last try with the same inputs failed; raises UsageProblem."""
        deployment = find_deployment(self.desired, text, self.revision.short).manifest
        latest = self.recorded.latest_deployment(deployment.id)
        if latest is None:
            raise _did_not_fail(deployment.subject, "it was not deployed yet", "registry-tool plan")
        spec = latest.record.spec
        if spec.result not in _FAILED:
            raise _did_not_fail(
                deployment.subject, f"its last deployment {spec.result}", "registry-tool status"
            )
        release = self._state.tracks.release_of(deployment)
        known = release is not None and release in self.desired.releases
        key = plan_release(self._state, release).key if release is not None and known else None
        if release is None or key is None:
            raise UsageProblem(
                f"{deployment.subject} has no release that could be deployed",
                help="registry-tool plan says why",
            )
        current = self._state.keys.deployment(deployment.id, release, key.value).value
        if current != spec.key:
            raise _changed(deployment.subject)
        return Wanted(deployment.subject, current, latest.sequence)

    def is_open(self, wanted: Wanted) -> bool:
        """Whether somebody asked for the same already, and nothing has answered."""
        return self._state.open_request(wanted.subject, wanted.key, wanted.after) is not None

    def append(self, action: Literal["build", "retry"], wanted: list[Wanted]) -> None:
        """Record the requests, here or in the remote."""
        repository = self._app.repository
        person = author(repository)
        now = utc_now()
        pending = []
        for entry in wanted:
            spec = RequestSpec(
                action=action,
                subject=entry.subject,
                key=entry.key,
                after=entry.after,
                requested_by=person,
                requested_at=now,
            )
            pending.append(_record(Request(api_version=API_VERSION, spec=spec)))
        recorder = Recorder(repository, None, remote=self.remote)
        recorder.append(pending, {}, revision=self.revision)


def _record(request: Request) -> PendingRecord:
    data = to_yaml(request)
    return PendingRecord(REQUESTS_FOLDER, request.spec.key, lambda _sequence: data)


def _fetched(app: App) -> tuple[str | None, Fetched | None]:
    """The remote that this repository is reconciled in, fetched; None when it reconciles itself."""
    remote = remote_of(app)
    if remote is None:
        return None, None
    fetched = fetch(app.repository, remote)
    return (remote, fetched) if fetched.records is not None else (None, None)


def _did_not_fail(subject: str, why: str, help: str) -> UsageProblem:
    return UsageProblem(f"{subject} did not fail: {why}", help=help)


def _changed(subject: str) -> UsageProblem:
    return UsageProblem(
        f"{subject} changed since it failed, so it is tried again without being asked",
        help="registry-tool plan shows it; registry-tool apply does it",
    )


def answer_of(app: App, remote: str | None, wanted: Wanted) -> str | None:
    """The result that answers a request, looked up in the newest records; None while there is none."""
    if remote is not None:
        fetch(app.repository, remote)
    recorded = read_recorded(app.repository, cache=app.cache)
    kind, _, rest = wanted.subject.partition("/")
    if kind == "release":
        builds = recorded.builds.get(parse_release(rest), ())
        return next(
            (entry.record.spec.result for entry in builds if entry.sequence > wanted.after), None
        )
    deployments = recorded.deployments.get(parse_deployment(rest), ())
    found = (entry.record.spec for entry in deployments if entry.sequence > wanted.after)
    return next((spec.result for spec in found), None)
