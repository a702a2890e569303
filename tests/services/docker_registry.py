"""The registry of the Debian package docker-registry, for as long as a test needs it."""

from __future__ import annotations

import http.client
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from services.engine import unavailable

USER, PASSWORD = "ada", "difference-engine"
_HTPASSWD = "ada:$2b$04$VMhjNUh0OIBTkJ3ipSXnDeMo4VtXAYCWFxYjLhCkpcssE9H5CwGfS\n"
_SECONDS = 20
_CONFIG = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: false}}}}
storage:
  filesystem: {{rootdirectory: {folder}/data}}
  delete: {{enabled: true}}
http: {{addr: "127.0.0.1:{port}", secret: of-this-test}}
"""
_AUTH = """\
auth:
  htpasswd: {{realm: test, path: {folder}/htpasswd}}
"""
_ACCESS = re.compile(r'"(?P<method>[A-Z]+) (?P<path>/v2/\S*) HTTP/1\.1" (?P<status>\d{3})')


class DockerRegistry:
    """A process, its files, and what its access log says."""

    def __init__(self, folder: Path, *, auth: bool = False) -> None:
        self.folder = folder
        self._auth = auth
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it; again on the same port and over the same files as before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "htpasswd").write_text(_HTPASSWD)
        # A port that is free now may be somebody else's a moment later.
        for _ in range(1 if self.port else 3):
            self.port = self.port or _free_port()
            if self._started():
                return
            self.stop()
            taken, self.port = self.port, 0
        pytest.fail(f"docker-registry does not start on port {taken}:\n{self.log[-2000:]}")

    def _started(self) -> bool:
        text = _CONFIG + (_AUTH if self._auth else "")
        config = self.folder / "config.yml"
        config.write_text(text.format(folder=self.folder, port=self.port))
        with (self.folder / "log").open("ab") as log:
            command = ["docker-registry", "serve", str(config)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._answers():
                return True
            time.sleep(0.05)
        return False

    def stop(self) -> None:
        """Stop it at once, connections and all."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def requests(self, method: str, part: str, status: int | None = None) -> list[str]:
        """Paths of requests, with their queries, as the access log has them."""
        return [
            match["path"]
            for match in _ACCESS.finditer(self.log)
            if match["method"] == method
            and part in match["path"]
            and status in {None, int(match["status"])}
        ]

    def uploads(self) -> list[str]:
        """Digests of the blobs that were uploaded, in order."""
        paths = self.requests("PUT", "/blobs/uploads/", 201)
        return [re.sub(r".*digest=(sha256)(?::|%3A)", r"\1:", path).split("&")[0] for path in paths]

    def _answers(self) -> bool:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", "/v2/")
            status = connection.getresponse().status
            connection.close()
        except OSError:
            return False
        return status in {200, 401}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def require_docker_registry() -> None:
    """Skip where there is none, or fail in CI."""
    if shutil.which("docker-registry") is None:
        unavailable("there is no docker-registry: apt-get install docker-registry")


def _running(folder: Path, *, auth: bool) -> Iterator[DockerRegistry]:
    require_docker_registry()
    registry = DockerRegistry(folder, auth=auth)
    registry.start()
    try:
        yield registry
    finally:
        registry.stop()


@pytest.fixture
def docker_registry(tmp_path: Path) -> Iterator[DockerRegistry]:
    """An empty registry."""
    yield from _running(tmp_path / "docker-registry", auth=False)


@pytest.fixture
def private_registry(tmp_path: Path) -> Iterator[DockerRegistry]:
    """An empty registry that wants the login of USER and PASSWORD."""
    yield from _running(tmp_path / "private-registry", auth=True)
