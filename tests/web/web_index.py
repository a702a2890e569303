"""The web index over a registry repository: inside the test process, and as a server of its own."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from registries import RegistryFolder
from starlette.testclient import TestClient

from registry_tool.cli.app import App
from registry_tool.cli.main import run
from registry_tool.cli.serving import ServeSettings, web_context
from registry_tool.domain.api_key import KeyText
from registry_tool.web.app import create_app
from registry_tool.web.context import WebContext
from registry_tool.web.serving import Serving

API = "/api/v1"
_SERVING = re.compile(r"at (http://\S+?)/(?:[;,]|$)", re.MULTILINE)


class Index:
    """The application and a client of it; looks at Git when `refresh` is called, and not before."""

    def __init__(self, context: WebContext, client: TestClient) -> None:
        self.context = context
        self.client = client

    @property
    def serving(self) -> Serving:
        found: Serving = self.client.app.state.serving  # type: ignore[attr-defined]
        return found

    def refresh(self) -> None:
        self.serving.refresh()

    def get(self, path: str, status: int = 200, **arguments: Any) -> Any:
        """The JSON document below /api/v1."""
        response = self.client.get(f"{API}{path}", **arguments)
        assert response.status_code == status, response.text
        return response.json()

    def items(self, path: str, **parameters: Any) -> list[str]:
        """The ids of a list's items."""
        return [item["id"] for item in self.get(path, params=parameters)["items"]]


@contextlib.contextmanager
def open_index(path: Path, **changes: Any) -> Iterator[Index]:
    """The index of the repository at `path`; `changes` replace parts of its context."""
    app = App(repo_path=str(path), verbosity=0)
    settings = ServeSettings(repo=str(path), watch=False, poll=3600.0)
    context = web_context(app, settings)
    if changes:
        from dataclasses import replace

        context = replace(context, **changes)
    try:
        with TestClient(create_app(context), follow_redirects=False) as client:
            yield Index(context, client)
    finally:
        context.catalogs.close()
        app.close()


class Server:
    """`registry-tool serve` as a process."""

    def __init__(self, process: subprocess.Popen[str], url: str, log: list[str]) -> None:
        self.process = process
        self.url = url
        self.log = log

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(20)


@contextlib.contextmanager
def run_server(folder: RegistryFolder | Path, *arguments: object) -> Iterator[Server]:
    """A server on a free port, ended with the context."""
    path = folder.path if isinstance(folder, RegistryFolder) else folder
    command = [sys.executable, "-m", "registry_tool", "--repo", path, "serve", "--port", 0]
    process = subprocess.Popen(
        [str(part) for part in (*command, *arguments)],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    log: list[str] = []
    reader = threading.Thread(target=_drain, args=(process, log))
    reader.start()
    try:
        url = wait_for(lambda: _SERVING.search("".join(log)), process)
        yield Server(process, url[1], log)
    finally:
        process.kill()
        process.wait()
        reader.join()
        assert process.stderr is not None
        process.stderr.close()


def _drain(process: subprocess.Popen[str], log: list[str]) -> None:
    assert process.stderr is not None
    log.extend(iter(process.stderr.readline, ""))


def wait_for(found: Callable[[], Any], process: subprocess.Popen[str] | None = None) -> Any:
    """What `found` gives once it gives something."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        result = found()
        if result:
            return result
        assert process is None or process.poll() is None, "the server ended"
        time.sleep(0.02)
    raise AssertionError("what was waited for did not happen")


def apply_to(registry: RegistryFolder) -> RegistryFolder:
    """Give the release of `registry` a real lock, build and deploy it."""
    (registry.path / "manifests/releases/minilm/1.0.0/none.lock.yaml").unlink()
    assert run(["--repo", str(registry.path), "-q", "lock", "minilm/1.0.0"]) == 0
    registry.commit("Lock minilm 1.0.0")
    assert run(["--repo", str(registry.path), "-q", "apply"]) == 0
    return registry


def add_key(folder: RegistryFolder, name: str, *fields: str) -> KeyText:
    """Commit a new key, with further lines of its spec."""
    key = KeyText(f"{name}0000"[:8], secrets.token_urlsafe(32))
    lines = [f"owner: {name}", f"key_id: {key.key_id}", f'sha256: "{key.sha256}"', *fields]
    spec = "".join(f"  {line}\n" for line in lines)
    head = "apiVersion: registry-tool/v1\nkind: ApiKey\n"
    folder.write(
        f"manifests/api-keys/{name}.yaml", f"{head}metadata:\n  name: {name}\nspec:\n{spec}"
    )
    folder.commit(f"Add key {name}")
    return key
