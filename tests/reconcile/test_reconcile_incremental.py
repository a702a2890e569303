"""What is found from memory is what is found by doing everything: over random histories."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import random_registry
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_registry import Chance

from registry_tool.domain.plan import Plan
from registry_tool.domain.recorded import RECORDS_BRANCH
from registry_tool.planning.planner import plan
from registry_tool.planning.simulating import recorded_after
from registry_tool.reconcile.incremental import memory
from registry_tool.reconcile.incremental.checked import Checked, StateSource
from registry_tool.reconcile.incremental.checking import check_state
from registry_tool.reconcile.incremental.planning import plan_state
from registry_tool.reconcile.states import read_desired, read_recorded
from registry_tool.repository.blob_cache import BlobCache
from registry_tool.repository.editing import commit_files
from registry_tool.repository.repository import Repository

ENVIRONMENT = random_registry.HEAD + (
    "Environment\nmetadata: {{name: {name}}}\nspec:\n  allow_host_paths: true\n"
)
RELEASE = random_registry.HEAD + (
    "Release\nspec:\n  model: {model}\n  version: 1.0.0\n  stage: released\n"
    "  template: {{name: plain}}\n  release_notes: {notes}\n"
)
DEPLOYMENT = random_registry.HEAD + (
    "Deployment\nmetadata: {{name: {name}}}\nspec:\n  environment: {environment}\n"
    "  model: {model}\n  version: 1.0.0\n  ports: [{{container: 80, host: 80}}]\n"
)


class History:
    """A repository that random edits are made in."""

    def __init__(self, root: Path, files: Mapping[str, str]) -> None:
        self.root = root
        for path, content in files.items():
            self.write(path, content)
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit()

    def git(self, *words: str) -> str:
        done = subprocess.run(["git", *words], cwd=self.root, check=True, capture_output=True)
        return done.stdout.decode().strip()

    def write(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def release(self, model: str, notes: str) -> None:
        path = f"manifests/releases/{model}/1.0.0/none.yaml"
        self.write(path, RELEASE.format(model=model, notes=notes))

    def deployment(self, environment: str, name: str, model: str) -> None:
        path = f"manifests/deployments/{environment}/{name}.yaml"
        self.write(path, DEPLOYMENT.format(environment=environment, name=name, model=model))

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "Edit")

    def go_back(self) -> None:
        """To the commit before, as far as there is one."""
        root = self.git("rev-list", "--max-parents=0", "HEAD")
        if self.git("rev-parse", "HEAD") != root:
            self.git("reset", "--quiet", "--hard", "HEAD~1")

    @contextmanager
    def opened(self) -> Iterator[tuple[Repository, BlobCache]]:
        with Repository.open(self.root) as repository:
            cache = BlobCache(repository.state_dir / "cache" / "blobs.sqlite")
            try:
                yield repository, cache
            finally:
                cache.close()

    def refused(self, which: str) -> Checked:
        """The checks of a state with errors as a hook does them, which then refuses it."""
        with self.opened() as (repository, cache):
            source, base = self._states(repository, which)
            found = check_state(repository, source, base, cache=cache, may_vanish=True)
            assert found.diagnostics == read_desired(source, base).diagnostics
            assert found.errors
            return found

    def checked(self, which: str) -> Checked:
        """The checks of a state, from memory, once they are seen to equal all checks."""
        with self.opened() as (repository, cache):
            source, base = self._states(repository, which)
            found = check_state(repository, source, base, cache=cache)
            everything = read_desired(source, base)
            assert found.diagnostics == everything.diagnostics
            assert found.checked == everything.checked
            return found

    def planned(self) -> Plan | None:
        """The plan for HEAD, from memory, once it is seen to equal the full one; None with errors."""
        with self.opened() as (repository, cache):
            head = repository.resolve("HEAD")
            source, base = self._states(repository, "commit")
            checked = check_state(repository, source, base, cache=cache)
            if checked.errors:
                return None
            records = repository.ref(RECORDS_BRANCH)
            found = plan_state(repository, checked, records, head=head, cache=cache)
            desired = read_desired(source, base).require_valid("HEAD")
            full = plan(desired, read_recorded(repository), head=head)
            assert found.to_json() == full.to_json()
            return found

    def act(self, found: Plan, rng: random.Random) -> None:
        """Record that some of a plan was done, one way or another, or ask for something again."""
        with self.opened() as (repository, _):
            source, base = self._states(repository, "commit")
            desired = read_desired(source, base).require_valid("HEAD")
            chosen = [action for action in found.actions if rng.random() < 0.5]
            part = found.model_copy(update={"actions": tuple(chosen)})
            recorded = read_recorded(repository)
            files = random_registry.records(rng, recorded, recorded_after(desired, recorded, part))
            if files:
                branch = RECORDS_BRANCH.removeprefix("refs/heads/")
                commit_files(repository, files, "Record", branch)

    def _states(self, repository: Repository, which: str) -> tuple[StateSource, StateSource | None]:
        head = repository.resolve("HEAD")
        if which == "commit":
            parent = repository.first_parent(head)
            return repository.snapshot(head), repository.snapshot(parent) if parent else None
        if which == "index":
            return repository.index_snapshot(), repository.snapshot(head)
        return repository.work_tree_snapshot(), repository.snapshot(head)


class Usual(Chance):
    """Chooses what comes first, which is nothing odd."""

    def choice(self, seq: Any) -> Any:
        return seq[0]

    def odd(self, usual: str, *others: str) -> str:
        return usual


def sound(root: Path) -> History:
    """A history that begins without any diagnostic, so that everything is remembered."""
    first = Usual(0, wild=False)
    files = {
        "manifests/registry.yaml": random_registry.registry(first),
        "build_templates/plain/template.yaml": random_registry.template(first, "plain"),
    }
    for name in ("dev", "prod"):
        files[f"manifests/environments/{name}.yaml"] = ENVIRONMENT.format(name=name)
    for name in random_registry.MODELS:
        files[f"manifests/models/{name}.yaml"] = random_registry.model(first, name)
        folder = f"manifests/releases/{name}/1.0.0"
        files[f"{folder}/none.yaml"] = RELEASE.format(model=name, notes="first")
        lock = random_registry.lock(first, name, "1.0.0", "none")
        files[f"{folder}/none.lock.yaml"] = lock
    history = History(root, files)
    history.commit()
    assert history.checked("commit").diagnostics == ()
    return history


def test_one_changed_model_is_checked_alone(tmp_path: Path) -> None:
    history = sound(tmp_path)
    for notes in ("one", "two"):
        history.release("ant", notes)
        assert history.checked("tree").full is None
        history.commit()
        assert history.checked("commit").full is None
    assert history.checked("tree").full is None


def test_a_template_is_everyones_business(tmp_path: Path) -> None:
    history = sound(tmp_path)
    history.write("build_templates/plain/motd.j2", "hello\n")
    assert history.checked("tree").full is not None


def test_a_port_that_becomes_free_is_no_longer_taken(tmp_path: Path) -> None:
    history = sound(tmp_path)
    history.deployment("dev", "api", "ant")
    history.commit()
    assert history.checked("commit").full is None
    history.deployment("dev", "web", "bee")
    history.commit()
    found = history.checked("commit")
    assert [one.code for one in found.diagnostics] == ["RT308"]
    (tmp_path / "manifests/deployments/dev/api.yaml").unlink()
    found = history.checked("tree")
    assert (found.full, found.diagnostics) == (None, ())


def test_one_name_in_two_groups_is_noticed(tmp_path: Path) -> None:
    history = sound(tmp_path)
    history.deployment("dev", "api", "ant")
    history.commit()
    history.checked("commit")
    text = (tmp_path / "manifests/deployments/dev/api.yaml").read_text()
    history.write("manifests/deployments/dev/other.yaml", text.replace("ant", "bee"))
    assert "RT201" in [one.code for one in history.checked("tree").diagnostics]


def test_an_environment_reaches_its_deployments(tmp_path: Path) -> None:
    history = sound(tmp_path)
    history.deployment("dev", "api", "ant")
    history.commit()
    history.checked("commit")
    text = ENVIRONMENT.format(name="dev") + "  accepts: [candidate]\n"
    history.write("manifests/environments/dev.yaml", text)
    found = history.checked("tree")
    assert found.full is None
    assert [one.code for one in found.diagnostics] == ["RT302"]
    history.git("checkout", "--quiet", ".")
    assert history.checked("tree").diagnostics == ()


def test_a_refused_state_leaves_the_memory_alone(tmp_path: Path) -> None:
    history = sound(tmp_path)
    for number in range(2):
        history.release("bee", f"{number}")
        assert history.refused("tree").full is None
        history.write("build_templates/broken/template.yaml", "a: [\n")
        assert history.refused("tree").full is not None
        history.git("clean", "--quiet", "--force", "-d")
        history.release("bee", "good")
        history.release("ant", f"good {number}")
        assert history.checked("tree").full is None


def test_a_damaged_or_missing_memory_is_made_anew(tmp_path: Path) -> None:
    history = sound(tmp_path)
    file = tmp_path / ".git/registry-tool/cache/checks.sqlite"
    file.write_bytes(b"not a database" * 1000)
    assert history.checked("tree").full is not None
    assert history.checked("tree").full is None
    file.unlink()
    assert history.checked("tree").full is not None


def test_a_memory_of_other_code_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = sound(tmp_path)
    monkeypatch.setattr(memory, "code_stamp", lambda: "another")
    assert history.checked("tree").full is not None


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**32), wild=st.booleans())
def test_random_histories_are_checked_and_planned_from_memory_as_in_full(
    tmp_path_factory: pytest.TempPathFactory, seed: int, wild: bool
) -> None:
    rng = Chance(seed, wild=wild)
    files = random_registry.some_files(rng)
    history = History(tmp_path_factory.mktemp("history"), files)
    history.checked("commit")
    for _ in range(12):
        random_registry.edit(rng, history.root)
        if rng.random() < 0.4:
            history.checked("tree")
        if rng.random() < 0.2:
            history.git("add", "--all")
            history.checked("index")
        if rng.random() < 0.7:
            history.commit()
            history.checked("commit")
        if rng.random() < 0.1:
            history.go_back()
        if rng.random() < 0.3:
            history.checked(rng.choice(("tree", "commit")))
        found = history.planned() if rng.random() < 0.8 else None
        if found is not None and rng.random() < 0.6:
            history.act(found, rng)
            history.planned()
