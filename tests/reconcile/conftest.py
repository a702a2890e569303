"""A small registry whose locks are real, so that it can be applied."""

from __future__ import annotations

import os

import pytest
from applied_folder import Applied, Ran
from registries import RegistryFolder

__all__ = ["Applied", "Ran"]

MODELCAR = """\
apiVersion: registry-tool/v1
kind: BuildTemplate
metadata:
  name: weights
spec:
  params:
    type: object
    properties:
      greeting: {type: string, default: hello}
  image:
    base: scratch
    copy:
      - from: motd.j2
        to: /etc/motd
"""


@pytest.fixture
def applied(empty_registry: RegistryFolder) -> Applied:
    """Two releases of one model with the same weights, the first one deployed to staging; committed, not applied."""
    folder = Applied(empty_registry.path, empty_registry.storage)
    folder.write("build_templates/weights/template.yaml", MODELCAR)
    folder.write(
        "build_templates/weights/motd.j2", "{{ params.greeting }} from {{ model }} {{ version }}\n"
    )
    folder.model("minilm")
    folder.weights("minilm", os.urandom(3_000_000))
    folder.weights("minilm", b"{}", "config.json")
    for version in ("1.0.0", "1.0.1"):
        folder.release("minilm", version, lock=False)
    folder.environment("staging")
    folder.commit("Add the model")
    for version in ("1.0.0", "1.0.1"):
        folder.lock(f"minilm/{version}")
    folder.deployment("staging", "search", "minilm", "1.0.0")
    folder.commit("Lock and deploy")
    return folder
