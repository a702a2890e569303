"""An example value for each optional field, shown commented out in new manifests; tests load every one of them."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

MODEL: Mapping[str, JsonValue] = {
    "description": "Sentence embeddings for search",
    "company": "Example Labs",
    "base_model": "microsoft/MiniLM-L12-H384-uncased",
    "parameter_count": "22.7M",
    "license": "Apache-2.0",
    "tags": ["embeddings", "english"],
    "metadata": {"training_data": "all-nli"},
}

RELEASE: Mapping[str, JsonValue] = {
    "release_notes": "## What is new\n\n- Better recall on long sentences.\n",
    "storage_path": "/srv/models/minilm/1.0.0",
    "artifacts": {"include": ["*.safetensors", "*.json"], "exclude": ["**/.cache/**"]},
    "platforms": ["linux/amd64", "linux/arm64"],
    "auto_build": False,
    "yanked": {"reason": "The tokenizer does not match the weights."},
    "metadata": {"accuracy": 0.91},
}

ENVIRONMENT: Mapping[str, JsonValue] = {
    "accepts": ["candidate", "released"],
    "promote_from": "staging",
    "soak": "24h",
    "freeze": [
        {
            "schedule": "0 16 * * FRI",
            "duration": "64h",
            "timezone": "Europe/Berlin",
            "reason": "No deployments at the weekend.",
        }
    ],
    "approvals": {"count": 1, "from": ["lead@example.com"]},
    "allow_host_paths": True,
    "allow_empty": True,
}

DEPLOYMENT: Mapping[str, JsonValue] = {
    "replicas": 2,
    "command": ["serve", "--port", "8000"],
    "ports": [{"container": 8000, "host": 8080}],
    "env": {"LOG_LEVEL": "info"},
    "secrets": ["api-token"],
    "weights": "baked",
    "volumes": [{"source": "cache", "target": "/var/cache/model"}],
    "resources": {"cpus": 2, "memory": "4Gi", "gpus": 1},
    "healthcheck": {
        "http": "/health",
        "port": 8000,
        "interval": "10s",
        "timeout": "3s",
        "retries": 3,
        "start_period": "1m",
    },
    "strategy": {"type": "rolling", "auto_rollback": True},
    "suspend": True,
    "track": {"version": "^1.0", "stage": "released"},
}
