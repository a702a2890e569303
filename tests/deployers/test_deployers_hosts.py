"""Hosts and secrets: what the operator grants counts, and nothing else."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from registry_tool.deployers.engine_hosts import DEFAULT_SOCKET, Address, Hosts
from registry_tool.deployers.secrets import Secrets, without
from registry_tool.deployers.swarm import connect_manager
from registry_tool.errors import EngineProblem


def hosts(home: Path, granted: dict[str, str] | None = None, **environ: str) -> Hosts:
    return Hosts((granted or {}).get, environ, home)


def context(
    folder: Path, name: str, host: str, *, tls: bool = False, skip_verify: bool = False
) -> None:
    """A Docker context, as `docker context create` writes it."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = folder / "contexts" / "meta" / digest / "meta.json"
    meta.parent.mkdir(parents=True)
    endpoint = {"Host": host, "SkipTLSVerify": skip_verify}
    meta.write_text(json.dumps({"Name": name, "Endpoints": {"docker": endpoint}}))
    if tls:
        (folder / "contexts" / "tls" / digest / "docker").mkdir(parents=True)


def test_without_a_host_it_is_the_engine_of_the_environment(tmp_path: Path) -> None:
    assert hosts(tmp_path).addresses(None) == (Address(DEFAULT_SOCKET),)
    remote = hosts(tmp_path, DOCKER_HOST="tcp://gpu:2376", DOCKER_TLS_VERIFY="1")
    assert remote.addresses(None) == (Address("tcp://gpu:2376", tmp_path / ".docker"),)
    assert not remote.addresses(None)[0].is_local


def test_the_operators_setting_counts_before_a_context(tmp_path: Path) -> None:
    context(tmp_path / ".docker", "gpu", "ssh://other")
    granted = hosts(tmp_path, {"gpu": "ssh://ada@gpu-1, ssh://ada@gpu-2"})
    assert [address.url for address in granted.addresses("gpu")] == [
        "ssh://ada@gpu-1",
        "ssh://ada@gpu-2",
    ]
    assert hosts(tmp_path).addresses("gpu")[0].url == "ssh://other"


def test_a_context_brings_its_certificates(tmp_path: Path) -> None:
    context(tmp_path / "config", "gpu", "tcp://gpu:2376", tls=True, skip_verify=True)
    (address,) = hosts(tmp_path, DOCKER_CONFIG=str(tmp_path / "config")).addresses("gpu")
    assert (address.url, address.verify) == ("tcp://gpu:2376", False)
    assert address.certificates is not None
    chosen = hosts(tmp_path, DOCKER_CONFIG=str(tmp_path / "config"), DOCKER_CONTEXT="gpu")
    assert chosen.addresses(None) == (address,)


def test_a_name_that_nobody_granted_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What lies in the work tree is no grant.
    monkeypatch.chdir(tmp_path)
    context(tmp_path, "gpu", "tcp://evil:2375")
    with pytest.raises(EngineProblem, match='nobody granted the host "gpu"') as problem:
        hosts(tmp_path / "home").addresses("gpu")
    assert problem.value.code == "RT612"
    assert "registry-tool.host.gpu" in str(problem.value.help)


@pytest.mark.parametrize("setting", ["gpu-1", "", "ssh://gpu file", "ftp://gpu"])
def test_a_setting_that_is_no_address_is_told(tmp_path: Path, setting: str) -> None:
    with pytest.raises(EngineProblem, match="is not an address"):
        hosts(tmp_path, {"gpu": setting}).addresses("gpu")


@pytest.mark.parametrize("content", ["{", "[]", '{"Endpoints": {}}'])
def test_a_broken_context_is_told(tmp_path: Path, content: str) -> None:
    context(tmp_path / ".docker", "gpu", "tcp://gpu")
    next((tmp_path / ".docker").rglob("meta.json")).write_text(content)
    with pytest.raises(EngineProblem, match='the Docker context "gpu" cannot be read'):
        hosts(tmp_path).addresses("gpu")


def test_a_file_counts_before_a_variable(tmp_path: Path) -> None:
    (tmp_path / "staging").mkdir()
    (tmp_path / "staging" / "api.key").write_bytes(b"from a file\n")
    environ = {"RT_SECRET_STAGING_API_KEY": "from a variable", "RT_SECRET_STAGING_TOKEN": "t"}
    found = Secrets(tmp_path, environ).values("staging", ["token", "api.key", "token"])
    assert found == {"api.key": b"from a file\n", "token": b"t"}


def test_a_secret_of_another_environment_is_not_granted(tmp_path: Path) -> None:
    (tmp_path / "staging").mkdir()
    (tmp_path / "staging" / "token").write_bytes(b"t")
    with pytest.raises(EngineProblem, match='nobody granted the secret "token" to production'):
        Secrets(tmp_path, {"RT_SECRET_STAGING_TOKEN": "t"}).values("production", ["token"])


def test_a_secret_that_is_too_large_or_a_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "staging" / "folder").mkdir(parents=True)
    (tmp_path / "staging" / "large").write_bytes(bytes(600_000))
    for name, words in (("folder", "cannot be read"), ("large", "600000 bytes")):
        with pytest.raises(EngineProblem, match=words):
            Secrets(tmp_path, {}).values("staging", [name])


def test_values_are_cut_out_of_texts() -> None:
    text = without("token=s3cr3t-value!", {"token": b"s3cr3t-value\n", "short": b"o"})
    assert text == "token=[redacted]!"


@pytest.mark.parametrize(("state", "passes"), [("inactive", False), ("pending", True)])
def test_an_engine_outside_a_swarm_is_not_waited_for(
    state: str, passes: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoManager:
        def __init__(self, address: Address) -> None:
            """Connected."""

        def info(self) -> dict[str, Any]:
            return {"Swarm": {"LocalNodeState": state, "ControlAvailable": False}}

        def close(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr("registry_tool.deployers.swarm.SwarmEngine", NoManager)
    with pytest.raises(EngineProblem, match=f"is no manager of a Swarm, but {state}") as caught:
        connect_manager([Address(DEFAULT_SOCKET)])
    assert caught.value.transient is passes
    assert "docker swarm init" in (caught.value.help or "")
