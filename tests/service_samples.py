"""Services as deployers get them, with everything resolved."""

from __future__ import annotations

import json
from typing import Any

from registry_tool.deployers.interface import Health, ServiceSpec
from registry_tool.domain.deployment import Deployment
from registry_tool.domain.environment import Environment
from registry_tool.domain.subjects import ReleaseId

IMAGE = "localhost:8000/minilm@sha256:" + "a" * 64
FULL: dict[str, Any] = {
    "replicas": 2,
    "command": ["serve", "--cost=$5", "${HOME}"],
    "ports": [
        {"container": 8000, "host": 80},
        {"container": 9000, "protocol": "udp"},
    ],
    "env": {"PRICE": "$9", "ON": "yes", "EMPTY": "", "N": "1e3", "TEXT": 'a "b"\nc'},
    "secrets": ["hf-token", "api.key"],
    "volumes": [
        {"source": "cache", "target": "/cache"},
        {"source": "/srv/$data", "target": "/data", "read_only": True},
    ],
    "resources": {"cpus": 1.5, "memory": "2Gi", "gpus": 1},
    "healthcheck": {
        "http": "/health",
        "interval": "1m",
        "timeout": "5s",
        "retries": 3,
        "start_period": "1d",
    },
    "strategy": {"type": "rolling", "auto_rollback": False},
}


def environment(name: str = "staging", **spec: Any) -> Environment:
    document = {
        "apiVersion": "registry-tool/v1",
        "kind": "Environment",
        "metadata": {"name": name},
        "spec": spec,
    }
    return Environment.model_validate_json(json.dumps(document))


def service(name: str = "search", health: Health | None = None, **spec: Any) -> ServiceSpec:
    document = {
        "apiVersion": "registry-tool/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"environment": "staging", "model": "minilm", "version": "1.0.0", **spec},
    }
    return ServiceSpec(
        deployment=Deployment.model_validate_json(json.dumps(document)),
        release=ReleaseId("minilm", "1.0.0"),
        key="b" * 64,
        image=IMAGE,
        weights_image="localhost:8000/minilm@sha256:" + "c" * 64,
        target="/models/minilm",
        storage="/data/minilm",
        health=health or Health(),
    )


def full() -> ServiceSpec:
    command = ("wget", "-q", "http://localhost:8000/health?cost=$1")
    return service("full", Health(command, "/health", 8000), **FULL)
