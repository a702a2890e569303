"""Random edits of a registry repository in which everything is close to everything else."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

MODELS = ("ant", "bee", "cat")
VERSIONS = ("1.0.0", "1.1.0", "2.0.0")
QUANTIZATIONS = ("none", "none", "none", "Q4", "q4")
ENVIRONMENTS = ("dev", "prod")
NAMES = ("api", "web", "job")
TEMPLATES = ("plain", "fancy")
HEAD = "apiVersion: registry-tool/v1\nkind: "


def registry(rng: random.Random) -> str:
    policy = rng.choice(("", "", "  policy: {required_labels: [team]}\n"))
    bases = rng.choice(("", "", "", "  policy: {base_images: [docker.io/library/debian]}\n"))
    return f"{HEAD}Registry\nmetadata: {{name: test}}\nspec:\n  storage: {{allowed: [/srv]}}\n" + (
        policy or bases
    )


def model(rng: random.Random, name: str) -> str:
    path = rng.choice(("/srv/m", "/srv/m", "/srv/m", "/elsewhere"))
    labels = rng.choice(("", ", labels: {team: search}"))
    return f"{HEAD}Model\nmetadata: {{name: {name}{labels}}}\nspec: {{storage_path: {path}}}\n"


def release(rng: random.Random, name: str, version: str, quantization: str) -> str:
    stage = rng.choice(("candidate", "released", "released", "deprecated"))
    template = rng.choice((*TEMPLATES, "plain", "plain", "missing"))
    yanked = rng.choice(("", "", "", "  yanked: {reason: bad}\n"))
    notes = f"  release_notes: number {rng.randrange(3)}\n"
    params = rng.choice(("", "", ", params: {greeting: hi}", ", params: {unknown: 1}"))
    return (
        f"{HEAD}Release\nspec:\n  model: {name}\n  version: {version}\n"
        f"  quantization: {quantization}\n  stage: {stage}\n"
        f"  template: {{name: {template}{params}}}\n{yanked}{notes}"
    )


def lock(rng: random.Random, name: str, version: str, quantization: str) -> str:
    sha256 = hashlib.sha256(bytes([rng.randrange(3)])).hexdigest()
    set_digest = hashlib.sha256(f"{sha256}  model.bin\n".encode()).hexdigest()
    target = rng.choice((f"/models/{name}", f"/models/{name}", "/models/other"))
    layer = hashlib.sha256(f"layer {sha256}".encode()).hexdigest()
    return (
        f"{HEAD}ArtifactLock\nspec:\n  model: {name}\n  version: {version}\n"
        f"  quantization: {quantization}\n  target: {target}\n"
        f"  set_digest: {rng.choice((set_digest, set_digest, sha256))}\n"
        f"  files: [{{path: model.bin, role: weights, size: 10, sha256: {sha256}}}]\n"
        f"  layers: [{{digest: 'sha256:{layer}', size: 2048, files: [model.bin]}}]\n"
    )


def environment(rng: random.Random, name: str) -> str:
    lines = [
        rng.choice(("", "  accepts: [released]\n")),
        rng.choice(("", "", f"  promote_from: {rng.choice((*ENVIRONMENTS, 'nowhere'))}\n")),
        rng.choice(("", "  allow_host_paths: true\n")),
        rng.choice(("", "  allow_empty: true\n")),
    ]
    text = "".join(lines)
    return f"{HEAD}Environment\nmetadata: {{name: {name}}}\nspec:{' {}' * (not text)}\n{text}"


def deployment(rng: random.Random, env: str, name: str) -> str:
    which = rng.choice(
        (
            f"version: {rng.choice((*VERSIONS, '9.0.0'))}",
            f"track: {{version: '>=1.0.0', stage: {rng.choice(('candidate', 'released'))}}}",
        )
    )
    ports = ("", *[f"  ports: [{{container: 80, host: {host}}}]\n" for host in (80, 81)])
    port = rng.choice((*ports, "  replicas: 2\n"))
    volumes = rng.choice(("", "", "  volumes: [{source: /data, target: /data}]\n"))
    suspended = rng.choice(("", "", "  suspend: true\n"))
    return (
        f"{HEAD}Deployment\nmetadata: {{name: {name}}}\nspec:\n  environment: {env}\n"
        f"  model: {rng.choice((*MODELS * 8, 'dog'))}\n  {which}\n{port}{volumes}{suspended}"
    )


def template(rng: random.Random, name: str) -> str:
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


def random_file(rng: random.Random, *, wild: bool) -> tuple[str, str]:
    """A path and a content that nearly always belong together."""
    name, version = rng.choice(MODELS), rng.choice(VERSIONS)
    quantization = rng.choice(QUANTIZATIONS)
    env, workload = rng.choice(ENVIRONMENTS), rng.choice(NAMES)
    folder = f"manifests/releases/{name}/{version}"
    made = [
        (f"manifests/models/{name}.yaml", model(rng, name)),
        (f"{folder}/{quantization}.yaml", release(rng, name, version, quantization)),
        (f"{folder}/{quantization}.lock.yaml", lock(rng, name, version, quantization)),
        (f"manifests/deployments/{env}/{workload}.yaml", deployment(rng, env, workload)),
    ]
    rare = [
        (f"manifests/environments/{env}.yaml", environment(rng, env)),
        ("manifests/registry.yaml", registry(rng)),
        (f"manifests/api-keys/{workload}.yaml", api_key(rng, workload)),
    ]
    chosen = rng.choice(TEMPLATES)
    rare.append((f"build_templates/{chosen}/template.yaml", template(rng, chosen)))
    rare.append((f"build_templates/{chosen}/motd.j2", f"hello {rng.randrange(3)}\n"))
    path, content = rng.choice(rare if rng.random() < 0.15 else made)
    if wild and rng.random() < 0.15:
        content = rng.choice(BROKEN)
    if wild and rng.random() < 0.1:
        path = f"manifests/{rng.choice(('one', 'two'))}.yaml"
    return path, content


def api_key(rng: random.Random, name: str) -> str:
    key_id = f"{rng.randrange(100):08x}"
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    return (
        f"{HEAD}ApiKey\nmetadata: {{name: {name}}}\n"
        f"spec: {{owner: ada, key_id: '{key_id}', sha256: {sha256}}}\n"
    )


def some_files(rng: random.Random) -> dict[str, str]:
    """A registry to begin with, most of which is valid."""
    files = {
        "manifests/registry.yaml": registry(random.Random(0)),
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


def edit(rng: random.Random, root: Path, *, wild: bool = True) -> None:
    """Write, delete, move or copy a few files of a work tree."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        present = sorted(
            path
            for top in ("manifests", "build_templates")
            for path in (root / top).rglob("*.yaml")
        )
        chance = rng.random()
        if chance < 0.12 and present:
            rng.choice(present).unlink()
        elif wild and chance < 0.2 and present:
            source = rng.choice(present)
            target = root / "manifests" / rng.choice(("moved.yaml", "models/copied.yaml"))
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
            if rng.random() < 0.6 and source != target:
                source.unlink()
        else:
            path, content = random_file(rng, wild=wild)
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content)
