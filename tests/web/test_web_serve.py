"""`serve` as people start it: a process over a repository, which commits reach and signals end."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from registries import RegistryFolder
from web_index import Server, run_server, wait_for

from registry_tool import __version__


def fetch(server: Server, path: str) -> Any:
    with urllib.request.urlopen(f"{server.url}{path}", timeout=20) as response:
        return json.load(response)


def models(server: Server) -> list[str]:
    return [item["id"] for item in fetch(server, "/api/v1/models")["items"]]


def test_health_names_version_and_revision(server: Server, applied: RegistryFolder) -> None:
    health = fetch(server, "/health")
    assert health["status"] == "ok"
    assert health["version"] == __version__
    assert health["revision"] == f"main@sha1:{applied.git('rev-parse', 'HEAD')}"
    assert health["records"] == applied.git("rev-parse", "registry-records")


def test_a_commit_appears_by_itself(applied: RegistryFolder) -> None:
    with run_server(applied, "--poll", 600) as server:
        assert models(server) == ["minilm"]
        applied.model("bert")
        applied.commit("Add bert")
        wait_for(lambda: models(server) == ["bert", "minilm"])


def test_polling_is_enough(applied: RegistryFolder) -> None:
    with run_server(applied, "--no-watch", "--poll", 0.2) as server:
        applied.model("bert")
        applied.commit("Add bert")
        wait_for(lambda: models(server) == ["bert", "minilm"])


def test_pushes_to_a_bare_repository_appear(applied: RegistryFolder, tmp_path: Path) -> None:
    bare = tmp_path / "bare.git"
    subprocess.run(["git", "clone", "--quiet", "--mirror", applied.path, bare], check=True)
    applied.git("remote", "add", "origin", str(bare))
    with run_server(bare) as server:
        assert models(server) == ["minilm"]
        applied.model("bert")
        applied.commit("Add bert")
        applied.git("push", "--quiet", "origin", "main")
        wait_for(lambda: models(server) == ["bert", "minilm"])


def test_a_clone_serves_the_records_of_its_remote(applied: RegistryFolder, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", applied.path, clone], check=True)
    with run_server(clone) as server:
        assert fetch(server, "/api/v1/builds")["total"] == 1


def test_workers_share_one_catalog(applied: RegistryFolder) -> None:
    with run_server(applied, "--workers", 2) as server:
        wait_for(lambda: sum("Application startup complete" in line for line in server.log) == 2)
        applied.model("bert")
        applied.commit("Add bert")
        wait_for(lambda: all(models(server) == ["bert", "minilm"] for _ in range(10)))
        assert server.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_open_event_streams_do_not_keep_it_from_stopping(server: Server, number: int) -> None:
    stream = urllib.request.urlopen(f"{server.url}/api/v1/events", timeout=20)
    assert stream.readline() == b"retry: 2000\n"
    ended = threading.Event()
    reader = threading.Thread(target=lambda: (stream.read(), ended.set()))
    reader.start()
    server.stop(number)
    reader.join(20)
    assert ended.is_set()
    assert not any("Cancel" in line for line in server.log)
    assert not any("Traceback" in line for line in server.log)


def test_a_port_that_is_taken_is_an_error_with_help(applied: RegistryFolder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "registry_tool", "--repo", str(applied.path)]
        ran = subprocess.run(
            [*command, "serve", "--port", str(port)], capture_output=True, text=True, check=False
        )
    assert ran.returncode == 3
    assert f"cannot listen on 127.0.0.1 port {port}" in ran.stderr
    assert "--port" in ran.stderr


def test_reachable_from_elsewhere_without_keys_is_a_warning(applied: RegistryFolder) -> None:
    with run_server(applied, "--host", "0.0.0.0") as server:
        wait_for(lambda: any("web.require_api_key" in line for line in server.log))


def test_no_warning_where_keys_are_needed(closed: tuple[RegistryFolder, object]) -> None:
    with run_server(closed[0], "--host", "0.0.0.0") as server:
        wait_for(lambda: any("startup complete" in line for line in server.log))
        assert "warning:" not in "".join(server.log)


def test_behind_a_prefix_links_begin_with_it(applied: RegistryFolder) -> None:
    with run_server(applied, "--root-path", "registry/") as server:
        assert "for a proxy that offers it below /registry/" in "".join(server.log)
        with urllib.request.urlopen(f"{server.url}/") as response:
            page = response.read().decode()
        assert 'href="/registry/models"' in page
        assert 'href="/models"' not in page
        with urllib.request.urlopen(f"{server.url}/api/v1/openapi.json") as response:
            assert json.load(response)["servers"] == [{"url": "/registry"}]
        assert "Warning" not in "".join(server.log)


def test_a_repository_without_commits_waits_for_one(empty_registry: RegistryFolder) -> None:
    with run_server(empty_registry) as server:
        assert fetch(server, "/health")["status"] == "waiting"
        empty_registry.model("bert")
        empty_registry.commit("Begin")
        wait_for(lambda: fetch(server, "/health")["status"] == "ok")
        assert models(server) == ["bert"]


def test_requests_are_logged_unless_that_is_switched_off(applied: RegistryFolder) -> None:
    with run_server(applied) as server:
        fetch(server, "/health")
        wait_for(lambda: any('"GET /health HTTP/1.1" 200' in line for line in server.log))
    with run_server(applied, "--no-access-log") as server:
        fetch(server, "/health")
        server.stop()
        assert not any("GET /health" in line for line in server.log)
