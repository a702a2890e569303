"""Deployments on engines as the reconciler sees them: what is recorded, tried again, repaired and left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from service_samples import service

from registry_tool.deployers.interface import Deployed, Place, ServiceSpec, Watch
from registry_tool.domain.environment import Target, TargetType
from registry_tool.domain.progress import Silent
from registry_tool.domain.records import DeploymentResult
from registry_tool.domain.subjects import DeploymentId
from registry_tool.errors import EngineProblem, LeaseLost
from registry_tool.reconcile.effects import utc_now
from registry_tool.reconcile.engine_work import EngineRunner, EngineWork

if TYPE_CHECKING:
    from conftest import Applied
else:
    Applied = Any

ENVIRONMENT = """\
apiVersion: registry-tool/v1
kind: Environment
metadata:
  name: {name}
spec:
  allow_empty: true
  target:
    type: {type}
{more}"""


def go_on(service: ServiceSpec, watch: Watch) -> None:
    """Deploy it."""


@dataclass
class Engine:
    """A deployer that keeps what runs in memory. `before` is called with each service first."""

    runs: dict[tuple[str | None, str, str], str] = field(default_factory=dict)
    before: Callable[[ServiceSpec, Watch], Deployed | None] = go_on
    drifts: dict[str, list[str]] = field(default_factory=dict)
    unobserved: bool = False

    def deploy(self, place: Place, service: ServiceSpec, watch: Watch) -> Deployed:
        watch.check()
        ended = self.before(service, watch)
        if ended is not None:
            return ended
        self.runs[place.target.host, place.environment, service.name] = service.key
        self.drifts.pop(service.name, None)
        return Deployed(DeploymentResult.SUCCEEDED, "healthy")

    def remove(self, place: Place, name: str, watch: Watch) -> None:
        watch.check()
        self.runs.pop((place.target.host, place.environment, name), None)

    def drift(
        self, place: Place, services: Sequence[ServiceSpec], known: Collection[str]
    ) -> dict[str, list[str]]:
        if self.unobserved:
            raise EngineProblem("nobody answers")
        return self.drifts


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The engine of every environment that has one."""
    found = Engine()
    both = {TargetType.DOCKER: found, TargetType.SWARM: found}
    monkeypatch.setattr("registry_tool.cli.commands.apply.engine_deployers", lambda *_: both)
    monkeypatch.setattr("registry_tool.reconcile.failing.DELAYS", (0.0, 0.0))
    return found


def declare(applied: Applied, name: str, type_: str, more: str = "") -> None:
    applied.write(
        f"manifests/environments/{name}.yaml",
        ENVIRONMENT.format(name=name, type=type_, more=more),
    )


@pytest.fixture
def applied(applied: Applied, engine: Engine) -> Applied:
    declare(applied, "staging", "docker")
    applied.commit("Deploy to an engine")
    return applied


def records(applied: Applied, name: str = "staging/search") -> list[dict[str, Any]]:
    paths = applied.record_files(f"deployments/{name}/")
    return [yaml.safe_load(applied.record(path))["spec"] for path in paths]


def test_what_runs_is_recorded(applied: Applied, engine: Engine) -> None:
    applied.tool("apply")
    (record,) = records(applied)
    assert (record["result"], record["health"]) == ("succeeded", "healthy")
    assert engine.runs == {(None, "staging", "search"): record["key"]}
    assert applied.json("apply")["results"] == []
    assert "deploy/staging" not in applied.git("branch", "--list")


@pytest.mark.parametrize("result", [DeploymentResult.FAILED, DeploymentResult.ROLLED_BACK])
def test_a_failure_is_recorded_without_secrets_and_not_tried_again(
    applied: Applied, engine: Engine, result: Any
) -> None:
    error = "loading\npassword=hunter2 is wrong"
    engine.before = lambda *_: Deployed(result, "unhealthy", error)
    report = applied.json("apply", expect=1)["results"][-1]
    (record,) = records(applied)
    assert (record["result"], record["health"]) == (result.value, "unhealthy")
    assert record["error"] == "loading\npassword=[redacted] is wrong"
    assert report["result"] == "failed"
    assert report["detail"].endswith("password=[redacted] is wrong")
    engine.before = go_on
    assert applied.json("apply")["results"] == []
    applied.tool("retry", "deployment/staging/search")
    assert [entry["result"] for entry in records(applied)] == [result.value, "succeeded"]


def test_what_passes_is_tried_again_and_what_stays_is_not_recorded(
    applied: Applied, engine: Engine
) -> None:
    tries: list[str] = []

    def silent(service: ServiceSpec, watch: Watch) -> None:
        tries.append(service.name)
        raise EngineProblem("no answer", transient=True)

    engine.before = silent
    report = applied.json("apply", expect=3)
    assert report["results"][-1]["result"] == "unavailable"
    assert len(tries) == 3
    assert records(applied) == []
    engine.before = go_on
    applied.tool("apply")
    assert [entry["result"] for entry in records(applied)] == ["succeeded"]


