"""Random edits of a registry repository in which everything is close to everything else."""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, datetime
from pathlib import Path

from registry_tool.domain.manifest import API_VERSION
from registry_tool.domain.recorded import (
    REQUESTS_FOLDER,
    Recorded,
    builds_folder,
    deployments_folder,
    record_file_name,
)
from registry_tool.domain.records import (
    BuildResult,
    DeploymentResult,
    Person,
    Request,
    RequestSpec,
)
from registry_tool.manifests.writing import to_yaml

MODELS = ("ant", "bee", "cat")
VERSIONS = ("1.0.0", "1.1.0", "2.0.0")
QUANTIZATIONS = ("none", "none", "none", "Q4", "q4")
ENVIRONMENTS = ("dev", "prod")
NAMES = ("api", "web", "job")
TEMPLATES = ("plain", "fancy")
HEAD = "apiVersion: registry-tool/v1\nkind: "


class Chance(random.Random):
    """Chooses what is usual, or something odd, and that more often in a wild history."""

    def __init__(self, seed: int, *, wild: bool) -> None:
        super().__init__(seed)
        self.wild = wild

    def odd(self, usual: str, *others: str) -> str:
        return self.choice(others) if self.random() < (0.35 if self.wild else 0.008) else usual


def registry(rng: Chance) -> str:
    policy = rng.odd(
        "",
        "  policy: {required_labels: [team]}\n",
        "  policy: {base_images: [docker.io/library/debian]}\n",
    )
    return (
        f"{HEAD}Registry\nmetadata: {{name: test}}\nspec:\n  storage: {{allowed: [/srv]}}\n{policy}"
    )


def model(rng: Chance, name: str) -> str:
    path = rng.odd("/srv/m", "/elsewhere")
    labels = rng.choice(("", ", labels: {team: search}"))
    license = rng.choice(("MIT", "Apache-2.0"))
    return (
        f"{HEAD}Model\nmetadata: {{name: {name}{labels}}}\n"
        f"spec: {{storage_path: {path}, license: {license}}}\n"
    )


def release(rng: Chance, name: str, version: str, quantization: str) -> str:
    stage = rng.odd("candidate", "released", "released", "deprecated")
    template = rng.odd("plain", "fancy", "fancy", "missing")
    yanked = rng.odd("", "  yanked: {reason: bad}\n")
    notes = f"  release_notes: number {rng.randrange(3)}\n"
    params = rng.odd("", ", params: {greeting: hi}", ", params: {unknown: 1}")
    build = rng.choice(("", "", "  auto_build: false\n"))
    return (
        f"{HEAD}Release\nspec:\n  model: {name}\n  version: {version}\n"
        f"  quantization: {quantization}\n  stage: {stage}\n"
        f"  template: {{name: {template}{params}}}\n{yanked}{notes}{build}"
    )


def lock(rng: Chance, name: str, version: str, quantization: str) -> str:
    sha256 = hashlib.sha256(bytes([rng.randrange(3)])).hexdigest()
    set_digest = hashlib.sha256(f"{sha256}  model.bin\n".encode()).hexdigest()
    target = rng.odd(f"/models/{name}", "/models/other")
    layer = hashlib.sha256(f"layer {sha256}".encode()).hexdigest()
    return (
        f"{HEAD}ArtifactLock\nspec:\n  model: {name}\n  version: {version}\n"
        f"  quantization: {quantization}\n  target: {target}\n"
        f"  set_digest: {rng.odd(set_digest, sha256)}\n"
        f"  files: [{{path: model.bin, role: weights, size: 10, sha256: {sha256}}}]\n"
        f"  layers: [{{digest: 'sha256:{layer}', size: 2048, files: [model.bin]}}]\n"
    )


