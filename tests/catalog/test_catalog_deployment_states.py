"""States of deployments: what is wanted beside what is recorded, as a planner compares them."""

from __future__ import annotations

import json

import pytest
from catalog_histories import History, key_at_head
from projected import Projected

_DEPLOYMENT = "manifests/deployments/staging/search.yaml"


class _Recorded:
    """The deployment staging/search of a registry, with records of it."""

    def __init__(self, projected: Projected) -> None:
        self.projected = projected
        self.folder = projected.folder
        self._history = History(projected.folder, 0)
        self._count = 0

    def record(self, result: str) -> None:
        """What the newest commit wants is tried, with this result."""
        known = key_at_head(self.folder, "staging", "search")
        assert known is not None
        release, key = known
        self._count += 1
        spec = {
            "environment": "staging",
            "name": "search",
            "key": key,
            "key_parts": {},
            "revision": "main@sha1:" + "0" * 40,
            "release": release,
            "target": {"type": "compose"},
            "result": result,
            "timings": {
                "started_at": "2026-01-01T00:00:00Z",
                "finished_at": "2026-01-01T00:01:00Z",
            },
        }
        path = f"deployments/staging/search/{self._count:06d}-{key[:12]}.yaml"
        self._history.add_record(path, "DeploymentRecord", spec)

    @property
    def state(self) -> str:
        with self.projected.shown() as catalog:
            text = catalog.get("deployments", "staging/search")
        assert text is not None
        return str(json.loads(text)["state"])


@pytest.fixture
def recorded(projected: Projected) -> _Recorded:
    return _Recorded(projected)


def test_what_runs_with_the_wanted_key_is_deployed(recorded: _Recorded) -> None:
    assert recorded.state == "pending"
    recorded.record("succeeded")
    assert recorded.state == "deployed"


@pytest.mark.parametrize("what", ["replicas", "template", "lock", "registry", "environment"])
def test_whatever_decides_about_the_key_makes_it_pending(recorded: _Recorded, what: str) -> None:
    folder = recorded.folder
    recorded.record("succeeded")
    assert recorded.state == "deployed"
    match what:
        case "replicas":
            folder.replace(_DEPLOYMENT, "spec:\n", "spec:\n  replicas: 3\n")
        case "template":
            path = "build_templates/weights/template.yaml"
            folder.replace(path, "base: scratch", "base: scratch\n    user: '1000'")
        case "lock":
            (folder.storage / "minilm" / "model.bin").write_text("other weights")
            folder.release("minilm", "1.0.0")
        case "registry":
            path = "manifests/registry.yaml"
            text = (folder.path / path).read_text()
            folder.write(path, f"{text}  images: {{served_at: 'images.example.org:5000'}}\n")
        case "environment":
            path = "manifests/environments/staging.yaml"
            folder.replace(path, "spec: {}", "spec:\n  target: {type: docker}")
    folder.commit("Change it")
    assert recorded.state == "pending"
    recorded.projected.assert_like_fresh(0)
    recorded.record("succeeded")
    assert recorded.state == "deployed"
    recorded.projected.assert_like_fresh(1)


def test_labels_do_not_make_it_pending(recorded: _Recorded) -> None:
    recorded.record("succeeded")
    folder = recorded.folder
    folder.replace(_DEPLOYMENT, "metadata:\n", "metadata:\n  labels: {team: search}\n")
    folder.commit("Label it")
    assert recorded.state == "deployed"


@pytest.mark.parametrize("result", ["failed", "rolled_back"])
def test_a_failure_counts_for_its_own_key_only(recorded: _Recorded, result: str) -> None:
    recorded.record("succeeded")
    recorded.folder.replace(_DEPLOYMENT, "spec:\n", "spec:\n  replicas: 3\n")
    recorded.folder.commit("More of it")
    recorded.record(result)
    assert recorded.state == result
    recorded.folder.replace(_DEPLOYMENT, "replicas: 3", "replicas: 2")
    recorded.folder.commit("Less of it")
    assert recorded.state == "pending"
    # Back at what ran before: a rollback has put it in place again, a failure has not.
    recorded.folder.replace(_DEPLOYMENT, "  replicas: 2\n", "")
    recorded.folder.commit("As it was")
    assert recorded.state == ("deployed" if result == "rolled_back" else "pending")
