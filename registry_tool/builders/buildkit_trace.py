"""What BuildKit tells of a running build: the protobuf message `moby.buildkit.v1.StatusResponse`, decoded.

Only the fields below are read; all others, and those of newer engines, are skipped.

    StatusResponse  1 Vertex*   2 VertexStatus*   3 VertexLog*
    Vertex          1 digest   3 name   4 cached   5 started   6 completed   7 error
    VertexStatus    1 id   2 vertex   3 name   4 current   5 total   7 started   8 completed
    VertexLog       1 vertex   3 stream   4 msg
    Timestamp       1 seconds   2 nanos

The wire format is Protocol Buffers': each field is a varint of (number << 3 | type), then a varint (type 0), eight
bytes (1), a length and that many bytes (2), or four bytes (5).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT = 10
_NANO = 1e-9


class MalformedTrace(ValueError):
    """The bytes are not such a message."""


@dataclass(frozen=True, slots=True)
class Vertex:
    """A step of a build. It is told again whenever something of it changes."""

    digest: str
    name: str = ""
    cached: bool = False
    started: float | None = None
    """Seconds since the epoch, as the engine's clock has it."""
    completed: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Bytes that a step has moved so far, under a name of its own."""

    vertex: str
    id: str
    name: str = ""
    current: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Output:
    """A piece of what a step printed; pieces are not lines."""

    vertex: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Trace:
    """One message: what has changed since the last one."""

    vertexes: tuple[Vertex, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    outputs: tuple[Output, ...] = ()


def parse_trace(data: bytes) -> Trace:
    """Decode one message; raises MalformedTrace."""
    fields = _Fields(data)
    return Trace(
        tuple(_vertex(_Fields(part)) for part in fields.all_bytes(1)),
        tuple(_transfer(_Fields(part)) for part in fields.all_bytes(2)),
        tuple(_output(_Fields(part)) for part in fields.all_bytes(3)),
    )


def _vertex(fields: _Fields) -> Vertex:
    return Vertex(
        digest=fields.text(1),
        name=fields.text(3),
        cached=bool(fields.number(4)),
        started=fields.time(5),
        completed=fields.time(6),
        error=fields.text(7),
    )


def _transfer(fields: _Fields) -> Transfer:
    return Transfer(
        vertex=fields.text(2),
        id=fields.text(1),
        name=fields.text(3),
        current=fields.number(4),
        total=fields.number(5),
    )


def _output(fields: _Fields) -> Output:
    return Output(vertex=fields.text(1), data=fields.bytes(4))


class _Fields:
    """The fields of one message by number, in the order of the wire; of several, the last counts."""

    def __init__(self, data: bytes) -> None:
        self._found = list(_wire(data))

    def all_bytes(self, number: int) -> list[bytes]:
        return [value for key, value in self._found if key == number and isinstance(value, bytes)]

    def bytes(self, number: int) -> bytes:
        return (self.all_bytes(number) or [b""])[-1]

    def text(self, number: int) -> str:
        return self.bytes(number).decode(errors="replace")

    def number(self, number: int) -> int:
        found = [value for key, value in self._found if key == number and isinstance(value, int)]
        return (found or [0])[-1]

    def time(self, number: int) -> float | None:
        found = self.all_bytes(number)
        if not found:
            return None
        timestamp = _Fields(found[-1])
        return timestamp.number(1) + timestamp.number(2) * _NANO


def _wire(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in {_FIXED64, _FIXED32}:
            size = 8 if kind == _FIXED64 else 4
        else:
            raise MalformedTrace(f"wire type {kind} at byte {at}")
        if at + size > len(data):
            raise MalformedTrace(f"field {number} ends after the message")
        yield number, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(_MAX_VARINT):
        if at + index >= len(data):
            break
        byte = data[at + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, at + index + 1
    raise MalformedTrace(f"no number at byte {at}")