def environment(rng: Chance, name: str) -> str:
    lines = [
        "  allow_host_paths: true\n",
        rng.odd("", "  accepts: [released]\n"),
        rng.odd("", f"  promote_from: {rng.choice((*ENVIRONMENTS, 'nowhere'))}\n"),
        rng.choice(("", "  allow_empty: true\n")),
        rng.choice(("", "  target: {namespace: other}\n")),
    ]
    return f"{HEAD}Environment\nmetadata: {{name: {name}}}\nspec:\n{''.join(lines)}"


def deployment(rng: Chance, env: str, name: str) -> str:
    which = rng.odd(
        f"version: {rng.choice(VERSIONS)}",
        "version: 9.0.0",
        "track: {version: '>=1.0.0', stage: candidate}",
        "track: {version: '>=1.0.0', stage: released}",
    )
    clashing = [f"  ports: [{{container: 80, host: {host}}}]\n" for host in (80, 81)]
    port = rng.odd(rng.choice(("", "  replicas: 2\n")), *clashing)
    volumes = rng.choice(("", "", "  volumes: [{source: /data, target: /data}]\n"))
    suspended = rng.choice(("", "", "  suspend: true\n"))
    named = rng.odd(rng.choice(MODELS), *MODELS * 3, "dog")
    return (
        f"{HEAD}Deployment\nmetadata: {{name: {name}}}\nspec:\n  environment: {env}\n"
        f"  model: {named}\n  {which}\n{port}{volumes}{suspended}"
    )


def template(rng: Chance, name: str) -> str:
    copy = rng.choice(("", "    copy: [{from: motd.j2, to: /etc/motd}]\n"))
    return (
        f"{HEAD}BuildTemplate\nmetadata: {{name: {name}}}\nspec:\n"
        "  params: {type: object, properties: {greeting: {type: string, default: hello}}}\n"
        f"  image:\n    base: scratch\n{copy}"
    )


BROKEN = (
    "kind: [\n",
    f"{HEAD}Nothing\n",
    f"{HEAD}Model\nmetadata: {{name: ant}}\nspec: {{storage: 1}}\n",
    f"{HEAD}Release\nspec: {{model: bee, version: 1.0.0, stage: odd}}\n",
    f"{HEAD}Deployment\nmetadata: {{name: api}}\nspec: {{environment: dev, replicas: many}}\n",
    f"{HEAD}Environment\nmetadata: {{name: dev}}\nspec: {{accepts: often}}\n",
)


def random_file(rng: Chance) -> tuple[str, str]:
    """A path and a content that nearly always belong together."""
    name, version = rng.choice(MODELS), rng.choice(VERSIONS)
    quantization = rng.odd("none", "Q4", "q4")
    env, workload = rng.choice(ENVIRONMENTS), rng.choice(NAMES)
    folder = f"manifests/releases/{name}/{version}"
    made = [
        (f"manifests/models/{name}.yaml", model(rng, name)),
        (f"{folder}/{quantization}.yaml", release(rng, name, version, quantization)),
        (f"{folder}/{quantization}.lock.yaml", lock(rng, name, version, quantization)),
        (f"manifests/deployments/{env}/{workload}.yaml", deployment(rng, env, workload)),
    ]
    chosen = rng.choice(TEMPLATES)
    rare = [
        (f"manifests/environments/{env}.yaml", environment(rng, env)),
        (f"manifests/environments/{env}.yaml", environment(rng, env)),
        ("manifests/registry.yaml", registry(rng)),
        (f"manifests/api-keys/{workload}.yaml", api_key(rng, workload)),
        (f"build_templates/{chosen}/template.yaml", template(rng, chosen)),
        (f"build_templates/{chosen}/motd.j2", f"hello {rng.randrange(3)}\n"),
    ]
    path, content = rng.choice(rare if rng.random() < 0.15 else made)
    if rng.wild and rng.random() < 0.1:
        content = rng.choice(BROKEN)
    if rng.wild and rng.random() < 0.1:
        path = f"manifests/{rng.choice(('one', 'two'))}.yaml"
    return path, content


