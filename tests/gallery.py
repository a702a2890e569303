"""A registry with something on every page: models, builds that worked and one that did not, three environments."""

from __future__ import annotations

import contextlib
import io
import os
import random
from pathlib import Path

from registries import RegistryFolder

from registry_tool.cli.main import run

PEOPLE = {
    "ada": ("Ada Lovelace", "ada@example.org"),
    "grace": ("Grace Hopper", "grace@example.org"),
    "emmy": ("Emmy Noether", "emmy@example.org"),
}
REGISTRY = """\
apiVersion: registry-tool/v1
kind: Registry
metadata:
  name: acme
spec:
  storage:
    allowed: [{storage}]
  web:
    title: Acme models
    edit_url: https://git.example.org/acme/models/edit/main/{{path}}
"""
TEMPLATE = """\
apiVersion: registry-tool/v1
kind: BuildTemplate
metadata:
  name: weights
spec:
  description: Weights and a greeting, without an engine.
  params:
    type: object
    properties:
      greeting: {type: string, default: hello}
  image:
    base: scratch
    copy:
      - from: motd.j2
        to: /etc/motd
    env:
      MODEL: "{{ model }}"
"""
MODELS = {
    "minilm": (
        "Sentence embeddings, small and quick. The first choice for search and deduplication.",
        "Acme Research",
        "microsoft/MiniLM-L12",
        "22.7M",
        "Apache-2.0",
        ("embedding", "english", "search"),
    ),
    "llama-chat": (
        "A chat model for the help desk, tuned on our own conversations.",
        "Meta",
        "meta-llama/Llama-3.1-8B",
        "8B",
        "Llama-3.1",
        ("chat", "text-generation"),
    ),
    "whisper-large": (
        "Speech to text in forty languages.",
        "OpenAI",
        None,
        "1550M",
        "MIT",
        ("speech", "multilingual"),
    ),
    "resnet50": (
        "Product photos to categories.",
        "Acme Vision",
        None,
        "25.6M",
        "Apache-2.0",
        ("vision",),
    ),
}
RELEASE = """\
apiVersion: registry-tool/v1
kind: Release
metadata:
  labels: {{team: {team}}}
spec:
  model: {model}
  version: {version}
  quantization: {quantization}
  stage: {stage}
  template:
    name: weights
  artifacts:
    include: ["{folder}/**"]
  release_notes: |
{notes}
"""
NOTES = """\
## What is new

- **Recall** at 10 is 91.4 %, up from 89.2 %
- Half the latency on CPUs; see the [report](https://reports.example.org/minilm)
- Tokenizer unchanged

| data set | recall | latency |
|---|---|---|
| wiki | 91.4 % | 3.1 ms |
| tickets | 88.0 % | 2.8 ms |

Start it with `python -m serve --port 8000`.
"""
ENVIRONMENT = """\
apiVersion: registry-tool/v1
kind: Environment
metadata:
  name: {name}
spec:
  target: {{type: compose}}
{gates}
"""
DEPLOYMENT = """\
apiVersion: registry-tool/v1
kind: Deployment
metadata:
  name: {name}
  labels: {{team: search}}
spec:
  environment: {environment}
  model: {model}
  version: {version}
  quantization: {quantization}
  replicas: {replicas}
  ports:
    - {{container: 8000, host: {port}}}
  env:
    LOG_LEVEL: info
  resources: {{cpus: 2, memory: 4Gi}}
  healthcheck:
    command: [/bin/true]
    interval: 30s
"""


