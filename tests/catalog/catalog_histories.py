"""Random changes to a registry: good ones, bad ones, merges, records, and branches that move back."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from registries import ENVIRONMENT, MODEL, REGISTRY, RegistryFolder

from registry_tool.builders.templates import TemplateProblem
from registry_tool.domain.kinds import RECORD_KINDS
from registry_tool.domain.subjects import DeploymentId
from registry_tool.errors import UsageProblem
from registry_tool.manifests.loading import load
from registry_tool.manifests.writing import to_yaml
from registry_tool.planning.keys import Keys
from registry_tool.planning.tracking import Tracks
from registry_tool.repository.repository import Repository

_START = datetime(2026, 1, 1, tzinfo=UTC)
_SHA = "0123456789abcdef" * 4
_RELEASE = """\
apiVersion: registry-tool/v1
kind: Release
metadata:
  labels: {{team: "{team}"}}
spec:
  model: {model}
  version: {version}
  quantization: {quantization}
  stage: {stage}
  release_notes: {notes}
  template:
    name: {template}
{yanked}"""
_DEPLOYMENT = """\
apiVersion: registry-tool/v1
kind: Deployment
metadata:
  name: {name}
spec:
  environment: {environment}
  model: {model}
  {what}
  suspend: {suspend}
"""
_KEY = """\
apiVersion: registry-tool/v1
kind: ApiKey
metadata:
  name: {name}
spec:
  owner: {owner}
  key_id: abcd{number}
  sha256: {sha}
