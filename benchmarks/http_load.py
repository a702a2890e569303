"""Servers under load: wrk for throughput, single requests for latencies, /proc for memory."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import urlsplit

CONNECTIONS = 4
_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
_P99 = re.compile(r"99%\s+([\d.]+)(us|ms|s)")
_ERRORS = re.compile(r"Non-2xx or 3xx responses: (\d+)|Socket errors: (.+)")
_UNIT = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


@dataclass(frozen=True)
class Load:
    """What wrk saw."""

    requests_per_second: float
    p99: float


def wrk(url: str, seconds: int, paths: Sequence[str] = (), headers: Sequence[str] = ()) -> Load:
    """Ask for one URL over and over, or for all of `paths` in turn."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "--timeout", "30s"]
    for header in headers:
        command += ["-H", header]
    with contextlib.ExitStack() as stack:
        if paths:
            command += ["-s", str(stack.enter_context(_script(paths)))]
        text = subprocess.run([*command, url], check=True, capture_output=True, text=True).stdout
    failed = _ERRORS.search(text)
    if failed:
        raise RuntimeError(f"{url}: {failed[0]}")
    rate, slow = _RATE.search(text), _P99.search(text)
    assert rate is not None, text
    assert slow is not None, text
    return Load(float(rate[1]), float(slow[1]) * _UNIT[slow[2]])


@contextlib.contextmanager
def _script(paths: Sequence[str]) -> Iterator[Path]:
    """A program for wrk that walks through `paths`."""
    import tempfile

    quoted = ",\n".join(f'"{path}"' for path in paths)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(
            f"local paths = {{\n{quoted}\n}}\nlocal at = 0\n"
            "request = function()\n  at = at % #paths + 1\n"
            "  return wrk.format('GET', paths[at])\nend\n"
        )
        file.flush()
        yield Path(file.name)


def latencies(url: str, paths: Sequence[str]) -> list[float]:
    """Seconds of one request each, one after the other over one connection."""
    parts = urlsplit(url)
    assert parts.hostname
    connection = HTTPConnection(parts.hostname, parts.port, timeout=120)
    seconds = []
    for path in paths:
        began = time.perf_counter()
        connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
        response = connection.getresponse()
        response.read()
        seconds.append(time.perf_counter() - began)
        assert response.status == 200, (path, response.status)
    connection.close()
    return seconds


def p95(seconds: Sequence[float]) -> float:
    """The value that 95 of 100 stay below."""
    return statistics.quantiles(seconds, n=20)[-1] if len(seconds) > 1 else seconds[0]


def resident(pid: int) -> int:
    """Bytes of memory that a process has, and had at most."""
    text = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", text)
    assert found
    return int(found[1]) * 1024


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def server(
    command: Sequence[str], ready: str, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server process, from the moment that `ready` answers."""
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 300
        while not _answers(ready):
            assert process.poll() is None, f"{command[0]} ended"
            assert time.monotonic() < deadline, f"{command[0]} does not answer"
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    parts = urlsplit(url)
    assert parts.hostname
    connection = HTTPConnection(parts.hostname, parts.port, timeout=30)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == 200
    except (HTTPException, OSError):
        return False
    finally:
        connection.close()


def has_wrk() -> bool:
    """Whether wrk is installed: it is a Debian package."""
    return shutil.which("wrk") is not None
