"""Examples for the OpenAPI document: an item of each kind, its longest members shortened."""

from __future__ import annotations

from typing import Any

Example = dict[str, Any]

_COMMIT = "8d2f3a5c1b7e9f00112233445566778899aabbcc"
_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_DIGEST = f"sha256:{_SHA256}"
_KEY = "d545932e4b9cb17827f9ef7b4bd55004f628788ab7cfc644a04b66dbf3d6dcb4"
_REVISION = f"main@sha1:{_COMMIT}"
_ADA = {"name": "Ada Lovelace", "email": "ada@example.org"}
_TIMINGS = {
    "started_at": "2026-01-31T12:00:00Z",
    "finished_at": "2026-01-31T12:00:42Z",
}
_CHANGE: Example = {
    "oid": _COMMIT,
    "author": _ADA,
    "authored_at": "2026-01-31T11:58:00+00:00",
    "committer": _ADA,
    "committed_at": "2026-01-31T11:58:00+00:00",
    "message": "Release minilm 1.0.0",
}


def _git(path: str) -> Example:
    """Where an item is declared, and by whom."""
    return {"path": path, "oid": "f2e00a942bd1a572654c5d6ef0d2a9065135e6b7", "commit": _CHANGE}


def _declared(subject: str, name: str, path: str, **fields: Any) -> Example:
    item_id = subject.partition("/")[2]
    return {"id": item_id, "subject": subject, "name": name, **fields, "git": _git(path)}


EXAMPLES: dict[str, Example] = {
    "models": _declared(
        "model/minilm",
        "minilm",
        "manifests/models/minilm.yaml",
        storage_path="s3://models/minilm",
        company="Example Labs",
        base_model="microsoft/MiniLM-L12-H384-uncased",
        parameter_count=22700000,
        license="Apache-2.0",
        tags=["embeddings", "english"],
        releases={"count": 1, "stages": {"released": 1}},
        environments=["staging"],
    ),
    "releases": _declared(
        "release/minilm/1.0.0/none",
        "minilm/1.0.0/none",
        "manifests/releases/minilm/1.0.0/none.yaml",
        model="minilm",
        version="1.0.0",
        quantization="none",
        stage="released",
        release_notes="First release.\n",
        template={"name": "modelcar", "params": {}},
        lock={"target": "/models/minilm", "file_count": 3, "size": 90868376},
        images=[
            {"role": "complete", "reference": "minilm:1.0.0", "digest": _DIGEST, "size": 90871296}
        ],
        deployments=[{"environment": "staging", "name": "search", "state": "deployed"}],
    ),
    "deployments": _declared(
        "deployment/staging/search",
        "search",
        "manifests/deployments/staging/search.yaml",
        environment="staging",
        model="minilm",
        version="1.0.0",
        quantization="none",
        replicas=1,
        wanted="minilm/1.0.0/none",
        state="deployed",
        running={"release": "minilm/1.0.0/none", "digest": _DIGEST},
    ),
    "environments": _declared(
        "environment/staging",
        "staging",
        "manifests/environments/staging.yaml",
        target={"type": "compose", "host": None, "namespace": None, "network": None},
        accepts=["candidate", "released"],
    ),
    "templates": _declared(
        "template/modelcar",
        "modelcar",
        "build_templates/modelcar/template.yaml",
        description="The files of the release and nothing else",
        builder="native",
    ),
    "api-keys": _declared(
        "api-key/ci",
        "ci",
        "manifests/api-keys/ci.yaml",
        owner="Build system",
        key_id="BWO68rB3it",
        expires_at="2026-05-01T00:00:00Z",
        revoked=False,
    ),
    "artifacts": {
        "id": _SHA256,
        "subject": f"artifact/{_SHA256}",
        "path": "model.safetensors",
        "role": "weights",
        "size": 90868376,
        "sha256": _SHA256,
        "release": "minilm/1.0.0/none",
    },
    "builds": {
        "id": f"builds/minilm/1.0.0/none/000001-{_KEY[:12]}",
        "subject": "release/minilm/1.0.0/none",
        "release": "minilm/1.0.0/none",
        "sequence": 1,
        "key": _KEY,
        "revision": _REVISION,
        "store": "embedded",
        "bytes": {"upload": 90871296, "reuse": 0},
        "builder": "native",
        "timings": _TIMINGS,
        "result": "succeeded",
        "log": f"minilm:log-{_KEY[:12]}-000001",
    },
    "deployment-records": {
        "id": "deployments/staging/search/000001-4f4f3f785b4a",
        "subject": "deployment/staging/search",
        "deployment": "staging/search",
        "sequence": 1,
        "revision": _REVISION,
        "release": {"model": "minilm", "version": "1.0.0", "quantization": "none"},
        "digest": _DIGEST,
        "result": "delegated",
        "timings": _TIMINGS,
        "who": {"commit": _COMMIT, "author": _ADA, "committer": _ADA},
    },
    "requests": {
        "id": f"requests/000001-{_KEY[:12]}",
        "action": "retry",
        "subject": "release/minilm/1.0.0/none",
        "key": _KEY,
        "requested_by": _ADA,
        "requested_at": "2026-01-31T12:05:00Z",
    },
    "audit": {
        "id": _COMMIT,
        **_CHANGE,
        "approved_by": ["Grace Hopper <grace@example.org>"],
        "changes": [
            {
                "path": "manifests/releases/minilm/1.0.0/none.yaml",
                "status": "A",
                "about": "release/minilm/1.0.0/none",
            }
        ],
    },
    "registry": _declared(
        "registry/example",
        "example",
        "manifests/registry.yaml",
        storage={"allowed": ["s3://models"]},
        web={"title": "Example model registry", "require_api_key": True},
    ),
}
"""By kind, as lists have them."""
