"""Gates of an environment: what it asks for, and whether a deployment has it, as far as Git tells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from json import dumps
from typing import Literal

from registry_tool.catalog.queries import Cell
from registry_tool.domain.environment import Approvals, EnvironmentSpec, Freeze
from registry_tool.domain.gates import approvers, proved
from registry_tool.domain.quantities import format_duration
from registry_tool.domain.records import DeploymentRecordSpec
from registry_tool.domain.subjects import DeploymentId
from registry_tool.errors import UsageProblem
from registry_tool.web.pages.items import Item, find, some
from registry_tool.web.pages.visits import Visit
from registry_tool.web.text import counted, moment

_RECORDS = 500
_PLACES = 50
_TRIED = ("pending", "failed", "rolled_back")
"""States of deployments that a gate may keep waiting."""


@dataclass(frozen=True)
class Gate:
    """A condition that an environment sets."""

    name: str
    text: str
    """What is asked for."""
    brief: str = ""
    """The same, as short as can be."""
    state: Literal["", "satisfied", "waiting", "unknown"] = ""
    """Whether a deployment has it; empty where none is looked at."""
    seen: str = ""
    """What that follows from."""
    commit: str = ""
    """The commit that was looked at."""


def declared_gates(environment: Item) -> list[Gate]:
    """What must hold before something is deployed to an environment."""
    return [gate for gate, _ in _declared(_spec(environment))]


def gates_of(page: Visit, environment: Item, deployment: Item) -> list[Gate]:
    """The same, each with whether a deployment's wanted release has it."""
    wanted = deployment["wanted"]
    release = find(page.catalog, "releases", wanted) if wanted else None
    asked = _Asked(page, _spec(environment), release, _asking_commit(deployment, release))
    return asked.answers()


def gates_before(page: Visit, environment: Item, release: Item) -> list[Gate]:
    """The same for a release that nothing in the environment asks for yet."""
    return _Asked(page, _spec(environment), release, None).answers()


def waiting_for(page: Visit, cells: Sequence[Cell], *, limit: int) -> dict[str, list[Gate]]:
    """The gates that keep deployments waiting, by ``<environment>/<name>``; of the first `limit` that may wait."""
    found = {}
    for cell in [cell for cell in cells if cell.state in _TRIED][:limit]:
        key = f"{cell.environment}/{cell.name}"
        environment = find(page.catalog, "environments", cell.environment)
        deployment = find(page.catalog, "deployments", key)
        if environment and deployment:
            gates = gates_of(page, environment, deployment)
            found[key] = [gate for gate in gates if gate.state == "waiting"]
    return found


_Condition = Literal["accepts", "promotion", "approvals"] | Freeze


def _spec(environment: Item) -> EnvironmentSpec:
    names = ("accepts", "promote_from", "soak", "freeze", "approvals")
    return EnvironmentSpec.model_validate_json(dumps({name: environment[name] for name in names}))


def _declared(spec: EnvironmentSpec) -> Iterator[tuple[Gate, _Condition]]:
    yield Gate("accepts", ", ".join(spec.accepts) or "no stage"), "accepts"
    if spec.promote_from:
        soak = f", at least {format_duration(spec.soak)}" if spec.soak else ""
        yield (
            Gate("promotion", f"from {spec.promote_from}{soak}", f"from {spec.promote_from}"),
            "promotion",
        )
    if spec.approvals:
        whose = f" of {', '.join(spec.approvals.from_)}" if spec.approvals.from_ else ""
        count = spec.approvals.count
        yield Gate("approvals", f"{count}{whose}", counted(count, "approval")), "approvals"
    for freeze in spec.freeze:
        why = f": {freeze.reason}" if freeze.reason else ""
        text = f"{freeze.schedule} for {format_duration(freeze.duration)}, {freeze.timezone}{why}"
        yield Gate("freeze", text, "freezes"), freeze


