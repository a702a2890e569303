"""Servers under load: wrk for throughput, single requests for latencies, /proc for memory."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

CONNECTIONS = 4
_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_COUNT = re.compile(r"(\d+) requests in ")
_ERRORS = re.compile(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.+)")
_PATIENCE = 900
_FEWEST = 10
"""Requests that are made however long they take."""


@dataclass(frozen=True)
class Load:
    """What wrk saw, and what it took."""

    requests: int
    requests_per_second: float
    processor: float
    """Seconds that the processors spent on the worker, which others on the machine change little."""

    @property
    def per_processor_second(self) -> float:
        """Requests."""
        return self.requests / max(self.processor, 0.01)


@dataclass(frozen=True)
class Latencies:
    """Seconds of requests one after the other."""

    seconds: tuple[float, ...]
    processor: float
    """Seconds that the processors spent on the worker for all of them."""

    @property
    def median(self) -> float:
        """The middle."""
        return statistics.median(self.seconds)

    @property
    def p95(self) -> float:
        """The value that 95 of 100 stay below."""
        return (
            statistics.quantiles(self.seconds, n=20)[-1] if len(self.seconds) > 1 else self.median
        )

    @property
    def processor_each(self) -> float:
        """Seconds of the processors for one request."""
        return self.processor / len(self.seconds)


@dataclass(frozen=True)
class Server:
    """A server process and where it answers."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def url(self) -> str:
        """Without a path."""
        return f"http://127.0.0.1:{self.port}"

    def worker(self) -> int:
        """The process that answers: the largest of the tree."""
        return max(_tree(self.process.pid), key=resident)


def wrk(server: Server, paths: Sequence[str], seconds: int) -> Load:
    """Ask for one path over and over, or for several in turn. Raises RuntimeError when any fails."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "60s"]
    with contextlib.ExitStack() as stack:
        if len(paths) > 1:
            command += ["-s", str(stack.enter_context(_script(paths)))]
        url = server.url + (paths[0] if len(paths) == 1 else "")
        worker = server.worker()
        before = processor(worker)
        text = subprocess.run([*command, url], check=True, capture_output=True, text=True).stdout
    failed = _ERRORS.search(text)
    if failed:
        raise RuntimeError(f"{url}: {failed[0]}")
    rate, count = _RATE.search(text), _COUNT.search(text)
    assert rate is not None, text
    assert count is not None, text
    return Load(int(count[1]), float(rate[1]), processor(worker) - before)


@contextlib.contextmanager
def _script(paths: Sequence[str]) -> Iterator[Path]:
    """A program for wrk that walks through `paths`."""
    quoted = ",\n".join(f'"{path}"' for path in paths)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(
            f"local paths = {{\n{quoted}\n}}\nlocal at = 0\n"
            "request = function()\n  at = at % #paths + 1\n"
            "  return wrk.format('GET', paths[at])\nend\n"
        )
        file.flush()
        yield Path(file.name)


def latencies(server: Server, paths: Sequence[str], budget: float = 1e9) -> Latencies:
    """Ask for each path once, one after the other over one connection.

    No more are begun when `budget` seconds are over.
    """
    connection = HTTPConnection("127.0.0.1", server.port, timeout=300)
    seconds: list[float] = []
    worker = server.worker()
    before = processor(worker)
    for path in paths:
        if sum(seconds) > budget and len(seconds) >= _FEWEST:
            break
        began = time.perf_counter()
        connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        response = connection.getresponse()
        response.read()
        seconds.append(time.perf_counter() - began)
        assert response.status == 200, (path, response.status)
    connection.close()
    return Latencies(tuple(seconds), processor(worker) - before)


def get(server: Server, path: str) -> bytes:
    """The body of one answer."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=300)
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    assert response.status == 200, (path, response.status, body[:500])
    return body


def resident(pid: int) -> int:
    """Bytes of memory that a process has now."""
    return _memory(pid, "VmRSS")


def most_resident(pid: int) -> int:
    """Bytes of memory that a process had at most."""
    return _memory(pid, "VmHWM")


def _memory(pid: int, name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0


def processor(pid: int) -> float:
    """Seconds that the processors spent on a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rest(server: Server, patience: float = 60.0) -> None:
    """Wait until a server that was just started does nothing any more: some have more to do after they answer."""
    deadline = time.monotonic() + patience
    before, idle = -1.0, 0
    while idle < 2 and time.monotonic() < deadline:
        time.sleep(0.5)
        now = sum(processor(pid) for pid in _tree(server.process.pid))
        idle = idle + 1 if now - before < 0.02 else 0
        before = now


def _tree(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += _tree(int(child))
    return found


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def server(
    command: Sequence[str], port: int, ready: str, environment: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """A server process, from the moment that the path `ready` is answered."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        started = Server(process, port)
        try:
            deadline = time.monotonic() + _PATIENCE
            while not _answers(started, ready):
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    sys.stderr.write(log.read()[-2000:].decode("utf-8", "replace"))
                    raise RuntimeError(f"{command[0]} does not answer")
                time.sleep(0.05)
            yield started
        finally:
            process.terminate()
            process.wait(30)


def _answers(server: Server, path: str) -> bool:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (HTTPException, OSError):
        return False
    finally:
        connection.close()


def has_wrk() -> bool:
    """Whether wrk is installed: it is a Debian package."""
    return shutil.which("wrk") is not None
