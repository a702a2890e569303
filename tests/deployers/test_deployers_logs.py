"""Logs of a Swarm's tasks, also where a manager waits for a machine that says nothing more."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from registry_tool.deployers.engine_hosts import Address
from registry_tool.deployers.swarm_engine import SwarmEngine

LINES = [
    (1, b"com.docker.swarm.task.id=one one begins\n"),
    (2, b"com.docker.swarm.task.id=two two begins\n"),
    (1, b"com.docker.swarm.task.id=one one: caf\xc3\xa9\n"),
]


class Manager(BaseHTTPRequestHandler):
    """Answers with lines, and then neither goes on nor ends."""

    protocol_version = "HTTP/1.1"
    over: threading.Event
    ends: bool

    def do_GET(self) -> None:
        if not self.path.endswith("/version"):
            self._send_lines()
            return
        body = json.dumps({"ApiVersion": "1.41"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_lines(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for stream, line in LINES:
            frame = bytes((stream, 0, 0, 0)) + len(line).to_bytes(4, "big") + line
            self.wfile.write(f"{len(frame):x}\r\n".encode() + frame + b"\r\n")
        self.wfile.flush()
        if self.ends:
            self.wfile.write(b"0\r\n\r\n")
        else:
            self.over.wait(60)
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""


@pytest.fixture(params=["ends", "goes silent"])
def manager(request: pytest.FixtureRequest) -> Iterator[Address]:
    over = threading.Event()
    handler = type("Handler", (Manager,), {"over": over, "ends": request.param == "ends"})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield Address(f"tcp://127.0.0.1:{server.server_port}")
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_log_is_read_as_far_as_it_comes(
    manager: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry_tool.deployers.swarm_engine._LOG_SECONDS", 0.3)
    with SwarmEngine(manager) as engine:
        assert engine.task_logs("web", "one", 10) == "one begins\none: café"
        assert engine.task_logs("web", "three", 10) == ""
