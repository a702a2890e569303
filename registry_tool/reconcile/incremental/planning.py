"""Plans, of which only what a change can affect is decided anew when the rest is remembered."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from registry_tool.domain.plan import Action, Plan
from registry_tool.domain.recorded import REQUESTS_FOLDER, Recorded
from registry_tool.domain.subjects import DeploymentId, ReleaseId
from registry_tool.errors import RepositoryProblem
from registry_tool.manifests.loading import load
from registry_tool.manifests.records import load_recorded
from registry_tool.planning.planner import Decision, assemble, decide
from registry_tool.planning.state import State
from registry_tool.reconcile.incremental.checked import Checked
from registry_tool.reconcile.incremental.checking import memory_of
from registry_tool.reconcile.incremental.grouping import (
    ENVIRONMENTS,
    EVERYONE,
    EXCLUSIVE,
    SliceSource,
)
from registry_tool.reconcile.incremental.memory import Rows
from registry_tool.reconcile.incremental.reach import MOST_FILES, Unlimited

if TYPE_CHECKING:
    from registry_tool.manifests.source import Cache
    from registry_tool.repository.repository import Repository

_DEPLOYMENT = "deployment/"


def plan_state(
    repository: Repository,
    checked: Checked,
    records: str | None,
    *,
    head: str,
    cache: Cache | None,
) -> Plan:
    """The plan for a state without errors, from memory as far as it goes.

    `records` is the tip of the records branch, `head` the commit that the state is of.
    """
    run = _Run(repository, checked, records, cache)
    memory = memory_of(repository)
    try:
        memory.attempt(run.work, None)
    finally:
        memory.close()
    decisions, stored = run.result or run.everything()[:2]
    return assemble(head, records, decisions, stored)


Everything = tuple[list[Decision], Collection[str], State]


class _Run:
    """One run of `plan_state`."""

    def __init__(
        self,
        repository: Repository,
        checked: Checked,
        records: str | None,
        cache: Cache | None,
    ) -> None:
        self._repository = repository
        self._checked = checked
        self._source = checked.source
        self._records = records
        self._cache = cache
        self._everything: Everything | None = None
        self.result: tuple[list[Decision], Collection[str]] | None = None

    def work(self, rows: Rows) -> None:
        """Set `result`, and bring the rows up to date."""
        if self.result is not None:
            return
        rows.begin()
        try:
            self._move(rows)
        except (Unlimited, RepositoryProblem):
            # A problem that is real comes up again when everything is done.
            rows.forget_changes()
            decisions, stored, state = self.everything()
            self.result = decisions, stored
            rows.begin()
            self._remember(rows, decisions, state)

    def everything(self) -> Everything:
        """All decisions, the layers that the store has, and what they were made from."""
        if self._everything is None:
            desired = self._checked.require_valid("the state")
            entries = self._repository.tree(self._records) if self._records else []
            recorded = load_recorded(
                self._records, entries, self._repository.read_blobs, self._cache
            )
            state = State(desired, recorded, frozenset())
            self._everything = decide(state), state.stored_layers(), state
        return self._everything

    def _remember(self, rows: Rows, decisions: Sequence[Decision], state: State) -> None:
        standing = rows.standing
        if standing is None or standing.head != self._source.state:
            return
        rows.remove_outcomes(None)
        rows.clear_layers()
        rows.clear_stale()
        groups = _groups(state)
        rows.add_outcomes(
            (_group_of(decision.identity, groups), _to_json(decision)) for decision in decisions
        )
        rows.set_layers(_layers(state))
        rows.set_fact("planned", [self._records])

    # --- moving on from what is remembered -----------------------------------------------------

    def _move(self, rows: Rows) -> None:
        standing, planned = rows.standing, rows.fact("planned")
        if standing is None or planned is None or standing.head != self._source.state:
            raise Unlimited
        outcomes = rows.outcomes()
        affected = rows.stale() | self._recorded_since(rows, planned[0])
        if affected:
            outcomes = self._decided(rows, outcomes, affected)
            rows.clear_stale()
        if planned[0] != self._records:
            rows.set_fact("planned", [self._records])
        decisions = [_from_json(value) for _, value in outcomes]
        digests = {digest for decision in decisions for digest, _ in decision.layers}
        self.result = decisions, rows.stored(digests)

    def _decided(
        self, rows: Rows, outcomes: Sequence[tuple[str, Any]], affected: set[str]
    ) -> list[tuple[str, Any]]:
        """The outcomes, those of affected groups decided anew."""
        if EVERYONE in affected:
            raise Unlimited
        # What is deployed and no longer declared depends on its environment: there are few of these.
        suspects = affected | {group for group, _ in outcomes}
        gone = {_deployment(group) for group in suspects if group.startswith(_DEPLOYMENT)}
        groups = {group for group in affected if not group.startswith(_DEPLOYMENT)}
        for environment in {deployment.environment for deployment in gone}:
            groups |= set(sorted(rows.claimants([f"{ENVIRONMENTS}{environment}"]))[:1])
        files = rows.files_in(groups)
        if len(files) > MOST_FILES:
            raise Unlimited
        desired = load(SliceSource([one.entry for one in files], self._source), self._cache).desired
        if desired is None:
            raise Unlimited
        recorded = self._recorded(groups, {*desired.deployments, *gone})
        state = State(desired, recorded, frozenset())
        owners = _groups(state)
        new = [
            (_group_of(decision.identity, owners), _to_json(decision)) for decision in decide(state)
        ]
        replaced = groups | {deployment.subject for deployment in gone}
        if not all(group in replaced for group, _ in new):
            raise Unlimited
        rows.remove_outcomes(replaced)
        rows.add_outcomes(new)
        rows.set_layers(_layers(state))
        return [entry for entry in outcomes if entry[0] not in replaced] + new

    def _recorded_since(self, rows: Rows, before: str | None) -> set[str]:
        """The groups of what was recorded since a tip of the records branch."""
        if before == self._records:
            return set()
        if self._records is None:
            raise Unlimited
        repository = self._repository
        found: set[str] = set()
        requests = []
        old = repository.root_tree(before)
        for path in repository.changed_files(old, repository.root_tree(self._records)):
            match path.split("/"):
                case ["builds", model, *_]:
                    found.add(f"model/{model}")
                case ["deployments", environment, name, *_]:
                    found |= _with_owners(rows, DeploymentId(environment, name).subject)
                case [folder, *_] if folder == REQUESTS_FOLDER:
                    requests.append(path)
        for subject in self._requested(requests):
            kind, _, rest = subject.partition("/")
            if kind == "release":
                found.add(f"model/{rest.partition('/')[0]}")
            else:
                found |= _with_owners(rows, subject)
        return found

    def _requested(self, paths: Sequence[str]) -> set[str]:
        recorded = self._read(paths) if paths else Recorded()
        if len(recorded.requests) != len(paths):
            raise Unlimited  # somebody has removed one
        return {entry.record.spec.subject for entry in recorded.requests}

    def _recorded(self, groups: Collection[str], deployments: Collection[DeploymentId]) -> Recorded:
        models = [group.partition("/")[2] for group in groups if group.startswith("model/")]
        folders = [f"builds/{model}" for model in sorted(models)]
        folders += [f"deployments/{deployment}" for deployment in sorted(deployments)]
        return self._read([*folders, REQUESTS_FOLDER])

    def _read(self, folders: Sequence[str]) -> Recorded:
        if self._records is None:
            return Recorded()
        entries = self._repository.tree(self._records, folders)
        return load_recorded(self._records, entries, self._repository.read_blobs, self._cache)


def _with_owners(rows: Rows, subject: str) -> set[str]:
    """A deployment's subject, and the group that it belongs to if it is declared."""
    return {subject} | rows.claimants([f"{EXCLUSIVE}{subject}"])


