"""A registry with many releases, written straight into Git: the same commits each time.

Models differ in company, base model, tags, size and license; releases in quantization and stage. Every fifth release is
built, some are deployed, and a tail of one-file commits gives the index a past to travel to.
"""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from benchmarks.corpus import LOCK, REGISTRY, TEMPLATE

MODEL = """\
apiVersion: registry-tool/v1
kind: Model
metadata:
  name: {model}
  labels: {{team: team-{team}}}
spec:
  storage_path: /srv/models/{model}
  description: Model {number} of the {family} family for {task}
  company: Company {company}
  base_model: base/{family}
  parameter_count: {parameters}
  license: {license}
  tags: [{task}, {family}, tag-{tag}]
"""
RELEASE = """\
apiVersion: registry-tool/v1
kind: Release
spec:
  model: {model}
  version: {version}
  quantization: {quantization}
  stage: {stage}
  release_notes: |
    {notes}
  template:
    name: modelcar
"""
ENVIRONMENT = """\
apiVersion: registry-tool/v1
kind: Environment
metadata:
  name: {name}
spec: {{}}
"""
DEPLOYMENT = """\
apiVersion: registry-tool/v1
kind: Deployment
metadata:
  name: {model}
spec:
  environment: {environment}
  model: {model}
  version: {version}
  quantization: {quantization}
"""
BUILD = """\
apiVersion: registry-tool/v1
kind: Build
spec:
  model: {model}
  version: {version}
  quantization: {quantization}
  key: {key}
  key_parts:
    template: {key}
  revision: main@sha1:0123456789012345678901234567890123456789
  store: embedded
  images:
    - role: complete
      reference: {model}:{version}
      digest: sha256:{key}
      size: 4096
  layers:
    - digest: sha256:{layer}
      size: 2048
      source: weights
      uploaded: true
  builder: native
  timings:
    started_at: 2026-01-01T00:00:00Z
    finished_at: 2026-01-01T00:00:{second:02d}Z
  result: succeeded
"""
_QUANTIZATIONS = ("none", "awq", "gptq", "Q4_K_M", "Q8_0")
_STAGES = ("candidate", "released", "released", "deprecated")
_FAMILIES = ("llama", "mistral", "qwen", "bert", "gemma", "phi", "falcon", "t5")
_TASKS = ("chat", "embedding", "reranking", "vision", "speech", "code")
_LICENSES = ("Apache-2.0", "MIT", "proprietary")
_NOTES = ("Faster decoding", "Better answers", "A smaller cache", "Fewer refusals")
_SIZES = ("350M", "1B", "3B", "7B", "13B", "34B", "70B")
ENVIRONMENTS = ("staging", "production", "europe", "asia")
_START = 1_760_000_000


TAIL = 1100
"""One-file commits after the first, each of which changes a tag of a model."""


def write_web_corpus(root: Path, models: int, releases: int, tail: int = TAIL) -> Path:
    """A bare repository with `models` × `releases` releases and `tail` further commits."""
    subprocess.run(
        ["git", "init", "--quiet", "--bare", "--initial-branch=main", str(root)], check=True
    )
    with _importing(root) as stream:
        files = _files(models, releases)
        _commit(stream, "refs/heads/main", _START, "Add everything", files)
        for number in range(tail):
            path = f"manifests/models/{model_name(number % models)}.yaml"
            changed = iter([(path, model_file(number % models, tag=100 + number))])
            _commit(stream, "refs/heads/main", _START + 60 * number, f"Edit {number}", changed)
    # Records name the revision that they were made for, here the first one.
    command = ["git", "-C", str(root), "rev-list", "--max-parents=0", "main"]
    first = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    with _importing(root) as stream:
        records = _records(models, releases)
        message = f"Record builds\n\nRegistry-Revision: main@sha1:{first}"
        _commit(stream, "refs/heads/registry-records", _START, message, records)
    return root


def push_edit(root: Path, models: int, number: int) -> None:
    """One more commit that changes one file, on the tip."""
    with _importing(root) as stream:
        path = f"manifests/models/{model_name(number % models)}.yaml"
        stream.write(b"reset refs/heads/main\nfrom refs/heads/main^0\n\n")
        changed = iter([(path, model_file(number % models, tag=100_000 + number))])
        _commit(stream, "refs/heads/main", _START + 10**6 + number, "Push", changed)


@contextmanager
def _importing(root: Path) -> Iterator[IO[bytes]]:
    process = subprocess.Popen(
        ["git", "-C", str(root), "fast-import", "--quiet"], stdin=subprocess.PIPE
    )
    assert process.stdin is not None
    with process.stdin as stream:
        yield stream
    if process.wait() != 0:
        raise RuntimeError("git fast-import failed")


