"""The Redis of the Debian package redis-server, for as long as the tests run."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from services.engine import unavailable

_SECONDS = 20


class RedisServer:
    """A process of its own on a port of its own, which keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        # Whatever /etc/redis says is about the system's own server.
        command = ["redis-server", "-", "--port", self.port, "--bind", "127.0.0.1", "--dir", folder]
        command += ["--save", "", "--appendonly", "no", "--daemonize", "no", "--logfile", ""]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def ask(self, *words: str) -> str:
        """The first line of the answer to a command; raises OSError when nobody answers."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(" ".join(words).encode() + b"\r\n")
            with connection.makefile("r", newline="\r\n") as answer:
                return answer.readline().rstrip()

    def wait(self) -> None:
        """Until it answers."""
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.ask("PING") == "+PONG":
                    return
            except OSError:
                time.sleep(0.02)
        pytest.fail(f"redis-server does not start:\n{(self.folder / 'log').read_text()}")

    def stop(self) -> None:
        """End it, if it runs."""
        self.process.terminate()
        self.process.wait(_SECONDS)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def running_redis(folder: Path) -> Iterator[RedisServer]:
    """A server with this folder, gone when the context ends. Skips where there is none to run."""
    if shutil.which("redis-server") is None:
        unavailable("there is no redis-server: apt-get install redis-server")
    server = RedisServer(folder)
    try:
        server.wait()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server for all tests of a process; each takes keys, or a database, of its own."""
    with running_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server