@dataclass(frozen=True)
class _Asked:
    """A release in front of the gates of an environment."""

    page: Visit
    spec: EnvironmentSpec
    release: Item | None
    commit: str | None
    """What asks for it there."""

    def answers(self) -> list[Gate]:
        """The gates with what is known of them."""
        return [self._answer(gate, condition) for gate, condition in _declared(self.spec)]

    def _answer(self, gate: Gate, condition: _Condition) -> Gate:
        if isinstance(condition, Freeze):
            return self._frozen(gate, condition)
        if condition == "approvals":
            return self._approved(gate, self.spec.approvals or Approvals())
        release = self.release
        if release is None:
            return _unknown(gate, "it wants no release that there is")
        if condition == "accepts":
            return _told(gate, release["stage"] in self.spec.accepts, f"it is {release['stage']}")
        return self._promoted(gate, release)

    def _frozen(self, gate: Gate, freeze: Freeze) -> Gate:
        ask = self.page.context.frozen_until
        if ask is None or not self._is_now:
            return _unknown(gate, "it depends on the time")
        try:
            end = ask(freeze, self.page.now)
        except UsageProblem as problem:
            return _unknown(gate, problem.message)
        return _told(gate, end is None, f"closed until {moment(end)}" if end else "open now")

    def _promoted(self, gate: Gate, release: Item) -> Gate:
        image_build = release["image_build"]
        build = find(self.page.catalog, "builds", image_build) if image_build else None
        if build is None:
            return _told(gate, False, "it is not built yet")
        source = self.spec.promote_from or ""
        proof = proved(self._records(source, release["id"]), build["key"], self.page.now)
        if proof.failed is not None:
            return _told(gate, False, f"it last failed in {source}, as {proof.failed}")
        if proof.ran is None:
            return _told(gate, False, f"it has not run in {source} yet")
        if self.spec.soak is None:
            return _told(gate, True, f"it ran in {source}")
        if not self._is_now:
            return _unknown(gate, "it depends on the time")
        return _soaked(gate, source, proof.ran, self.spec.soak, self.page.now)

    def _records(
        self, environment: str, release: str
    ) -> dict[DeploymentId, list[DeploymentRecordSpec]]:
        """All records, the oldest first, of the deployments that a release had in an environment."""
        catalog = self.page.catalog
        own = some(
            catalog, "deployment-records", environment=environment, release=release, limit=_RECORDS
        )
        names = sorted({record["name"] for record in own})[:_PLACES]
        found = {}
        for name in names:
            place = DeploymentId(environment, name)
            records = some(catalog, "deployment-records", deployment=str(place), limit=_RECORDS)
            records.sort(key=lambda record: int(record["sequence"]))
            found[place] = [_record(record) for record in records]
        return found

    def _approved(self, gate: Gate, approvals: Approvals) -> Gate:
        if self.commit is None:
            return _unknown(gate, "the commit that asks for it has to have them")
        entry = find(self.page.catalog, "audit", self.commit)
        if entry is None:
            return _unknown(gate, "the commit that asks for it is not in this history")
        who = approvers(approvals, entry["author"]["email"], entry["approved_by"])
        names = f": {', '.join(sorted(who))}" if who else ""
        seen = f"{len(who)} of {approvals.count}{names}"
        return replace(_told(gate, len(who) >= approvals.count, seen), commit=entry["oid"])

    @property
    def _is_now(self) -> bool:
        return self.page.view.at is None


def _asking_commit(deployment: Item, release: Item | None) -> str | None:
    """What an apply would ask: the last change of the manifest, or of the release that it tracks."""
    items = [deployment, *([release] if release and deployment["track"] else [])]
    commits = [item["git"]["commit"] for item in items if item["git"] and item["git"]["commit"]]
    newest = max(commits, key=lambda commit: str(commit["committed_at"]), default=None)
    return str(newest["oid"]) if newest else None


def _record(item: Item) -> DeploymentRecordSpec:
    names = [name for name in DeploymentRecordSpec.model_fields if name in item]
    return DeploymentRecordSpec.model_validate_json(dumps({name: item[name] for name in names}))


def _soaked(gate: Gate, source: str, ran: timedelta, soak: timedelta, now: datetime) -> Gate:
    seen = f"it ran in {source} for {_coarse(ran)}"
    if ran >= soak:
        return _told(gate, True, seen)
    return _told(gate, False, f"{seen}; opens {moment(now + soak - ran)} if it keeps running")


def _coarse(value: timedelta) -> str:
    """Whole minutes, or whole hours beyond two days: nobody reads seconds of a week."""
    unit = timedelta(hours=1) if value >= timedelta(days=2) else timedelta(minutes=1)
    return format_duration(value // unit * unit) if value >= unit else "less than a minute"


def _told(gate: Gate, holds: bool, seen: str) -> Gate:
    return replace(gate, state="satisfied" if holds else "waiting", seen=seen)


def _unknown(gate: Gate, why: str) -> Gate:
    return replace(gate, state="unknown", seen=f"not known here: {why}")