def _commit(
    stream: IO[bytes], ref: str, at: int, message: str, files: Iterator[tuple[str, str]]
) -> None:
    who = f"Bench <bench@example.com> {at} +0000"
    stream.write(f"commit {ref}\nauthor {who}\ncommitter {who}\n".encode())
    stream.write(f"data {len(message)}\n{message}\n".encode())
    for path, text in files:
        data = text.encode()
        stream.write(f"M 100644 inline {path}\ndata {len(data)}\n".encode() + data + b"\n")
    stream.write(b"\n")


def rows(models: int, releases: int, tail: int = TAIL) -> Iterator[dict[str, str]]:
    """The releases at the tip, flat: what another registry would be told of them."""
    for model in range(models):
        last = tail - 1 - (tail - 1 - model) % models
        text = model_file(model, 100 + last if last >= model else model)
        fields = dict(line.strip().split(": ", 1) for line in text.splitlines() if ": " in line)
        shown = ("description", "company", "base_model", "parameter_count", "license")
        for number in range(releases):
            names = release_names(model, number)
            yield {
                **names,
                **{name: fields[name] for name in shown},
                "tags": fields["tags"].strip("[]"),
                "stage": _stage(model, number),
                "release_notes": _notes(model, number, names),
            }


def _stage(model: int, number: int) -> str:
    return _STAGES[(model + number) % 4]


def _notes(model: int, number: int, names: dict[str, str]) -> str:
    note = _NOTES[(model * 7 + number) % 4]
    return f"{note} in {names['model']} {names['version']}."


def model_name(number: int) -> str:
    return f"{_FAMILIES[number % len(_FAMILIES)]}-{number:05d}"


def model_file(number: int, tag: int) -> str:
    """The manifest of a model."""
    return MODEL.format(
        model=model_name(number),
        number=number,
        team=number % 17,
        company=number % 200,
        family=_FAMILIES[number % len(_FAMILIES)],
        task=_TASKS[number % len(_TASKS)],
        parameters=_SIZES[number % len(_SIZES)],
        license=_LICENSES[number % len(_LICENSES)],
        tag=tag % 200,
    )


def release_names(model: int, number: int) -> dict[str, str]:
    """The identity of a release."""
    return {
        "model": model_name(model),
        "version": f"1.{number // 2}.0",
        "quantization": ("none", _QUANTIZATIONS[1 + model % 4])[number % 2],
    }


def _files(models: int, releases: int) -> Iterator[tuple[str, str]]:
    yield "manifests/registry.yaml", REGISTRY
    yield "build_templates/modelcar/template.yaml", TEMPLATE
    for name in ENVIRONMENTS:
        yield f"manifests/environments/{name}.yaml", ENVIRONMENT.format(name=name)
    for model in range(models):
        yield f"manifests/models/{model_name(model)}.yaml", model_file(model, model)
        for number in range(releases):
            names = release_names(model, number)
            base = "manifests/releases/{model}/{version}/{quantization}".format(**names)
            stage, notes = _stage(model, number), _notes(model, number, names)
            yield f"{base}.yaml", RELEASE.format(**names, stage=stage, notes=notes)
            yield f"{base}.lock.yaml", _lock(model, number, names)
        if model % 10 == 0:
            names = release_names(model, 0)
            for environment in ENVIRONMENTS[: 1 + model % 3]:
                path = f"manifests/deployments/{environment}/{names['model']}.yaml"
                yield path, DEPLOYMENT.format(**names, environment=environment)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _lock(model: int, number: int, names: dict[str, str]) -> str:
    # Pairs of releases share their weights.
    sha256 = _sha256(f"weights {model} {number // 2}")
    text = LOCK.format(
        model=names["model"],
        minor=number // 2,
        set_digest=_sha256(f"{sha256}  model.safetensors\n"),
        sha256=sha256,
        layer=_sha256(f"layer {model} {number // 2}"),
    )
    quantization = f"  quantization: {names['quantization']}\n  target:"
    return text.replace("  target:", quantization, 1)


def _records(models: int, releases: int) -> Iterator[tuple[str, str]]:
    for model in range(models):
        for number in range(0, releases, 5):
            names = release_names(model, number)
            key = _sha256(f"build {model} {number}")
            folder = "builds/{model}/{version}/{quantization}".format(**names)
            layer = _sha256(f"layer {model} {number // 2}")
            text = BUILD.format(**names, key=key, layer=layer, second=(model + number) % 60)
            yield f"{folder}/000001-{key[:12]}.yaml", text