"""
_DOUBLE = MODEL.format(model="minilm", storage="/srv")


def key_at_head(
    folder: RegistryFolder, environment: str, name: str
) -> tuple[dict[str, str], str] | None:
    """The release that a deployment means at the newest commit, and the key that a planner gives it."""
    with Repository.open(folder.path) as repository:
        desired = load(repository.snapshot(folder.git("rev-parse", "HEAD"))).desired
        deployment = DeploymentId(environment, name)
        if desired is None or deployment not in desired.deployments:
            return None
        release = Tracks(desired.releases).release_of(desired.deployments[deployment].manifest)
        keys = Keys(desired)
        try:
            build = keys.build(release).value if release else ""
            key = keys.deployment(deployment, release, build).value if release else ""
        except (KeyError, TemplateProblem, UsageProblem):
            return None
    return (release._asdict(), key) if release else None


class History:
    """Changes a registry at random, the same way for the same seed."""

    def __init__(self, folder: RegistryFolder, seed: int) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self._clock = _START
        self._sequences: dict[str, int] = {}
        self._count = 0
        self._duties: list[Callable[[], str]] = [
            lambda: self._add_records(self._build),
            lambda: self._add_records(self._deployed),
            lambda: self._change_well(self._lock),
            lambda: self._change_well(self._break),
            lambda: self._change_well(self._spoil),
        ]
        self.random.shuffle(self._duties)

    def step(self) -> str:
        """Make some changes; returns what was done. Every fourth step is one that each history has."""
        self._count += 1
        if self._duties and self._count % 4 == 0:
            return self._duties.pop()()
        choice = self.random.random()
        if choice < 0.12:
            return self._merge()
        if choice < 0.4:
            return self._record()
        if choice < 0.46:
            return self._go_back()
        done = [self._change() for _ in range(self.random.randint(1, 3))]
        self._commit(", ".join(done))
        return ", ".join(done)

    def _change_well(self, change: Callable[[], None]) -> str:
        """A change after which nothing else is to blame when the revision is refused."""
        self._bad.unlink(missing_ok=True)
        shutil.rmtree(self.folder.path / "manifests/moved", ignore_errors=True)
        change()
        self._commit(change.__name__)
        return change.__name__.strip("_")

    def _commit(self, message: str) -> None:
        self.folder.git("add", "-A")
        self.folder.git("commit", "--quiet", "--allow-empty", "-m", message)

    def _change(self) -> str:
        changes: tuple[tuple[int, Callable[[], None]], ...] = (
            (4, self._model),
            (8, self._release),
            (4, self._lock),
            (3, self._environment),
            (6, self._deployment),
            (2, self._api_key),
            (3, self._template_file),
            (3, self._delete),
            (3, self._move),
            (2, self._break),
            (2, self._clash),
            (1, self._registry),
        )
        weights = [weight for weight, _ in changes]
        (_, change), *_ = self.random.choices(changes, weights)
        change()
        return change.__name__.strip("_")

    def _one(self, *values: str) -> str:
        return self.random.choice(values)

    def _names(self) -> dict[str, str]:
        return {
            "model": self._one("minilm", "llama", "bert"),
            "version": self._one("1.0.0", "1.0.1", "1.10.0-rc.1", "2.0.0"),
            "quantization": self._one("none", "awq"),
        }

    def _model(self) -> None:
        model = self._one("minilm", "llama", "bert")
        text = MODEL.format(model=model, storage=self.folder.storage)
        text += f"  company: {self._one('Acme', 'Example')}\n  parameter_count: {self._one('7B', '8')}\n"
        text += f"  tags: [{self._one('a, b', 'b', 'c')}]\n"
        self.folder.write(f"manifests/models/{model}.yaml", text)

    def _release(self) -> None:
        names = self._names()
        text = _RELEASE.format(
            **names,
            team=self._one("search", "vision"),
            stage=self._one("candidate", "released", "deprecated"),
            notes=self._one("better", "worse", "faster than before"),
            template=self._one("weights", "other"),
            yanked=self._one("", "", "  yanked: {reason: wrong}\n"),
        )
        self.folder.write(
            "manifests/releases/{model}/{version}/{quantization}.yaml".format(**names), text
        )

    def _lock(self) -> None:
        names = self._names()
        base = self.folder.path / "manifests/releases/{model}/{version}".format(**names)
        (self.folder.storage / names["model"]).mkdir(parents=True, exist_ok=True)
        weights = self.folder.storage / names["model"] / "model.bin"
        weights.write_text(self._one("one", "two", "three"))
        kept = (base / "none.yaml").read_text() if (base / "none.yaml").exists() else None
        self.folder.release(names["model"], names["version"])
        if kept is not None:
            (base / "none.yaml").write_text(kept)

    def _environment(self) -> None:
        name = self._one("staging", "production")
        text = ENVIRONMENT.format(environment=name)
        if self.random.random() < 0.5:
            text = text.replace("spec: {}", f"spec:\n  soak: {self._one('1h', '2d')}")
        self.folder.write(f"manifests/environments/{name}.yaml", text)

    def _deployment(self) -> None:
        names = self._names()
        environment, name = self._one("staging", "production"), self._one("search", "chat")
        exact = f"version: {names['version']}"
        tracking = f"track: {{version: '{self._one('*', '^1.0')}', stage: candidate}}"
        text = _DEPLOYMENT.format(
            name=name,
            environment=environment,
            model=names["model"],
            what=self._one(exact, exact, tracking),
            suspend=self._one("false", "false", "true"),
        )
        text += self._one("", "", "  replicas: 2\n")
        self.folder.write(f"manifests/deployments/{environment}/{name}.yaml", text)

    def _api_key(self) -> None:
        name = self._one("one", "two")
        text = _KEY.format(name=name, owner=self._one("a", "b"), number=name, sha=_SHA)
        self.folder.write(f"manifests/api-keys/{name}.yaml", text)

    def _template_file(self) -> None:
        path = self._one("build_templates/weights/motd", "build_templates/weights/deep/er")
        if (self.folder.path / path).exists() and self.random.random() < 0.4:
            (self.folder.path / path).unlink()
        else:
            self.folder.write(path, self._one("hello", "bye"))

    def _files(self) -> list[str]:
        return [
            path
            for path in self.folder.git("ls-files", "manifests").splitlines()
            if path != "manifests/registry.yaml" and (self.folder.path / path).exists()
        ]

    def _delete(self) -> None:
        for path in self.random.sample(self._files(), 1):
            (self.folder.path / path).unlink()

    def _move(self) -> None:
        """Mostly to a place where the file does not belong."""
        for path in self.random.sample(self._files(), 1):
            target = self.folder.path / f"manifests/moved/{self.random.randint(1, 3)}.yaml"
            target.parent.mkdir(exist_ok=True)
            if not target.exists():
                (self.folder.path / path).rename(target)

    def _break(self) -> None:
        """Errors that leave the identity known, as long as a field is there only once."""
        files = [self.folder.path / path for path in self._files()]
        whole = [file for file in files if "unknown_field" not in file.read_text()]
        for file in self.random.sample(whole, 1):
            text = file.read_text().replace("spec: {}", "spec:")
            file.write_text(text + "  unknown_field: 1\n")

    def _spoil(self) -> None:
        """An error that does not: the revision is refused until somebody repairs it."""
        self.folder.write("manifests/models/bad.yaml", "kind: [\n")

    def _clash(self) -> None:
        """The same, by an identity that may be declared twice; or the repair."""
        if self._bad.exists():
            self._bad.unlink()
        else:
            self.folder.write("manifests/models/bad.yaml", self._one("kind: [\n", _DOUBLE))

    @property
    def _bad(self) -> Path:
        return self.folder.path / "manifests/models/bad.yaml"

    def _registry(self) -> None:
        text = REGISTRY.format(storage=self.folder.storage)
        images = self._one("", "  images: {repository: registry.example/ml}\n")
        self.folder.write("manifests/registry.yaml", text + images)

    def _merge(self) -> str:
        """A side branch with one or two commits, while the main line goes on."""
        self.folder.git("checkout", "--quiet", "-B", "side")
        for _ in range(self.random.randint(1, 2)):
            self._commit(f"side: {self._change()}")
        self.folder.git("checkout", "--quiet", "main")
        if self.random.random() < 0.5:
            self._change()
            self._commit("main goes on")
        strategy = self.random.choice((["-X", "ours"], ["-X", "theirs"], ["-s", "ours"]))
        try:
            self.folder.git("merge", "--quiet", "--no-ff", *strategy, "-m", "Merge side", "side")
        except subprocess.CalledProcessError:
            self.folder.git("merge", "--abort")
            return "merge that conflicts"
        return "merge"

    def _go_back(self) -> str:
        count = int(self.folder.git("rev-list", "--count", "--first-parent", "HEAD"))
        back = min(self.random.randint(1, 4), count - 1)
        self.folder.git("reset", "--quiet", "--hard", f"HEAD~{back}")
        return f"back {back}"

    # --- records ---

    def _record(self) -> str:
        """One to three records in one commit; now and then the newest commit is taken back instead."""
        if self._sequences and self.random.random() < 0.1:
            self._take_records_back()
            return "records back"
        makers = (self._build, self._build, self._deployed, self._request)
        return self._add_records(*self.random.choices(makers, k=self.random.randint(1, 3)))

    def add_record(self, path: str, kind: str, spec: dict[str, Any]) -> None:
        """One commit with one record."""
        tree = self._record_tree() | {path: self._blob(self._yaml(kind, spec))}
        self._write_records("".join(f"100644 {oid} 0\t{at}\n" for at, oid in sorted(tree.items())))

    def _add_records(self, *makers: Callable[[], tuple[str, bytes]]) -> str:
        tree = self._record_tree()
        for make in makers:
            path, text = make()
            tree[path] = self._blob(text)
        listing = "".join(f"100644 {oid} 0\t{path}\n" for path, oid in sorted(tree.items()))
        self._write_records(listing)
        return "records"

    def _record_tree(self) -> dict[str, str]:
        if not self._records_tip():
            return {}
        rows = self.folder.git("ls-tree", "-r", "registry-records").splitlines()
        return {row.split("\t")[1]: row.split()[2] for row in rows}

    def _records_tip(self) -> str:
        return self.folder.git(
            "for-each-ref", "--format=%(objectname)", "refs/heads/registry-records"
        )

    def _take_records_back(self) -> None:
        tip = self._records_tip()
        parents = self.folder.git("rev-list", "--parents", "-1", tip).split()[1:]
        if parents:
            self.folder.git("update-ref", "refs/heads/registry-records", parents[0])

    def _blob(self, text: bytes) -> str:
        file = self.folder.storage / "blob"
        file.write_bytes(text)
        return self.folder.git("hash-object", "-w", str(file))

    def _write_records(self, listing: str) -> None:
        index = self.folder.storage / "index"
        index.unlink(missing_ok=True)
        environment = {**os.environ, "GIT_INDEX_FILE": str(index)}

        def git(*words: str, given: str = "") -> str:
            command = ["git", "-C", str(self.folder.path), *words]
            done = subprocess.run(
                command, input=given, env=environment, check=True, capture_output=True, text=True
            )
            return done.stdout.strip()

        git("update-index", "--add", "--index-info", given=listing)
        tip = self._records_tip()
        parents = ["-p", tip] if tip else []
        head = self.folder.git("rev-parse", "HEAD")
        message = f"Record\n\nRegistry-Revision: main@sha1:{head}\n"
        commit = git("commit-tree", git("write-tree"), *parents, given=message)
        git("update-ref", "refs/heads/registry-records", commit)

    def _next(self, folder: str, key: str) -> str:
        self._sequences[folder] = self._sequences.get(folder, 0) + 1
        return f"{folder}/{self._sequences[folder]:06d}-{key[:12]}.yaml"

    def _timings(self) -> dict[str, str]:
        self._clock += timedelta(minutes=1)
        later = self._clock + timedelta(seconds=self.random.randint(1, 50))
        return {"started_at": self._clock.isoformat(), "finished_at": later.isoformat()}

    def _build(self) -> tuple[str, bytes]:
        names = self._names()
        key = self._one(_SHA, _SHA[::-1])
        digest = f"sha256:{self._one(_SHA, _SHA[::-1])}"
        folder = "builds/{model}/{version}/{quantization}".format(**names)
        spec = {
            **names,
            "key": key,
            "key_parts": {"base": _SHA},
            "revision": "main@sha1:" + "0" * 40,
            "store": self._one("embedded", "embedded", "registry.example/ml"),
            "images": [{"role": "complete", "reference": "a:1", "digest": digest, "size": 7}],
            "layers": [{"digest": digest, "size": 5, "source": "weights", "uploaded": True}],
            "builder": "native",
            "timings": self._timings(),
            "result": self._one("succeeded", "succeeded", "failed", "pruned"),
        }
        return self._next(folder, key), self._yaml("Build", spec)

    def _deployed(self) -> tuple[str, bytes]:
        environment, name = self._one("staging", "production"), self._one("search", "chat")
        result = self._one("succeeded", "delegated", "failed", "rolled_back", "removed")
        known = key_at_head(self.folder, environment, name) if self.random.random() < 0.7 else None
        release, key = known or (self._names(), _SHA)
        spec = {
            "environment": environment,
            "name": name,
            "key": key,
            "key_parts": {"spec": _SHA},
            "revision": "main@sha1:" + "0" * 40,
            "release": release,
            "target": {"type": "compose"},
            "result": result,
            "timings": self._timings(),
        }
        folder = f"deployments/{environment}/{name}"
        return self._next(folder, _SHA), self._yaml("DeploymentRecord", spec)

    def _request(self) -> tuple[str, bytes]:
        spec = {
            "action": "retry",
            "subject": "release/minilm/1.0.0/none",
            "key": _SHA,
            "after": 1,
            "requested_by": {"name": "A", "email": "a@example.org"},
            "requested_at": self._timings()["started_at"],
        }
        if self.random.random() < 0.2:
            return self._next("requests", _SHA), b"kind: [\n"
        return self._next("requests", _SHA), self._yaml("Request", spec)

    def _yaml(self, kind: str, spec: dict[str, Any]) -> bytes:
        document = {"apiVersion": "registry-tool/v1", "kind": kind, "spec": spec}
        record = RECORD_KINDS[kind].model_validate_json(json.dumps(document))
        return to_yaml(record)  # type: ignore[arg-type]