class Gallery(RegistryFolder):
    """A registry repository whose history several people made."""

    def tool(self, *arguments: object, code: int = 0) -> str:
        """Run a command; what it printed on stdout."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            got = run(["--repo", str(self.path), *map(str, arguments)])
        assert got == code, out.getvalue() + err.getvalue()
        return out.getvalue()

    def commit_as(self, person: str, message: str) -> str:
        """Commit everything in somebody's name."""
        name, email = PEOPLE[person]
        before = {key: os.environ.get(key) for key in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL")}
        os.environ["GIT_AUTHOR_NAME"], os.environ["GIT_AUTHOR_EMAIL"] = name, email
        try:
            return self.commit(message)
        finally:
            for key, value in before.items():
                os.environ.pop(key, None) if value is None else os.environ.update({key: value})

    def declare_model(self, name: str) -> None:
        description, company, base, count, license_name, tags = MODELS[name]
        lines = [
            "apiVersion: registry-tool/v1",
            "kind: Model",
            "metadata:",
            f"  name: {name}",
            "spec:",
            f"  storage_path: {self.storage}/{name}",
            f"  description: {description}",
            f"  company: {company}",
            *([f"  base_model: {base}"] if base else []),
            f"  parameter_count: {count}",
            f"  license: {license_name}",
            f"  tags: [{', '.join(tags)}]",
            "  metadata: {paper: 'https://papers.example.org/1', scores: {mmlu: 0.42}}",
        ]
        self.write(f"manifests/models/{name}.yaml", "\n".join(lines) + "\n")

    def declare_release(
        self,
        model: str,
        version: str,
        quantization: str = "none",
        *,
        size: int = 300_000,
        stage: str = "candidate",
        notes: str = NOTES,
        lock: bool = True,
    ) -> None:
        """A release whose files lie in a folder of their own; a part of them is the same for all."""
        folder = f"{version}-{quantization}"
        place = self.storage / model / folder
        place.mkdir(parents=True, exist_ok=True)
        (place / "model.safetensors").write_bytes(random.Random(folder).randbytes(size))
        (place / "tokenizer.json").write_bytes(random.Random(model).randbytes(20_000))
        (place / "config.json").write_text('{"hidden_size": 384}\n')
        text = RELEASE.format(
            team="search",
            model=model,
            version=version,
            quantization=quantization,
            stage=stage,
            folder=folder,
            notes="".join(f"    {line}\n" for line in notes.splitlines()),
        )
        self.write(f"manifests/releases/{model}/{version}/{quantization}.yaml", text)
        if lock:
            self.tool("-q", "lock", f"{model}/{version}/{quantization}")

    def declare_environment(self, name: str, gates: str = "") -> None:
        self.write(
            f"manifests/environments/{name}.yaml", ENVIRONMENT.format(name=name, gates=gates)
        )

    def deploy(
        self, place: str, model: str, version: str, quantization: str = "none", port: int = 8001
    ) -> None:
        environment, _, name = place.partition("/")
        self.write(
            f"manifests/deployments/{place}.yaml",
            DEPLOYMENT.format(
                environment=environment,
                name=name,
                model=model,
                version=version,
                quantization=quantization,
                replicas=1,
                port=port,
            ),
        )

    def apply(self, code: int = 0) -> None:
        self.tool("-q", "apply", code=code)


def make_gallery(folder: Path, storage: Path) -> Gallery:
    """The registry, applied."""
    gallery = Gallery(folder, storage)
    gallery.path.mkdir(parents=True)
    gallery.git("init", "--quiet", "--initial-branch=main")
    gallery.write("manifests/registry.yaml", REGISTRY.format(storage=storage))
    gallery.write("build_templates/weights/template.yaml", TEMPLATE)
    gallery.write("build_templates/weights/motd.j2", "{{ params.greeting }} from {{ model }}\n")
    gallery.commit_as("grace", "Set up the registry")
    _first_month(gallery)
    _second_month(gallery)
    _trouble(gallery)
    return gallery


def _first_month(gallery: Gallery) -> None:
    gallery.declare_model("minilm")
    gallery.declare_release("minilm", "1.0.0", stage="released", notes="The first one.\n")
    gallery.commit_as("ada", "Add minilm 1.0.0")
    gallery.declare_environment("staging")
    gallery.declare_environment(
        "production",
        "  promote_from: staging\n"
        "  accepts: [released]\n"
        "  freeze:\n"
        "    - {schedule: 0 0 29 2 *, duration: 1h, timezone: Europe/Berlin, reason: leap day}\n",
    )
    gallery.declare_environment("edge", "  allow_empty: true\n")
    gallery.deploy("staging/search", "minilm", "1.0.0")
    gallery.commit_as("emmy", "Deploy search to staging")
    gallery.apply()
    gallery.deploy("production/search", "minilm", "1.0.0")
    gallery.commit_as(
        "ada",
        "Promote search to production\n\nRecall is good enough on live traffic.\n\n"
        "Reviewed-by: Grace Hopper <grace@example.org>",
    )
    gallery.apply()


def _second_month(gallery: Gallery) -> None:
    for name in ("llama-chat", "whisper-large", "resnet50"):
        gallery.declare_model(name)
    gallery.commit_as("grace", "Add three more models")
    gallery.declare_release("llama-chat", "2.1.0", "Q4_K_M", size=1_500_000)
    gallery.declare_release("llama-chat", "2.1.0", "Q8_0", size=2_600_000)
    gallery.declare_release("whisper-large", "3.0.0", size=900_000, stage="released")
    gallery.declare_release("minilm", "1.1.0", size=310_000)
    gallery.commit_as("ada", "Release llama-chat 2.1.0, whisper-large 3.0.0 and minilm 1.1.0")
    gallery.deploy("staging/chat", "llama-chat", "2.1.0", "Q4_K_M", port=8002)
    gallery.deploy("edge/speech", "whisper-large", "3.0.0", port=8003)
    gallery.deploy("staging/search", "minilm", "1.1.0")
    gallery.commit_as("emmy", "Try minilm 1.1.0 and chat on staging")
    gallery.apply()
    gallery.tool("-q", "stage", "minilm/1.1.0", "released", "--commit")
    gallery.tool(
        "-q", "yank", "llama-chat/2.1.0/Q8_0", "--reason", "It loops on long prompts", "--commit"
    )


def _trouble(gallery: Gallery) -> None:
    gallery.declare_release("minilm", "1.2.0-rc.1", size=320_000)
    gallery.declare_release("resnet50", "0.9.0", size=200_000)
    gallery.declare_release("resnet50", "1.0.0", lock=False)
    gallery.commit_as("ada", "Prepare minilm 1.2.0 and resnet50")
    # Somebody writes over a file that is locked: its build fails and says so.
    broken = gallery.storage / "resnet50/0.9.0-none/model.safetensors"
    broken.write_bytes(b"x" * broken.stat().st_size)
    gallery.apply(code=1)
    gallery.deploy("production/search", "minilm", "1.1.0")
    gallery.commit_as("emmy", "Promote minilm 1.1.0 to production")
    gallery.tool("-q", "api-key", "create", "ci", "--owner", "CI of Acme", "--commit")
