"""The parts of the docker builder that need no engine: what it sends, what it reads, and what it says of failures."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from docker_orders import FILES, DockerWorkshop, Told
from hypothesis import given
from hypothesis import strategies as st
from native_orders import Entry, layer

from registry_tool.builders.build_context import BuildContext
from registry_tool.builders.build_log import EngineLog
from registry_tool.builders.buildkit_trace import (
    MalformedTrace,
    Output,
    Trace,
    Transfer,
    Vertex,
    parse_trace,
)
from registry_tool.builders.dockerfiles import pinned_images
from registry_tool.builders.engine import Engine
from registry_tool.builders.engine_build import BuildRequest, EngineBuild
from registry_tool.builders.runtime_image import history_of, settings_of
from registry_tool.builders.saved_image import read_layers
from registry_tool.builders.supervising import supervised
from registry_tool.domain.digests import digest_of
from registry_tool.domain.progress import Silent
from registry_tool.errors import BuildFailed, ContentMismatch, EngineProblem, LeaseLost
from registry_tool.oci.descriptors import Descriptor

# --- BuildKit's progress --------------------------------------------------------------------------


def varint(value: int) -> bytes:
    data = b""
    while value > 0x7F:
        data, value = data + bytes([value & 0x7F | 0x80]), value >> 7
    return data + bytes([value])


def message(*fields: tuple[int, int | bytes | str]) -> bytes:
    """Protocol Buffers, written."""
    data = b""
    for number, value in fields:
        if isinstance(value, int):
            data += varint(number << 3) + varint(value)
        else:
            content = value.encode() if isinstance(value, str) else value
            data += varint(number << 3 | 2) + varint(len(content)) + content
    return data


def vertex(digest: str, name: str, *more: tuple[int, int | bytes | str]) -> tuple[int, bytes]:
    return 1, message((1, digest), (2, "an input"), (3, name), *more)


def output(digest: str, data: bytes) -> tuple[int, bytes]:
    return 3, message((1, digest), (3, 1), (4, data))


def at(seconds: int, nanos: int = 0) -> bytes:
    return message((1, seconds), (2, nanos))


def test_a_trace_is_decoded() -> None:
    data = message(
        vertex("v1", "[1/2] FROM base", (4, 1), (5, at(10, 500_000_000)), (6, at(12))),
        vertex("v2", "[2/2] RUN false", (7, "exit code: 1")),
        (2, message((1, "pulling"), (2, "v1"), (3, "layer"), (4, 300), (5, 1 << 40))),
        output("v2", b"caf\xc3"),
        (4, message((1, "a warning, which is skipped"))),
    )
    assert parse_trace(data) == Trace(
        (
            Vertex("v1", "[1/2] FROM base", cached=True, started=10.5, completed=12.0),
            Vertex("v2", "[2/2] RUN false", error="exit code: 1"),
        ),
        (Transfer("v1", "pulling", "layer", 300, 1 << 40),),
        (Output("v2", b"caf\xc3"),),
    )


def test_fields_of_other_types_are_skipped() -> None:
    fixed = varint(9 << 3 | 1) + bytes(8) + varint(10 << 3 | 5) + bytes(4)
    data = message((1, fixed + message((1, "v"), (77, 5))))
    assert parse_trace(data).vertexes == (Vertex("v"),)


@pytest.mark.parametrize(
    "data", [b"\x0a", b"\x0a\x05abc", b"\x0b", b"\x80" * 11, b"\x08", b"\x09\0\0"]
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedTrace):
        parse_trace(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    with suppress(MalformedTrace):
        parse_trace(data)


# --- The log --------------------------------------------------------------------------------------


@pytest.fixture
def parts(tmp_path: Path) -> DockerWorkshop:
    made = DockerWorkshop(tmp_path, FILES)
    made.fill()
    return made


def test_the_failed_step_is_last_in_the_log(parts: DockerWorkshop) -> None:
    told = Told()
    log = EngineLog(parts.dockerfile("FROM scratch\n"), told)
    log.take(parse_trace(message(vertex("i", "[internal] load build definition", (5, at(1))))))
    log.take(parse_trace(message(vertex("a", "[1/3] FROM base", (4, 1), (5, at(1)), (6, at(1))))))
    log.take(parse_trace(message(vertex("b", "[2/3] RUN make", (5, at(2))), output("b", b"compi"))))
    log.take(parse_trace(message(vertex("c", "[other 1/1] RUN sleep", (5, at(2))))))
    log.take(parse_trace(message(output("b", b"ling\r\nno such file\n"))))
    failed = vertex("b", "[2/3] RUN make", (5, at(2)), (6, at(5)), (7, "exit code: 2"))
    cancelled = vertex(
        "c", "[other 1/1] RUN sleep", (5, at(2)), (6, at(5)), (7, "context canceled")
    )
    log.take(parse_trace(message(failed, cancelled)))
    log.take(parse_trace(message(vertex("d", "[3/3] RUN never"))))

    assert log.failed_step == "[2/3] RUN make"
    assert str(log).splitlines()[2:] == [
        "[1/3] FROM base",
        "cached",
        "[other 1/1] RUN sleep",
        "cancelled",
        "[2/3] RUN make",
        "compiling",
        "no such file",
        "exit code: 2",
    ]
    assert told.messages == [
        "minilm/1.0.0/none: [1/3] FROM base: cached",
        "minilm/1.0.0/none: [2/3] RUN make",
        "minilm/1.0.0/none: [other 1/1] RUN sleep",
        "minilm/1.0.0/none: [2/3] RUN make: exit code: 2",
        "minilm/1.0.0/none: [other 1/1] RUN sleep: cancelled",
    ]


# --- The context ----------------------------------------------------------------------------------


def context_of(workshop: DockerWorkshop, *files: tuple[str, bytes, int]) -> bytes:
    order = workshop.dockerfile("FROM scratch\n", files=files)
    chunks = BuildContext(order, "FROM scratch\n").chunks(workshop.storage, Silent(), lambda: None)
    return b"".join(bytes(chunk) for chunk in chunks)


def test_a_context_has_files_by_role_and_never_weights(parts: DockerWorkshop) -> None:
    data = context_of(parts, ("bin/start", b"#!/bin/sh\n", 0o755))

    # BuildKit looks at the first two blocks only, and must not find a pax header there.
    assert data[156:157] == tarfile.DIRTYPE
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = {member.name: member for member in archive}
        assert sorted(name for name, member in members.items() if member.isfile()) == [
            "Dockerfile",
            "bin/start",
            "code/serve.py",
            "config/config.json",
            "requirements/requirements.txt",
            "third_party/lib/notice.txt",
            "wheels/tool-1.0-py3-none-any.whl",
        ]
        found = archive.extractfile("config/config.json")
        assert found is not None
        assert found.read() == FILES["config.json"]
    assert members["bin/start"].mode == 0o755
    assert members["bin"].isdir()
    assert {member.mtime for member in members.values()} == {0}
    assert context_of(parts, ("bin/start", b"#!/bin/sh\n", 0o755)) == data


def test_the_directories_are_there_without_files(tmp_path: Path) -> None:
    workshop = DockerWorkshop(tmp_path, {"model.safetensors": b"w"})
    workshop.fill()
    with tarfile.open(fileobj=io.BytesIO(context_of(workshop))) as archive:
        assert archive.getnames() == [
            "code",
            "config",
            "requirements",
            "third_party",
            "wheels",
            "Dockerfile",
        ]


@pytest.mark.parametrize(
    ("stored", "file", "words"),
    [
        ("serve.py", "code/serve.py", "code/serve.py twice"),
        ("serve.py", "code", "code twice: code of the template and the locked file serve.py"),
        ("wheels/a-1-py3-none-any.whl", "wheels/a-1-py3-none-any.whl/x", "a.* twice"),
        ("model.bin", "Dockerfile", "Dockerfile twice: the Dockerfile and Dockerfile of"),
    ],
)
def test_two_files_at_one_place_are_refused(
    tmp_path: Path, stored: str, file: str, words: str
) -> None:
    workshop = DockerWorkshop(tmp_path, {stored: b"1"})
    workshop.fill()
    with pytest.raises(BuildFailed, match=words):
        context_of(workshop, (file, b"2", 0o644))


def test_wheels_of_one_name_are_refused(tmp_path: Path) -> None:
    files = {"a/t-1-py3-none-any.whl": b"1", "b/t-1-py3-none-any.whl": b"2"}
    workshop = DockerWorkshop(tmp_path, files)
    workshop.fill()
    with pytest.raises(BuildFailed, match=r"locked file a/t-1.* and the locked file b/t-1"):
        context_of(workshop)


def test_a_stored_file_that_differs_ends_the_context(parts: DockerWorkshop) -> None:
    order = parts.dockerfile("FROM scratch\n")
    (parts.location / "code/serve.py").write_bytes(b"print('HELLO')\n")
    chunks = BuildContext(order, "").chunks(parts.storage, Silent(), lambda: None)
    with pytest.raises(ContentMismatch, match=r"code/serve\.py"):
        list(chunks)


def test_images_that_a_dockerfile_takes_from() -> None:
    digest = "@sha256:" + "a" * 64
    text = (
        f"FROM --platform=linux/amd64 one{digest} AS build\nRUN true\n"
        f"FROM scratch\nCOPY --from=build /a /a\nCOPY --from=two{digest} /b \\\n  /b\n"
        f"RUN --mount=type=bind,from=three{digest},target=/x cat /x\nFROM one{digest}\n"
    )
    assert pinned_images(text) == [f"{name}{digest}" for name in ("one", "two", "three")]


# --- The archive of an image ----------------------------------------------------------------------

LAYERS = [layer({f"file{number}": Entry(content=b"x" * 5000)}) for number in range(3)]
DIFF_IDS = [digest_of(data) for data in LAYERS]


class Kept:
    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    def __call__(self, descriptor: Descriptor, pieces: Iterable[bytes]) -> None:
        self.blobs[descriptor.digest] = b"".join(pieces)
        if iter(pieces) is not pieces:
            assert b"".join(pieces) == self.blobs[descriptor.digest], "not the same again"
        assert len(self.blobs[descriptor.digest]) == descriptor.size


def legacy() -> bytes:
    entries: dict[str, Entry] = {"aa.json": Entry(content=b"{}")}
    for number, data in enumerate(LAYERS):
        entries[f"{number}/VERSION"] = Entry(content=b"1.0")
        entries[f"{number}/layer.tar"] = Entry(content=data)
    # The same layer twice in an image is a link.
    entries["9/layer.tar"] = Entry("link", target="../0/layer.tar")
    return layer(entries)


def layout(*, compressed: bool) -> bytes:
    blobs = [gzip.compress(data) if compressed else data for data in [*LAYERS, b"{}"]]
    return layer(
        {f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}": Entry(content=blob) for blob in blobs}
    )


@pytest.mark.parametrize("archive", [legacy(), layout(compressed=False)], ids=["old", "new"])
def test_wanted_layers_are_found_in_an_archive(archive: bytes) -> None:
    kept = Kept()
    found = read_layers(io.BytesIO(archive), frozenset(DIFF_IDS[:2]), kept)
    assert kept.blobs == dict(zip(DIFF_IDS[:2], LAYERS[:2], strict=True))
    assert {diff_id: layer.digest for diff_id, layer in found.items()} == {
        diff_id: diff_id for diff_id in DIFF_IDS[:2]
    }


def test_compressed_layers_stay_compressed() -> None:
    kept = Kept()
    found = read_layers(io.BytesIO(layout(compressed=True)), frozenset(DIFF_IDS[1:2]), kept)
    (descriptor,) = found.values()
    assert found.keys() == {DIFF_IDS[1]}
    assert descriptor.media_type.endswith("+gzip")
    assert gzip.decompress(kept.blobs[descriptor.digest]) == LAYERS[1]


def test_the_rest_of_an_archive_is_not_read() -> None:
    class Endless(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            assert data, "read on to the end"
            return data

    archive = layer(
        {"1/layer.tar": Entry(content=LAYERS[0]), "2/rest": Entry(content=bytes(4 << 20))}
    )
    read_layers(Endless(archive), frozenset(DIFF_IDS[:1]), Kept())


@pytest.mark.parametrize("archive", [legacy(), layer({})], ids=["old", "empty"])
def test_a_missing_layer_is_named(archive: bytes) -> None:
    missing = "sha256:" + "0" * 64
    with pytest.raises(EngineProblem, match=missing):
        read_layers(io.BytesIO(archive), frozenset([missing]), Kept())


def test_a_damaged_layer_is_a_problem_of_the_engine() -> None:
    blob = gzip.compress(LAYERS[0])[:-9]
    archive = layer({"blobs/sha256/" + "1" * 64: Entry(content=blob)})
    with pytest.raises(EngineProblem, match="damaged"):
        read_layers(io.BytesIO(archive), frozenset(DIFF_IDS), Kept())


def test_settings_are_those_of_the_image_alone() -> None:
    settings = settings_of(
        {
            "Hostname": "",
            "AttachStdin": False,
            "Image": "",
            "Cmd": ["serve"],
            "Env": ["A=1=2"],
            "OnBuild": None,
            "StopSignal": "SIGINT",
            "Volumes": {"/data": {}},
        }
    )
    assert settings.to_json() == {
        "Env": ["A=1=2"],
        "Cmd": ["serve"],
        "StopSignal": "SIGINT",
        "Volumes": {"/data": {}},
    }


@pytest.mark.parametrize(
    ("entries", "layers", "empty"),
    [
        ([("COPY", 5), ("ENV", 0)], 1, [False, True]),
        ([("COPY nothing", 0), ("RUN true", 0)], 2, [False, False]),
        ([("COPY nothing", 0), ("RUN", 3), ("ENV", 0)], 2, []),
        ([], 0, []),
    ],
)
def test_history_is_told_where_it_is_known(
    entries: Sequence[tuple[str, int]], layers: int, empty: list[bool]
) -> None:
    assert [entry.empty_layer for entry in history_of(entries, layers)] == empty


# --- Watching -------------------------------------------------------------------------------------


def test_a_call_that_is_watched_gives_what_it_gives() -> None:
    assert supervised(lambda: 5, lambda: None, lambda: None) == 5
    with pytest.raises(BuildFailed, match="no"):
        supervised(_failing(BuildFailed("no")), lambda: None, lambda: None)


def test_a_call_is_abandoned_when_the_check_objects() -> None:
    ended = threading.Event()

    def objecting() -> None:
        raise LeaseLost("gone")

    with pytest.raises(LeaseLost, match="gone"):
        supervised(lambda: ended.wait(60), objecting, ended.set)
    assert ended.is_set()


def test_an_engine_that_cannot_be_told_changes_nothing() -> None:
    ended = threading.Event()

    def abandon() -> None:
        ended.set()
        raise EngineProblem("unreachable")

    with pytest.raises(LeaseLost, match="gone"):
        supervised(lambda: ended.wait(60), _failing(LeaseLost("gone")), abandon)


def _failing(problem: Exception) -> Callable[[], Any]:
    def fail() -> None:
        raise problem

    return fail


# --- Engines that misbehave -----------------------------------------------------------------------


@dataclass
class FakeEngine:
    """Answers like an engine, as told."""

    version: Mapping[str, Any] = field(
        default_factory=lambda: {"ApiVersion": "1.41", "Version": "20.10", "Os": "linux"}
    )
    status: int = 200
    answer: bytes = b""
    parameters: str = ""
    body: bytes = b""
    host: str = ""


@pytest.fixture
def fake_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeEngine]:
    fake = FakeEngine()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

        def do_GET(self) -> None:
            self._answer(200, json.dumps(fake.version).encode())

        def do_POST(self) -> None:
            fake.parameters = self.path
            # A client that gives up ends the connection without the last chunk.
            while size := int(self.rfile.readline() or b"0", 16):
                fake.body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            self._answer(fake.status, fake.answer)

        def _answer(self, status: int, data: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    fake.host = f"tcp://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("DOCKER_HOST", fake.host)
    yield fake
    server.shutdown()
    server.server_close()
    thread.join()


def lines(*messages: Any) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\r\n" for each in messages)


def trace(data: bytes) -> dict[str, str]:
    return {"id": "moby.buildkit.trace", "aux": base64.b64encode(data).decode()}


IMAGE = {"id": "moby.image.id", "aux": {"ID": "sha256:abc"}}


def build(engine: Engine | None = None) -> list[Trace | str]:
    engine = engine or Engine()
    request = BuildRequest("an id", "name:tag", "linux/amd64", 10, {"SOURCE_DATE_EPOCH": "0"})
    try:
        return list(EngineBuild(engine, request).run([b"a context"]))
    finally:
        engine.close()


def test_a_build_tells_its_steps_and_ends_in_an_image(fake_engine: FakeEngine) -> None:
    fake_engine.answer = lines(trace(message(vertex("v", "step"))), {"stream": "x"}, IMAGE)
    assert build() == [Trace((Vertex("v", "step"),)), "sha256:abc"]
    assert fake_engine.body == b"a context"
    assert "/build?version=2&buildid=an+id&" in fake_engine.parameters
    assert "platform=linux%2Famd64" in fake_engine.parameters


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ({"ApiVersion": "1.38", "Version": "18.06", "Os": "linux"}, "Docker 18.06"),
        ({"ApiVersion": "1.43", "Version": "24", "Os": "windows"}, "Docker 24"),
        (
            {
                "ApiVersion": "1.41",
                "Version": "4.3.1",
                "Os": "linux",
                "Components": [{"Name": "Podman Engine"}],
            },
            "Podman 4.3.1",
        ),
    ],
)
def test_an_engine_without_buildkit_is_named(
    fake_engine: FakeEngine, version: Mapping[str, Any], words: str
) -> None:
    fake_engine.version = version
    engine = Engine()
    with pytest.raises(EngineProblem, match=f"{words}.*has no BuildKit") as caught:
        engine.require_buildkit()
    engine.close()
    assert not caught.value.transient


@pytest.mark.parametrize(
    ("answer", "words", "transient"),
    [
        (lines({"stream": "Step 1/1"}, {"aux": {"ID": "sha256:1"}}), "has no BuildKit", False),
        (lines(trace(b"")), "without an image and without an error", True),
        (lines(trace(b""))[:-9], "broke off", True),
        (lines({"id": "moby.buildkit.trace", "aux": "%%"}), "progress cannot be read", False),
        (lines(trace(b"\x0b")), "progress cannot be read", False),
        (lines(trace(b""), {"error": "write: no space left on device"}), "no space left", False),
        (lines(trace(b""), {"error": "executor: failed to create endpoint"}), "endpoint", True),
    ],
)
def test_an_answer_that_is_no_build_is_the_engines_problem(
    fake_engine: FakeEngine, answer: bytes, words: str, transient: bool
) -> None:
    fake_engine.answer = answer
    with pytest.raises(EngineProblem, match=words) as caught:
        build()
    assert caught.value.transient is transient


def test_an_engine_that_refuses_says_why(fake_engine: FakeEngine) -> None:
    fake_engine.status, fake_engine.answer = 400, b'{"message": "invalid platform"}'
    with pytest.raises(EngineProblem, match="invalid platform") as caught:
        build()
    assert not caught.value.transient


def test_a_context_that_fails_ends_the_build(fake_engine: FakeEngine) -> None:
    def body() -> Iterator[bytes]:
        yield b"a"
        raise ContentMismatch("not what the lock says")

    engine = Engine()
    request = BuildRequest("id", "name:tag", "linux/amd64", 10)
    with pytest.raises(ContentMismatch, match="not what the lock says"):
        list(EngineBuild(engine, request).run(body()))
    engine.close()


def test_an_engine_that_stops_answering_may_come_back(fake_engine: FakeEngine) -> None:
    engine = Engine()
    assert engine.info.has_buildkit
    engine.close()
    fake_engine.status, fake_engine.answer = 503, b'{"message": "shutting down"}'
    with pytest.raises(EngineProblem, match="shutting down") as caught:
        build()
    assert caught.value.transient


@pytest.mark.parametrize(
    ("host", "words", "transient"),
    [
        (
            "unix:///nowhere/docker.sock",
            "no container engine at unix:///nowhere/docker.sock",
            False,
        ),
        ("tcp://127.0.0.1:1", "at tcp://127.0.0.1:1 did not answer while connecting", True),
        ("gopher://x", "did not answer", True),
    ],
)
def test_an_engine_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, host: str, words: str, transient: bool
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(EngineProblem, match=words) as caught:
        _ = Engine().info
    assert caught.value.transient is transient
    assert caught.value.code == "RT611"


def test_a_context_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONTEXT", "nowhere")
    with pytest.raises(EngineProblem, match='no Docker context "nowhere"'):
        _ = Engine().info
