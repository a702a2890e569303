"""Images from a registry that asks for credentials, pulled by Docker and by a Swarm."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from services.docker_registry import PASSWORD, USER, DockerRegistry

from registry_tool.oci.image import ImageManifest
from registry_tool.oci.layout import LayoutStore
from registry_tool.oci.registry_store import RegistryStore

if TYPE_CHECKING:
    from served import Served
else:
    Served = Any

pytestmark = pytest.mark.xdist_group("engine")


def log_in(registry: DockerRegistry, folder: Path, password: str) -> None:
    token = base64.b64encode(f"{USER}:{password}".encode()).decode()
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"auths": {registry.host: {"auth": token}}}))


@pytest.fixture
def private(
    served: Served,
    private_registry: DockerRegistry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Served:
    """The registry folder, whose images go to a registry with credentials."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    log_in(private_registry, tmp_path / "docker", PASSWORD)
    name = f"{private_registry.host}/ml"
    served.replace(
        "manifests/registry.yaml",
        "spec:\n",
        f"spec:\n  images:\n    repository: {name}\n    insecure: true\n",
    )
    base = LayoutStore(served.store)
    target = RegistryStore(name, insecure=True)
    ((tag, descriptor),) = base.tags("bases/python").items()
    data = base.read_manifest("bases/python", descriptor.digest)
    manifest = ImageManifest.parse(data, tag)
    for blob in (manifest.config, *manifest.layers):
        with base.open_blob("bases/python", blob.digest) as file:
            target.write_blob("bases/python", blob.digest, blob.size, [file.read()])
    target.write_manifest("bases/python", descriptor, data)
    return served


def ask_helper(registry: DockerRegistry, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The login is no longer saved: a credential helper has it."""
    programs = folder / "programs"
    programs.mkdir()
    helper = programs / "docker-credential-of-the-test"
    answer = json.dumps({"ServerURL": registry.host, "Username": USER, "Secret": PASSWORD})
    helper.write_text(f"#!/bin/sh\ncat > /dev/null\necho '{answer}'\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    document = {"credHelpers": {registry.host: "of-the-test"}}
    (folder / "docker" / "config.json").write_text(json.dumps(document))


@pytest.mark.parametrize("engine", ["docker", "swarm"])
def test_engines_pull_with_the_credentials_of_the_reconciler(
    private: Served, engine: str, request: pytest.FixtureRequest
) -> None:
    if engine == "swarm":
        request.getfixturevalue("swarm")
    private.target(engine)
    private.deploy("1.0.0")
    private.tool("apply")
    (record,) = private.deployments()
    assert record["result"] == "succeeded"
    assert "/ml/echo@sha256:" in record["image"]
    assert private.json("plan", "--observe")["drift"] == []


def test_an_engine_pulls_with_what_a_credential_helper_says(
    private: Served,
    private_registry: DockerRegistry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ask_helper(private_registry, tmp_path, monkeypatch)
    private.target("docker")
    private.deploy("1.0.0")
    private.tool("apply")
    (record,) = private.deployments()
    assert record["result"] == "succeeded"


def test_a_pull_that_is_refused_is_told_and_not_recorded(
    private: Served, private_registry: DockerRegistry, tmp_path: Path
) -> None:
    private.target("docker")
    private.commit("Declare the environment")
    private.tool("apply")
    private.deploy("1.0.0")
    (tmp_path / "docker" / "config.json").write_text("{}")
    failed = private.tool("apply", expect=None)
    assert failed.returncode == 3
    assert private_registry.host in failed.stderr
    assert private.deployments() == []