def test_one_that_fails_stops_no_other(applied: Applied, engine: Engine) -> None:
    declare(applied, "test", "swarm")
    for environment, name in (("staging", "other"), ("test", "search")):
        applied.deployment(environment, name, "minilm", "1.0.0")
    applied.commit("Deploy more")

    def first_fails(service: ServiceSpec, watch: Watch) -> Deployed | None:
        bad = service.deployment.subject == "deployment/staging/other"
        return Deployed(DeploymentResult.FAILED, error="broken") if bad else None

    engine.before = first_fails
    applied.tool("apply", expect=1)
    found = {
        name: records(applied, name)[-1]["result"]
        for name in ("staging/other", "staging/search", "test/search")
    }
    assert found == {
        "staging/other": "failed",
        "staging/search": "succeeded",
        "test/search": "succeeded",
    }


def test_each_result_is_recorded_as_it_comes(applied: Applied, engine: Engine) -> None:
    applied.deployment("staging", "zoo", "minilm", "1.0.0")
    applied.commit("Deploy more")

    def lost(service: ServiceSpec, watch: Watch) -> None:
        if service.name == "zoo":
            raise LeaseLost("taken over")

    engine.before = lost
    applied.tool("apply", expect=1)
    assert (None, "staging", "search") in engine.runs
    assert records(applied, "staging/zoo") == []
    engine.before = go_on
    applied.tool("apply")
    assert [entry["result"] for entry in records(applied, "staging/zoo")] == ["succeeded"]
    assert [entry["result"] for entry in records(applied)] == ["succeeded"]


def test_work_is_abandoned_when_a_newer_revision_asks_for_it(engine: Engine) -> None:
    effects: Any = SimpleNamespace(
        jobs=1, now=utc_now, sleep=time.sleep, progress=Silent(), stop=threading.Event()
    )

    def meanwhile(service: ServiceSpec, watch: Watch) -> None:
        effects.stop.set()
        watch.check()

    engine.before = meanwhile
    deployment = DeploymentId("staging", "search")
    place = Place("staging", Target(type=TargetType.DOCKER))
    work = EngineWork(deployment, None, place, service("search"))
    runner = EngineRunner(effects, {TargetType.DOCKER: engine}, lambda: None)
    with pytest.raises(LeaseLost, match="a newer revision"):
        list(runner.run([work, work]))
    assert engine.runs == {}


def test_environments_do_not_wait_for_each_other(
    applied: Applied, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTRY_TOOL_JOBS", "2")
    declare(applied, "test", "docker")
    applied.deployment("test", "search", "minilm", "1.0.0")
    applied.commit("Deploy to both")
    both = threading.Barrier(2, timeout=30)

    def together(service: ServiceSpec, watch: Watch) -> None:
        both.wait()

    engine.before = together
    applied.tool("apply")
    assert len(engine.runs) == 2


def test_a_removed_deployment_is_removed_and_recorded(applied: Applied, engine: Engine) -> None:
    applied.tool("apply")
    (applied.path / "manifests/deployments/staging/search.yaml").unlink()
    applied.commit("Remove it")
    applied.tool("apply")
    assert engine.runs == {}
    assert [entry["result"] for entry in records(applied)] == ["succeeded", "removed"]


def test_what_an_environment_leaves_behind_is_removed(applied: Applied, engine: Engine) -> None:
    applied.tool("apply")
    declare(applied, "staging", "docker", "    host: gpu-1\n")
    applied.commit("Move")
    applied.tool("apply")
    assert [place[0] for place in engine.runs] == ["gpu-1"]
    declare(applied, "staging", "compose")
    applied.commit("Move again")
    applied.tool("apply")
    assert engine.runs == {}
    assert [entry["result"] for entry in records(applied)] == ["succeeded"] * 2 + ["delegated"]


def test_drift_is_repaired_also_in_a_freeze(applied: Applied, engine: Engine) -> None:
    applied.tool("apply")
    freeze = "  freeze:\n    - {schedule: '* * * * *', duration: 1h}\n"
    declare(applied, "staging", "docker", freeze)
    applied.commit("Freeze")
    engine.drifts["search"] = ["is not there"]
    assert applied.json("status")["drift"] == ["deployment/staging/search: is not there"]
    (repaired,) = applied.json("apply")["results"]
    assert repaired["result"] == "updated"
    assert [entry["result"] for entry in records(applied)] == ["succeeded"] * 2
    assert applied.json("apply")["results"] == []


def test_a_repair_is_announced_beside_the_plan(applied: Applied, engine: Engine) -> None:
    applied.tool("apply")
    engine.drifts["search"] = ["is not there"]
    told = applied.tool("apply").stdout
    assert "! deployment/staging/search: drift: is not there\n" in told
    assert "No changes but the drift.\n" in told
    assert "updated: deployment/staging/search" in told
    assert "No changes.\n" in applied.tool("apply").stdout


def test_what_is_suspended_or_not_ours_is_not_repaired(applied: Applied, engine: Engine) -> None:
    applied.tool("apply")
    engine.drifts["stranger"] = ["it runs, and no record says so"]
    assert applied.json("apply")["results"] == []
    applied.tool("suspend", "staging/search", "--commit")
    engine.drifts["search"] = ["is not there"]
    assert applied.json("apply")["results"] == []


def test_an_engine_that_cannot_be_observed_is_told(applied: Applied, engine: Engine) -> None:
    applied.tool("apply")
    engine.unobserved = True
    told = "environment/staging cannot be observed: nobody answers"
    assert applied.json("status")["drift"] == [told]
    assert told in applied.tool("apply", expect=3).stderr
