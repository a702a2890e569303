"""Rendered Kubernetes objects: what is in them, and that the API of every supported version takes them."""

from __future__ import annotations

import re
from typing import Any

import kubernetes_validate
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from service_samples import environment, full, service

from registry_tool.deployers.interface import Health, ServiceSpec
from registry_tool.deployers.kubernetes import render, render_files

# Image volumes have a subPath since 1.33.
VERSIONS = ("1.33", "1.34", "1.35", "1.36", "1.37")
GOLDEN = """\
# Written by registry-tool; do not edit. The manifests decide what is here.
apiVersion: "apps/v1"
kind: "Deployment"
metadata:
  name: "search"
  namespace: "models"
  labels:
    app.kubernetes.io/name: "search"
    app.kubernetes.io/part-of: "staging"
    app.kubernetes.io/managed-by: "registry-tool"
    io.registry-tool.model: "minilm"
    app.kubernetes.io/version: "1.0.0"
  annotations:
    io.registry-tool.deployment: "deployment/staging/search"
    io.registry-tool.deployment-key: "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
    io.registry-tool.release: "release/minilm/1.0.0/none"
spec:
  replicas: 1
  progressDeadlineSeconds: 600
  selector:
    matchLabels:
      app.kubernetes.io/name: "search"
      app.kubernetes.io/part-of: "staging"
  strategy:
    type: "RollingUpdate"
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
  template:
    metadata:
      labels:
        app.kubernetes.io/name: "search"
        app.kubernetes.io/part-of: "staging"
        app.kubernetes.io/managed-by: "registry-tool"
        io.registry-tool.model: "minilm"
        app.kubernetes.io/version: "1.0.0"
      annotations:
        io.registry-tool.deployment: "deployment/staging/search"
        io.registry-tool.deployment-key: "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
        io.registry-tool.release: "release/minilm/1.0.0/none"
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      containers:
        - name: "search"
          image: "localhost:8000/minilm@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
          ports:
            - containerPort: 8000
              protocol: "TCP"
          startupProbe:
            httpGet:
              path: "/health"
              port: 8000
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet:
              path: "/health"
              port: 8000
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 3
---
apiVersion: "v1"
kind: "Service"
metadata:
  name: "search"
  namespace: "models"
  labels:
    app.kubernetes.io/name: "search"
    app.kubernetes.io/part-of: "staging"
    app.kubernetes.io/managed-by: "registry-tool"
    io.registry-tool.model: "minilm"
    app.kubernetes.io/version: "1.0.0"
  annotations:
    io.registry-tool.deployment: "deployment/staging/search"
    io.registry-tool.deployment-key: "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
    io.registry-tool.release: "release/minilm/1.0.0/none"
spec:
  type: "ClusterIP"
  selector:
    app.kubernetes.io/name: "search"
    app.kubernetes.io/part-of: "staging"
  ports:
    - name: "tcp-8000"
      port: 8000
      targetPort: 8000
      protocol: "TCP"
"""


def objects(entry: ServiceSpec, version: str = VERSIONS[-1], **target: str) -> dict[str, Any]:
    """The rendered objects by kind, each valid."""
    content = render(environment(target={"type": "kubernetes", **target}), entry)
    found = list(yaml.safe_load_all(content))
    for document in found:
        kubernetes_validate.validate(document, version, strict=True)
    return {document["kind"]: document for document in found}


def pod(entry: ServiceSpec) -> Any:
    return objects(entry)["Deployment"]["spec"]["template"]["spec"]


def test_the_objects_of_a_small_deployment() -> None:
    entry = service("search", Health((), "/health", 8000), ports=[{"container": 8000}])
    target = {"type": "kubernetes", "namespace": "models"}
    assert render(environment(target=target), entry).decode() == GOLDEN


@pytest.mark.parametrize("version", VERSIONS)
def test_everything_that_a_deployment_can_say_is_taken_by_the_api(version: str) -> None:
    objects(full(), version, namespace="models")
    objects(service(weights="image"), version)


def test_a_schema_would_notice_a_wrong_field() -> None:
    content = render(environment(), full()).replace(b"containerPort", b"containerport")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(next(yaml.safe_load_all(content)), VERSIONS[-1], strict=True)


def test_texts_arrive_as_they_are() -> None:
    entry = service(command=["$(HOME)", "$HOME"], env={"PRICE": "$(A)$$", "ON": "yes"})
    (container,) = pod(entry)["containers"]
    assert container["args"] == ["$$(HOME)", "$$HOME"]
    assert container["env"] == [
        {"name": "ON", "value": "yes"},
        {"name": "PRICE", "value": "$$(A)$$$$"},
    ]