def _deployment(subject: str) -> DeploymentId:
    return DeploymentId(*subject.removeprefix(_DEPLOYMENT).split("/"))


def _groups(state: State) -> Mapping[DeploymentId, str]:
    """The groups of deployments that are declared."""
    return {
        deployment: f"model/{located.manifest.spec.model}"
        for deployment, located in state.desired.deployments.items()
    }


def _group_of(identity: ReleaseId | DeploymentId, groups: Mapping[DeploymentId, str]) -> str:
    if isinstance(identity, ReleaseId):
        return f"model/{identity.model}"
    return groups.get(identity, identity.subject)


def _layers(state: State) -> dict[str, set[str]]:
    """Digests of the layers that each recorded release has in the store."""
    return {
        release.subject: {
            layer.digest for build in state.live_builds(release) for layer in build.spec.layers
        }
        for release in state.recorded.builds
    }


def _to_json(decision: Decision) -> Any:
    kind = "release" if isinstance(decision.identity, ReleaseId) else "deployment"
    action = decision.action.model_dump(mode="json") if decision.action is not None else None
    return [kind, decision.identity, action, decision.skipped, decision.layers]


def _from_json(value: Any) -> Decision:
    kind, names, action, skipped, layers = value
    return Decision(
        ReleaseId(*names) if kind == "release" else DeploymentId(*names),
        Action.model_validate(action, strict=False) if action is not None else None,
        skipped,
        tuple((digest, size) for digest, size in layers),
    )
