"""One manifest or record of every kind in which every field is set to something other than its default."""

from __future__ import annotations

SHA = "0123456789abcdef" * 4
DIGEST = f"sha256:{SHA}"
REVISION = "main@sha1:" + "0123456789" * 4

_HEAD = "apiVersion: registry-tool/v1\nkind: {}\n"
_TEXTS: dict[str, str] = {}

_TEXTS["Registry"] = """
metadata:
  name: main
  labels: {team: ml}
  annotations: {owner: someone}
spec:
  images:
    repository: registry.example:5000/ml
    insecure: true
    served_at: registry.example:8000
    keep: 3
  builds:
    timeout: 2h
    builder: docker
  storage:
    allowed:
      - s3://models
      - /mnt/ceph/models
  web:
    title: Our models
    edit_url: https://git.example/ml/registry/edit/main/{path}
    require_api_key: true
    cors_origins: [https://app.example]
  notifications:
    - secret: chat-webhook
      events: [build_failed, deployed]
  policy:
    licenses: [Apache-2.0, MIT]
    required_labels: [team]
    base_images: [registry.example/base]
  trust:
    commits:
      - principal: dev@example.org
        key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample
    records:
      - principal: recorder@example.org
        key: gpg 0123456789ABCDEF
"""

_TEXTS["Model"] = """
metadata:
  name: minilm
  labels: {team: search, "example.org/tier": gold}
  annotations: {note: "a: b"}
spec:
  storage_path: s3://models/minilm
  description: Sentence embeddings
  company: Acme
  base_model: bert-base
  parameter_count: 22M
  license: Apache-2.0
  tags: [embedding, english]
  metadata:
    paper: https://example.org/paper
    nested: {list: [1, 2.5, null, true]}
"""

_TEXTS["Release"] = """
metadata:
  labels: {team: search}
  annotations: {ticket: ML-12}
spec:
  model: minilm
  version: v1.10
  quantization: Q4_K_M
  stage: released
  release_notes: |
    # Better

    - faster
  template:
    name: python-server
    params: {port: 8000}
  storage_path: /mnt/ceph/models/minilm/1.10
  artifacts:
    include: ["*.safetensors", tokenizer/**]
    exclude: ["*.bin"]
  platforms: [linux/amd64, linux/arm64/v8]
  auto_build: false
  yanked:
    reason: wrong tokenizer
  metadata: {commit: abc}
"""

_TEXTS["ArtifactLock"] = f"""
metadata:
  labels: {{team: search}}
  annotations: {{by: lock}}
spec:
  model: minilm
  version: 1.10.0
  quantization: Q4_K_M
  target: /models/minilm
  set_digest: {SHA}
  files:
    - path: model.safetensors
      role: weights
      size: 90868376
      sha256: {SHA}
      media_type: application/octet-stream
      etag: '"abc"'
      version_id: v-1
  layers:
    - digest: {DIGEST}
      size: 90870272
      files: [model.safetensors]
"""

_TEXTS["Environment"] = """
metadata:
  name: production
  labels: {tier: gold}
  annotations: {url: https://example.org}
spec:
  target:
    type: kubernetes
    host: cluster-1
    namespace: models
    network: backbone
  accepts: [released]
  promote_from: staging
  soak: 1d12h
  freeze:
    - schedule: 0 18 * * 5
      duration: 62h
      timezone: Europe/Berlin
      reason: weekend
  approvals:
    count: 2
    from: [lead@example.org]
  allow_host_paths: true
  allow_empty: true
"""

_TEXTS["Deployment"] = """
metadata:
  name: search
  labels: {team: search}
  annotations: {oncall: search-team}
spec:
  environment: production
  model: minilm
  version: 1.10.0
  quantization: Q4_K_M
  replicas: 3
  command: [serve, --port, "8000"]
  ports:
    - container: 8000
      host: 80
      protocol: udp
  env: {LOG_LEVEL: debug}
  secrets: [api-token]
  weights: mounted
  volumes:
    - source: /mnt/ceph/models
      target: /data
      read_only: true
  resources:
    cpus: 2.5
    memory: 2Gi
    gpus: 1
  healthcheck:
    http: /health
    port: 8000
    interval: 10s
    timeout: 2s
    retries: 3
    start_period: 1m
  strategy:
    type: recreate
    auto_rollback: false
  suspend: true
"""

_TEXTS["ApiKey"] = f"""
metadata:
  name: dashboard
  labels: {{team: web}}
  annotations: {{ticket: "7"}}
spec:
  owner: dashboard@example.org
  key_id: AbCd1234
  sha256: {SHA}
  expires_at: 2027-01-01T00:00:00Z
  revoked: true
"""

