"""The raw call: one build by an engine's BuildKit, without buildx and without a session.

`POST /build?version=2` takes the context as the body, a tar archive that is gzipped or whose first header is plain
ustar or GNU tar. The answer is a stream of JSON lines: `moby.buildkit.trace` with a protobuf message in base64,
`moby.image.id`, `error`. The Docker SDK can only ask for the old builder, so its session is used directly.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from registry_tool.builders.buildkit_trace import MalformedTrace, Trace, parse_trace
from registry_tool.builders.engine import Engine, without_buildkit
from registry_tool.builders.engine_connection import translated
from registry_tool.errors import BuildFailed, EngineProblem
from registry_tool.oci.tar import Chunk

_CONNECT_TIMEOUT = 10.0
_FULL = "no space left on device"
_PASSING = re.compile(
    r"failed to create endpoint|resource temporarily unavailable|cannot allocate memory|too many open files"
    r"|i/o timeout|TLS handshake timeout|connection re(set|fused)|unexpected EOF",
    re.IGNORECASE,
)
"""What the engine, rather than the Dockerfile, may have had for a moment. Output of steps is not looked at."""


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """What is built, besides the context."""

    id: str
    """Names the running build, so that it can be cancelled."""
    tag: str
    """The name that the image gets in the engine: without one it could be pruned at any time."""
    platform: str
    timeout: float
    """Seconds that the engine may be silent."""
    arguments: Mapping[str, str] = field(default_factory=dict)
    """Build arguments."""

    def parameters(self) -> dict[str, str]:
        """As the engine takes them."""
        return {
            "version": "2",
            "buildid": self.id,
            "dockerfile": "Dockerfile",
            "t": self.tag,
            "platform": self.platform,
            "buildargs": json.dumps(dict(self.arguments)),
            # What is pulled is pulled before, with credentials that a build has not got.
            "pull": "0",
        }


class EngineBuild:
    """One running build. `run` is called once; `cancel` from any thread."""

    def __init__(self, engine: Engine, request: BuildRequest) -> None:
        self._engine = engine
        self._request = request

    def run(self, body: Iterable[Chunk]) -> Iterator[Trace | str]:
        """Send the context and yield what the engine tells, then the id of the image.

        Raises BuildFailed with the engine's words, EngineProblem, and what `body` raises.
        """
        api = self._engine.api
        with translated("building"):
            response = api.post(
                api._url("/build"),
                params=self._request.parameters(),
                data=_sent(body),
                headers={"Content-Type": "application/x-tar"},
                stream=True,
                timeout=(_CONNECT_TIMEOUT, self._request.timeout),
            )
        with response:
            with translated("building"):
                api._raise_for_status(response)
            yield from self._told(response)

    def _told(self, response: Any) -> Iterator[Trace | str]:
        traced = False
        image = ""
        for message in _messages(response):
            match message:
                case {"id": "moby.buildkit.trace", "aux": str(encoded)}:
                    traced = True
                    yield _trace(encoded)
                case {"id": "moby.image.id", "aux": {"ID": str(found)}}:
                    image = found
                case {"error": str(words)}:
                    raise _failure(words)
        if not traced:
            raise without_buildkit(self._engine.info)
        if not image:
            raise EngineProblem(
                "the engine ended the build without an image and without an error",
                help="its log may say more: journalctl -u docker",
                code="RT611",
                transient=True,
            )
        yield image

    def cancel(self) -> None:
        """Ask the engine to end the build; it answers `run` with an error then."""
        api = self._engine.api
        with translated("cancelling the build"):
            api.post(
                api._url("/build/cancel"), params={"id": self._request.id}, timeout=_CONNECT_TIMEOUT
            )


def _sent(body: Iterable[Chunk]) -> Iterator[bytes]:
    for chunk in body:
        yield bytes(chunk)


def _messages(response: Any) -> Iterator[dict[str, Any]]:
    lines = response.iter_lines()
    while True:
        with translated("building"):
            line = next(lines, None)
        if line is None:
            return
        if line.strip():
            yield _message(line)


def _message(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise EngineProblem(
            f"the engine's answer broke off: {line[:80]!r}", code="RT611", transient=True
        )
    return message


def _trace(encoded: str) -> Trace:
    try:
        return parse_trace(base64.b64decode(encoded, validate=True))
    except (binascii.Error, MalformedTrace) as problem:
        raise EngineProblem(
            f"the engine's progress cannot be read: {problem}",
            help="this engine may be newer than this program: update registry-tool",
            code="RT611",
        ) from problem


def _failure(words: str) -> BuildFailed | EngineProblem:
    if _FULL in words:
        return EngineProblem(
            f"the engine could not build: {words}",
            help="free some space: docker system df, docker builder prune",
            code="RT611",
        )
    if _PASSING.search(words):
        return EngineProblem(f"the engine could not build: {words}", code="RT611", transient=True)
    return BuildFailed(words)