def api_key(rng: Chance, name: str) -> str:
    key_id = f"{rng.randrange(100):08x}"
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    return (
        f"{HEAD}ApiKey\nmetadata: {{name: {name}}}\n"
        f"spec: {{owner: ada, key_id: '{key_id}', sha256: {sha256}}}\n"
    )


def some_files(rng: Chance) -> dict[str, str]:
    """A registry to begin with, most of which is valid."""
    files = {
        "manifests/registry.yaml": registry(Chance(0, wild=False)),
        **{f"build_templates/{name}/template.yaml": template(rng, name) for name in TEMPLATES},
        **{f"build_templates/{name}/motd.j2": "hello\n" for name in TEMPLATES},
        **{f"manifests/environments/{name}.yaml": environment(rng, name) for name in ENVIRONMENTS},
        **{f"manifests/models/{name}.yaml": model(rng, name) for name in MODELS},
    }
    for name in MODELS:
        for version in VERSIONS:
            folder = f"manifests/releases/{name}/{version}"
            files[f"{folder}/none.yaml"] = release(rng, name, version, "none")
            files[f"{folder}/none.lock.yaml"] = lock(rng, name, version, "none")
    for env in ENVIRONMENTS:
        for name in NAMES:
            files[f"manifests/deployments/{env}/{name}.yaml"] = deployment(rng, env, name)
    return files


def edit(rng: Chance, root: Path) -> None:
    """Write, delete, move or copy a few files of a work tree."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        present = sorted(
            path
            for top in ("manifests", "build_templates")
            for path in (root / top).rglob("*.yaml")
        )
        deletable = [path for path in present if rng.wild or "/deployments/" in str(path)]
        chance = rng.random()
        if chance < 0.12 and deletable:
            rng.choice(deletable).unlink()
        elif chance < 0.2 and rng.wild and present:
            source = rng.choice(present)
            target = root / "manifests" / rng.choice(("moved.yaml", "models/copied.yaml"))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
            if rng.random() < 0.6 and source != target:
                source.unlink()
        else:
            path, content = random_file(rng)
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content)


def records(rng: random.Random, before: Recorded, after: Recorded) -> dict[str, bytes]:
    """Files of the records that are new, some of which turned out otherwise."""
    files: dict[str, bytes] = {}
    for release, builds in after.builds.items():
        for entry in builds[len(before.builds.get(release, ())) :]:
            build = entry.record
            if rng.random() < 0.3:
                result = rng.choice((BuildResult.FAILED, BuildResult.PRUNED))
                spec = build.spec.model_copy(update={"result": result, "error": "it broke"})
                build = build.model_copy(update={"spec": spec})
            name = record_file_name(entry.sequence, build.spec.key)
            files[f"{builds_folder(release)}/{name}"] = to_yaml(build)
    for deployment, entries in after.deployments.items():
        for entry in entries[len(before.deployments.get(deployment, ())) :]:
            record = entry.record
            if rng.random() < 0.3:
                result = rng.choice((DeploymentResult.FAILED, DeploymentResult.ROLLED_BACK))
                spec = record.spec.model_copy(update={"result": result, "error": "it broke"})
                record = record.model_copy(update={"spec": spec})
            name = record_file_name(entry.sequence, record.spec.key)
            files[f"{deployments_folder(deployment)}/{name}"] = to_yaml(record)
    keys = [
        (identity.subject, entries[-1].record.spec.key, entries[-1].sequence)
        for found in (after.builds, after.deployments)
        for identity, entries in found.items()
    ]
    if keys and rng.random() < 0.4:
        subject, key, sequence = rng.choice(sorted(keys))
        request = Request(
            api_version=API_VERSION,
            spec=RequestSpec(
                subject=subject,
                key=key,
                after=sequence,
                action="retry",
                requested_by=Person(name="Ada", email="ada@example.org"),
                requested_at=datetime(2026, 1, 1, tzinfo=UTC),
            ),
        )
        number = before.requests[-1].sequence + 1 if before.requests else 1
        files[f"{REQUESTS_FOLDER}/{record_file_name(number, key)}"] = to_yaml(request)
    return files