def test_limits_are_in_the_words_of_kubernetes() -> None:
    entry = service(resources={"cpus": 0.25, "memory": "1.5G", "gpus": 2})
    (container,) = pod(entry)["containers"]
    limits = {"cpu": "250m", "memory": "1.5G", "nvidia.com/gpu": "2"}
    assert container["resources"] == {"limits": limits}


def test_secrets_are_files_of_one_secret_that_exists() -> None:
    found = pod(service(secrets=["token", "API.key"]))
    assert found["volumes"] == [
        {"name": "secrets", "secret": {"secretName": "registry-tool-secrets", "defaultMode": 0o444}}
    ]
    mounts = found["containers"][0]["volumeMounts"]
    assert [(mount["mountPath"], mount["subPath"]) for mount in mounts] == [
        ("/run/secrets/API.key", "API.key"),
        ("/run/secrets/token", "token"),
    ]


def test_weights_are_an_image_beside_the_runtime() -> None:
    entry = service(weights="image")
    found = pod(entry)
    (volume,) = found["volumes"]
    assert volume["image"]["reference"] == entry.weights_image
    (mount,) = found["containers"][0]["volumeMounts"]
    assert mount == {
        "name": "weights",
        "mountPath": "/models/minilm",
        "subPath": "models/minilm",
        "readOnly": True,
    }


def test_volumes_are_claims_or_host_paths() -> None:
    entry = service(
        volumes=[
            {"source": "HF_cache", "target": "/cache"},
            {"source": "HF_cache", "target": "/other"},
            {"source": "/srv/data", "target": "/data", "read_only": True},
        ]
    )
    found = pod(entry)
    assert found["volumes"] == [
        {"name": "volume-1", "hostPath": {"path": "/srv/data"}},
        {"name": "volume-2", "persistentVolumeClaim": {"claimName": "hf-cache"}},
    ]
    assert found["containers"][0]["volumeMounts"] == [
        {"name": "volume-2", "mountPath": "/cache"},
        {"name": "volume-2", "mountPath": "/other"},
        {"name": "volume-1", "mountPath": "/data", "readOnly": True},
    ]


def test_a_command_is_asked_by_the_kubelet() -> None:
    entry = service(
        health=Health(("check", "--all")),
        healthcheck={"command": ["check"], "interval": "5s", "start_period": "1m", "retries": 2},
    )
    (container,) = pod(entry)["containers"]
    assert container["readinessProbe"]["exec"] == {"command": ["check", "--all"]}
    assert container["readinessProbe"]["failureThreshold"] == 2
    assert container["startupProbe"]["failureThreshold"] == 14


def test_a_host_port_is_a_load_balancers() -> None:
    entry = service(ports=[{"container": 8000, "host": 80}, {"container": 9000}])
    spec = objects(entry)["Service"]["spec"]
    assert spec["type"] == "LoadBalancer"
    assert [(port["port"], port["targetPort"]) for port in spec["ports"]] == [
        (80, 8000),
        (9000, 9000),
    ]


def test_what_has_no_port_has_no_service() -> None:
    assert list(objects(service())) == ["Deployment"]


def test_one_replica_at_a_time_when_it_is_recreated() -> None:
    entry = service(strategy={"type": "recreate"})
    assert objects(entry)["Deployment"]["spec"]["strategy"] == {"type": "Recreate"}


def test_files_with_errors_stay_and_others_go() -> None:
    present = {"held.yaml": b"held", "gone.yaml": b"gone", "README": b"by hand"}
    files = render_files(environment(), [service("search")], present, ["held"])
    assert sorted(files) == ["held.yaml", "search.yaml"]
    assert files["held.yaml"] == b"held"


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=12)


def as_kubelet(text: str) -> str:
    """How the kubelet reads a text: a doubled dollar sign is one, and no variable is named here."""
    return re.sub(r"\$\$|\$\([^)]*\)", lambda found: "$" if found[0] == "$$" else "EXPANDED", text)


@settings(max_examples=40, deadline=None)
@given(
    env=st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True), TEXT),
    command=st.lists(TEXT, max_size=3),
)
def test_any_text_survives(env: dict[str, str], command: list[str]) -> None:
    (container,) = pod(service(env=env, command=command))["containers"]
    found = {entry["name"]: as_kubelet(entry["value"]) for entry in container.get("env", ())}
    assert found == env
    assert [as_kubelet(argument) for argument in container["args"]] == command
