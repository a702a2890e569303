"""A proxy in front of a real server: it keeps what was asked for, and breaks what a test wants broken.

One request a connection, which is what moto's server does anyway.
"""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_PIECE = 1 << 16


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    method: str
    target: str
    headers: dict[str, str]


@dataclass
class Fault:
    """Happens to the next `times` requests of a method whose target has `target` in it.

    With `status` that is the answer, with the S3 error `code`; without, the server's own answer is
    cut off after so many bytes of it.
    """

    method: str
    target: str = ""
    times: int = 1
    status: int | None = None
    code: str = ""
    cut_after: int = 0
    to_server: bool = False
    """Whether the server gets the request before the answer is lost."""


@dataclass
class Proxy:
    """Listens on a port of its own for as long as it is `running`."""

    upstream: tuple[str, int]
    requests: list[Request] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    bytes_down: int = 0
    """Bytes of all answers."""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def count(self, method: str) -> int:
        """How many requests of a method arrived."""
        return sum(request.method == method for request in self.requests)

    def start(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def stop(self) -> None:
        """Refuse connections, as a server does that is down."""
        if self._listener is not None:
            # Closing alone does not wake the thread that waits in accept.
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    @contextmanager
    def running(self) -> Iterator[Proxy]:
        self.start()
        try:
            yield self
        finally:
            self.stop()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                piece = client.recv(_PIECE)
                if not piece:
                    return
                head += piece
            request = _parsed(head)
            with self._lock:
                self.requests.append(request)
                fault = self._fault(request)
            if fault is not None and fault.status is not None and not fault.to_server:
                client.sendall(_answer(fault))
                _drain(client)
                return
            with socket.create_connection(self.upstream) as server:
                server.sendall(head)
                threading.Thread(target=_pump, args=(client, server), daemon=True).start()
                self._answer(client, server, fault)

    def _fault(self, request: Request) -> Fault | None:
        for fault in self.faults:
            if fault.method == request.method and fault.target in request.target and fault.times:
                fault.times -= 1
                return fault
        return None

    def _answer(self, client: socket.socket, server: socket.socket, fault: Fault | None) -> None:
        left = None if fault is None else fault.cut_after
        while piece := server.recv(_PIECE):
            if left is not None:
                piece = piece[:left]
                left -= len(piece)
            with self._lock:
                self.bytes_down += len(piece)
            client.sendall(piece)
            if left == 0:
                # A reset, not an orderly end. The other thread has to let go of the socket first.
                client.shutdown(socket.SHUT_RD)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return


def _parsed(head: bytes) -> Request:
    first, *lines = head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (re.split(r":\s*", line, maxsplit=1) for line in lines)
    return Request(method, target, {name.lower(): value for name, value in pairs})


def _answer(fault: Fault) -> bytes:
    body = f"<Error><Code>{fault.code}</Code><Message>as the test wants it</Message></Error>"
    if fault.method == "HEAD":
        body = ""
    head = (
        f"HTTP/1.1 {fault.status} Fault\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    )
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def _drain(client: socket.socket) -> None:
    client.shutdown(socket.SHUT_WR)
    while client.recv(_PIECE):
        pass


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(_PIECE):
            target.sendall(piece)
