"""Something between a client and a container engine, so that the engine can go away in the middle of things."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_PIECE = 1 << 16


class EngineRelay:
    """Listens on a socket of its own, and passes everything on to the engine.

    With `ends_at` (part of a request's first line, bytes of its answer) it goes away once so much was answered to such
    a request. With 0 bytes the engine does not even get the request.
    """

    def __init__(self, engine: str, path: Path) -> None:
        self.path = path
        self.ends_at: tuple[str, int] | None = None
        self._engine = engine.removeprefix("unix://")
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        """As DOCKER_HOST has it."""
        return f"unix://{self.path}"

    def start(self) -> None:
        """Pass on, without any fault."""
        self.ends_at = None
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path))
        listener.listen(64)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def stop(self) -> None:
        """As an engine that is killed: nobody listens, and what was open breaks off."""
        with self._lock:
            listener, self._listener = self._listener, None
            connections, self._open = self._open, set()
        if listener is not None:
            self.path.unlink(missing_ok=True)
            for each in (listener, *connections):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, suppress(OSError):
            server.connect(self._engine)
            with self._lock:
                if self._listener is None:
                    return
                self._open |= {client, server}
            left = [-1]
            thread = threading.Thread(target=self._ask, args=(client, server, left), daemon=True)
            thread.start()
            try:
                self._answer(server, client, left)
            finally:
                with suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
                thread.join()
                with self._lock:
                    self._open -= {client, server}

    def _ask(self, client: socket.socket, server: socket.socket, left: list[int]) -> None:
        with suppress(OSError):
            while piece := client.recv(_PIECE):
                if self.ends_at and self.ends_at[0].encode() in piece.partition(b"\r\n")[0]:
                    left[0] = self.ends_at[1]
                    if not left[0]:
                        self.stop()
                        return
                server.sendall(piece)
            server.shutdown(socket.SHUT_WR)

    def _answer(self, server: socket.socket, client: socket.socket, left: list[int]) -> None:
        while piece := server.recv(_PIECE):
            if left[0] < 0:
                client.sendall(piece)
                continue
            client.sendall(piece[: left[0]])
            left[0] = max(0, left[0] - len(piece))
            if not left[0]:
                self.stop()
                return


@contextmanager
def relayed(engine: str, path: Path) -> Iterator[EngineRelay]:
    """A relay to an engine on this machine."""
    if not engine.startswith("unix://"):
        pytest.skip("the engine of the tests has no socket on this machine")
    relay = EngineRelay(engine, path)
    relay.start()
    try:
        yield relay
    finally:
        relay.stop()


@pytest.fixture
def engine_relay(
    docker_host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[EngineRelay]:
    """The engine that DOCKER_HOST names, with a relay before it."""
    with relayed(docker_host, tmp_path / "engine.sock") as relay:
        monkeypatch.setenv("DOCKER_HOST", relay.address)
        yield relay