_TEXTS["BuildTemplate"] = """
metadata:
  name: python-server
  labels: {language: python}
  annotations: {docs: https://example.org}
spec:
  description: A small HTTP server
  params:
    type: object
    properties: {port: {type: integer, default: 8000}}
  platforms: [linux/amd64]
  target: /srv/{{ model }}
  probe: [python, probe.py, "{{ port }}", "{{ path }}"]
  image:
    base: registry.example/base@sha256:abc
    copy:
      - from: server.py.j2
        to: /app/server.py
        mode: "0755"
    env: {PORT: "{{ params.port }}"}
    labels: {org.example.part: server}
    workdir: /app
    user: "1000"
    expose: [8000/tcp]
    entrypoint: [python]
    cmd: [server.py]
"""

_TEXTS["Build"] = f"""
metadata:
  labels: {{host: a}}
  annotations: {{note: b}}
spec:
  model: minilm
  version: 1.10.0
  quantization: Q4_K_M
  key: {SHA}
  key_parts: {{base: {SHA}}}
  revision: {REVISION}
  store: embedded
  images:
    - role: complete
      reference: minilm:1.10.0_Q4_K_M
      digest: {DIGEST}
      size: 100
  layers:
    - digest: {DIGEST}
      size: 90
      source: weights
      uploaded: true
  bytes: {{upload: 90, reuse: 10}}
  builder: native
  adopted: true
  timings:
    started_at: 2026-01-01T00:00:00Z
    finished_at: 2026-01-01T00:01:00Z
  result: failed
  error: "exit 1\\x1b[0m"
  log: minilm:log-0123456789ab-000001
"""

_TEXTS["DeploymentRecord"] = f"""
metadata:
  labels: {{host: a}}
  annotations: {{note: b}}
spec:
  environment: production
  name: search
  key: {SHA}
  key_parts: {{spec: {SHA}}}
  build_key: {SHA}
  revision: {REVISION}
  release: {{model: minilm, version: 1.10.0, quantization: Q4_K_M}}
  target: {{type: docker, host: gpu-1, namespace: models, network: backbone}}
  weights: image
  image: localhost:8000/minilm@{DIGEST}
  digest: {DIGEST}
  previous_digest: {DIGEST}
  result: rolled_back
  health: unhealthy
  timings:
    started_at: 2026-01-01T00:00:00Z
    finished_at: 2026-01-01T00:01:00Z
  who:
    commit: 0123456789abcdef0123456789abcdef01234567
    author: {{name: A, email: a@example.org}}
    committer: {{name: C, email: c@example.org}}
    authored_at: 2026-01-01T00:00:00Z
    approved_by: [R <r@example.org>]
    signer: a@example.org
  error: it did not become healthy
"""

_TEXTS["Request"] = f"""
metadata:
  labels: {{host: a}}
  annotations: {{note: b}}
spec:
  action: retry
  subject: release/minilm/1.10.0/Q4_K_M
  key: {SHA}
  after: 3
  requested_by: {{name: A, email: a@example.org}}
  requested_at: 2026-01-01T00:00:00Z
"""

FULL: dict[str, bytes] = {
    kind: (_HEAD.format(kind) + text.lstrip("\n")).encode() for kind, text in _TEXTS.items()
}
"""The samples by kind."""

ALTERNATIVES: tuple[tuple[str, bytes], ...] = (
    (
        "Deployment",
        FULL["Deployment"]
        .replace(b"  version: 1.10.0\n", b"  track:\n    version: ^1.2\n    stage: candidate\n")
        .replace(b"http: /health", b"command: [curl, localhost]"),
    ),
    (
        "BuildTemplate",
        FULL["BuildTemplate"][: FULL["BuildTemplate"].index(b"  image:\n")]
        + f"""  dockerfile:
    file: Containerfile.j2
    bases:
      - name: python
        reference: registry.example/python:3.11
        digest: {DIGEST}
    files: ["*.py"]
""".encode(),
    ),
)
"""Samples with the fields that exclude others of `FULL`."""

PATHS: dict[str, str] = {
    "Registry": "manifests/registry.yaml",
    "Model": "manifests/models/minilm.yaml",
    "Release": "manifests/releases/minilm/1.10.0/Q4_K_M.yaml",
    "ArtifactLock": "manifests/releases/minilm/1.10.0/Q4_K_M.lock.yaml",
    "Environment": "manifests/environments/production.yaml",
    "Deployment": "manifests/deployments/production/search.yaml",
    "ApiKey": "manifests/api-keys/dashboard.yaml",
    "BuildTemplate": "build_templates/python-server/template.yaml",
}
"""Where the manifest samples belong."""


def repository() -> dict[str, bytes]:
    """A repository of all manifest samples."""
    files = {PATHS[kind]: FULL[kind] for kind in PATHS}
    files["build_templates/python-server/server.py.j2"] = b"print('{{ model }}')\n"
    return files
