"""A registry folder that is deployed to a real engine, and looked at there."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import yaml
from applied_folder import Applied

SERVER = """\
import http.server, os, signal, sys, threading, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"
    def do_GET(self):
        answer = {
            "/": b"{{ version }}",
            "/env": os.environ.get("GREETING", "").encode(),
            "/health": b"ok",
        }.get(self.path)
        if self.path.startswith("/file"):
            with open(self.path.removeprefix("/file"), "rb") as file:
                answer = file.read()
        broken = os.environ.get("BROKEN") == "yes"
        self.send_response(500 if broken and self.path == "/health" else 200 if answer is not None else 404)
        self.end_headers()
        self.wfile.write(answer or b"")
    def log_message(self, *arguments):
        pass

if os.environ.get("CRASH") == "yes":
    secret = "/run/secrets/token"
    print("cannot load the model", open(secret).read() if os.path.exists(secret) else "", flush=True)
    sys.exit(3)
server = http.server.ThreadingHTTPServer(("", 8000), Handler)
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
print("serving {{ version }}", flush=True)
server.serve_forever()
"""
TEMPLATE = """\
apiVersion: registry-tool/v1
kind: BuildTemplate
metadata:
  name: server
spec:
  {probe}image:
    base: bases/python@{digest}
    copy:
      - from: server.py.j2
        to: /srv/
    entrypoint: [python3, /srv/server.py]
"""
PROBE = """\
probe: [python3, -c, "import urllib.request as r; r.urlopen('http://127.0.0.1:{{ port }}{{ path }}')"]
  """


PATIENT = {
    "http": "/health",
    "interval": "1s",
    "timeout": "10s",
    "retries": 10,
    "start_period": "2m",
}
"""For what is going to serve, on a machine that may have much else to do."""
HASTY = {**PATIENT, "timeout": "2s", "retries": 2, "start_period": "1s"}
"""For what never will."""


class Served(Applied):
    """The folder, its environment on the engine, and the engine's own view."""

    def __init__(self, path: Path, storage: Path, client: Any, environment: str) -> None:
        super().__init__(path, storage)
        self.client = client
        self.environment = environment

    def prepare(self, base: str, *, probe: bool = True) -> None:
        template = TEMPLATE.format(digest=base, probe=PROBE if probe else "")
        self.write("build_templates/server/template.yaml", template)
        self.write("build_templates/server/server.py.j2", SERVER)
        self.model("echo")
        for version in ("1.0.0", "1.0.1"):
            self.release("echo", version, lock=False)
            self.replace(
                f"manifests/releases/echo/{version}/none.yaml", "name: weights", "name: server"
            )
        self.commit("Add the model")
        for version in ("1.0.0", "1.0.1"):
            self.lock(f"echo/{version}")
        self.commit("Lock")

    def target(self, type_: str, **target: str) -> None:
        """Declare the environment."""
        document = {
            "apiVersion": "registry-tool/v1",
            "kind": "Environment",
            "metadata": {"name": self.environment},
            "spec": {"target": {"type": type_, **target}, "allow_empty": True},
        }
        self._write_document(f"manifests/environments/{self.environment}.yaml", document)

    def deploy(self, version: str = "1.0.0", name: str = "web", **spec: Any) -> None:
        """Declare a deployment and commit it."""
        document = {
            "apiVersion": "registry-tool/v1",
            "kind": "Deployment",
            "metadata": {"name": name},
            "spec": {
                "environment": self.environment,
                "model": "echo",
                "version": version,
                "ports": [{"container": 8000}],
                "healthcheck": PATIENT,
                **spec,
            },
        }
        self._write_document(f"manifests/deployments/{self.environment}/{name}.yaml", document)
        self.commit(f"Deploy {version}")

    def undeploy(self, name: str = "web") -> None:
        (self.path / f"manifests/deployments/{self.environment}/{name}.yaml").unlink()
        self.commit("Remove")

    def _write_document(self, path: str, document: Any) -> None:
        self.write(path, json.dumps(document, indent=1))

    # --- what is recorded ------------------------------------------------------------------------

    def deployments(self, name: str = "web") -> list[dict[str, Any]]:
        """The deployment's records, oldest first."""
        paths = self.record_files(f"deployments/{self.environment}/{name}/")
        return [yaml.safe_load(self.record(path))["spec"] for path in sorted(paths)]

    # --- what is on the engine -------------------------------------------------------------------

    def containers(self) -> dict[str, Any]:
        """The environment's containers by name, stopped ones too."""
        label = f"io.registry-tool.environment={self.environment}"
        found = self.client.containers.list(all=True, filters={"label": label})
        return {container.name: container for container in found}

    def container(self, number: int = 1, name: str = "web") -> Any:
        return self.containers()[f"{self.environment}-{name}-{number}"]

    def address(self, container: Any) -> str:
        container.reload()
        (network,) = container.attrs["NetworkSettings"]["Networks"].values()
        return f"http://{network['IPAddress']}:8000"

    def get(self, path: str = "/", number: int = 1) -> str:
        return fetch(self.address(self.container(number)) + path)

    def get_once_up(self, number: int) -> str:
        """What a replica answers that was just started again."""
        return fetch_once_up(self.address(self.container(number)) + "/")

    def clean(self) -> None:
        """Remove everything of the environment from the engine."""
        label = {"label": f"io.registry-tool.environment={self.environment}"}
        for service in self.client.services.list(filters=label) if self.in_swarm else ():
            service.remove()
        for container in self.client.containers.list(all=True, filters=label):
            container.remove(force=True, v=True)
        if self.in_swarm:
            for secret in self.client.secrets.list(filters=label):
                secret.remove()
        deadline = time.monotonic() + 90
        while networks := self.client.networks.list(filters=label):
            for network in networks:
                try:
                    network.remove()
                except docker.errors.APIError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.3)

    @property
    def in_swarm(self) -> bool:
        return bool(self.client.info()["Swarm"].get("ControlAvailable"))


def fetch_once_up(url: str, seconds: float = 60) -> str:
    """The answer of a server that was just started again and may not listen yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return fetch(url)
        except (OSError, urllib.error.URLError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def fetch(url: str, timeout: float = 60) -> str:
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return str(answer.read().decode())


class Load:
    """Requests one after the other, while something else happens."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.failures: list[str] = []


@contextmanager
def load(url: str) -> Iterator[Load]:
    """Ask a server for as long as the context lasts."""
    seen, stop = Load(), threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                seen.answers.append(fetch(url))
            except (OSError, urllib.error.URLError) as problem:
                seen.failures.append(str(problem))
            stop.wait(0.01)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()
