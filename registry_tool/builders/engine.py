"""A container engine: images and containers as builds need them.

The Docker SDK's names and exceptions stay in here and in `engine_build`.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Lock
from typing import IO, Any, NoReturn, cast

from registry_tool.errors import EngineProblem

_TIMEOUT = 60.0
"""Seconds for answers that an engine gives at once."""
_BUILDKIT_API = (1, 39)
_HOW_TO_REACH = (
    "start Docker, or name another engine with DOCKER_HOST or DOCKER_CONTEXT; templates with an image:"
    " recipe need none"
)
_FULL = "no space left on device"


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Which engine it is."""

    name: str
    version: str
    api_version: str
    system: str
    address: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} at {self.address}"

    @property
    def has_buildkit(self) -> bool:
        """Whether builds go through BuildKit when they are asked to."""
        api = tuple(int(part) for part in self.api_version.split(".") if part.isdigit())
        return self.name == "Docker" and self.system == "linux" and api >= _BUILDKIT_API


@dataclass(frozen=True, slots=True)
class EngineImage:
    """An image as an engine has it."""

    id: str
    platform: str
    diff_ids: tuple[str, ...]
    settings: Mapping[str, Any]
    """The `config` member of its image config, unset values included."""


class Engine:
    """The engine of the environment (`DOCKER_HOST`, `DOCKER_CONTEXT`), connected when it is first used.

    All methods raise EngineProblem, `transient` where trying again may help. They may be called from several threads.
    """

    def __init__(self, timeout: float = _TIMEOUT) -> None:
        self._timeout = timeout
        self._lock = Lock()
        self._api: Any = None
        self._info: EngineInfo | None = None

    @property
    def api(self) -> Any:
        """The SDK's `APIClient`, half of whose methods have no types."""
        with self._lock:
            if self._api is None:
                self._api = _connect(self._timeout)
            return self._api

    @property
    def info(self) -> EngineInfo:
        """Which engine it is, asked once."""
        if self._info is None:
            api = self.api
            with translated("asking for its version"):
                found = api.version()
            components = found.get("Components") or [{}]
            podman = "Podman" in components[0].get("Name", "")
            self._info = EngineInfo(
                name="Podman" if podman else "Docker",
                version=found.get("Version", "unknown"),
                api_version=found.get("ApiVersion", "0"),
                system=found.get("Os", "unknown"),
                address=_address(),
            )
        return self._info

    def require_buildkit(self) -> EngineInfo:
        """Raise EngineProblem unless the engine can build with BuildKit."""
        info = self.info
        if not info.has_buildkit:
            raise without_buildkit(info)
        return info

    def find_image(self, reference: str) -> EngineImage | None:
        """The image of that name, digest or id; None when the engine does not have it."""
        from docker import errors

        api = self.api
        with translated(f"looking for the image {reference}"):
            try:
                found = api.inspect_image(reference)
            except errors.NotFound:
                return None
        variant = f"/{found['Variant']}" if found.get("Variant") else ""
        return EngineImage(
            id=found["Id"],
            platform=f"{found['Os']}/{found['Architecture']}{variant}",
            diff_ids=tuple((found.get("RootFS") or {}).get("Layers") or ()),
            settings=found.get("Config") or {},
        )

    def image_history(self, reference: str) -> list[tuple[str, int]]:
        """What made each step of an image, from the bottom up, and how many bytes of files it added."""
        api = self.api
        with translated(f"reading the history of {reference}"):
            entries: list[dict[str, Any]] = api.history(reference)
        return [
            (entry.get("CreatedBy") or "", entry.get("Size") or 0) for entry in reversed(entries)
        ]

    def pull_events(
        self, repository: str, digest: str, platform: str | None
    ) -> Iterator[dict[str, Any]]:
        """Pull an image by digest with the credentials of the Docker configuration; what the engine tells of it.

        An event with `error` says that it cannot, and why.
        """
        from docker import errors

        api = self.api
        with translated(f"pulling {repository}@{digest}"):
            try:
                yield from api.pull(
                    repository, tag=digest, platform=platform, stream=True, decode=True
                )
            except errors.APIError as problem:
                yield {"error": problem.explanation or str(problem)}

    def tag_image(self, image: str, repository: str, tag: str) -> None:
        """Give an image a name."""
        with translated(f"naming the image {image}"):
            self.api.tag(image, repository, tag)

    def forget_image(self, name: str) -> None:
        """Remove a name, and the image with it when it has no other; nothing happens when there is no such name."""
        from docker import errors

        with translated(f"removing the image {name}"), suppress(errors.NotFound):
            self.api.remove_image(name)

    @contextmanager
    def stopped_container(self, image: str, name: str, platform: str) -> Iterator[str]:
        """A container of an image that is never started, to look into it; yields its id."""
        from docker import errors

        api = self.api
        with translated(f"creating a container of {image}"):
            with suppress(errors.NotFound):
                # Left behind by a process that was killed.
                api.remove_container(name, force=True, v=True)
            wanted = platform if _knows_platforms(api) else None
            created = api.create_container(image, command=["-"], name=name, platform=wanted)
        try:
            yield created["Id"]
        finally:
            with translated(f"removing the container {name}"), suppress(errors.NotFound):
                api.remove_container(created["Id"], force=True, v=True)

    def path_in_container(self, container: str, path: str) -> tarfile.TarInfo | None:
        """What is at a path, without following a link at its end; None when nothing is."""
        from docker import errors

        api = self.api
        with translated(f"looking for {path} in the image"):
            try:
                stream, _ = api.get_archive(container, path, chunk_size=tarfile.RECORDSIZE)
            except errors.NotFound:
                return None
            with tarfile.open(fileobj=cast("IO[bytes]", _Chunks(stream)), mode="r|") as archive:
                return archive.next()


class _Chunks:
    """The beginning of a stream of chunks, as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = b""

    def read(self, size: int) -> bytes:
        while len(self._left) < size and (chunk := next(self._chunks, b"")):
            self._left += chunk
        data, self._left = self._left[:size], self._left[size:]
        return data


def without_buildkit(info: EngineInfo) -> EngineProblem:
    """The problem with an engine that cannot do what is asked of it."""
    return EngineProblem(
        f"{info} (API {info.api_version}, {info.system}) has no BuildKit, which templates with a Dockerfile need",
        help="use Docker 18.09 or newer with Linux containers, or an image: recipe, which needs no engine",
        code="RT611",
    )


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn exceptions of the SDK, and of the connection below it, into EngineProblem."""
    import requests
    import urllib3
    from docker import errors

    try:
        yield
    except errors.APIError as problem:
        _raise_answer(
            doing, problem.explanation or str(problem), problem, problem.is_server_error()
        )
    except (
        errors.DockerException,
        requests.RequestException,
        urllib3.exceptions.HTTPError,
    ) as problem:
        raise _unreachable(doing, problem) from problem
    except (OSError, tarfile.TarError) as problem:
        raise _unreachable(doing, problem) from problem


def _raise_answer(doing: str, words: str, problem: Exception, server_error: bool) -> NoReturn:
    full = _FULL in words
    raise EngineProblem(
        f"the engine refused {doing}: {words}",
        help="free some space: docker system df, docker system prune" if full else None,
        code="RT611",
        transient=server_error and not full,
    ) from problem


def _unreachable(doing: str, problem: BaseException) -> EngineProblem:
    causes = list(_causes(problem))
    if any(isinstance(cause, FileNotFoundError) for cause in causes):
        return EngineProblem(
            f"there is no container engine at {_address()}", help=_HOW_TO_REACH, code="RT611"
        )
    if any(isinstance(cause, PermissionError) for cause in causes):
        return EngineProblem(
            f"this user may not use the container engine at {_address()}",
            help="add the user to the group docker, or name another engine with DOCKER_HOST",
            code="RT611",
        )
    return EngineProblem(
        f"the container engine at {_address()} did not answer while {doing}: {problem}",
        help=_HOW_TO_REACH,
        code="RT611",
        transient=True,
    )


def _causes(problem: BaseException) -> Iterator[BaseException]:
    """The exception and those it came from; libraries also hand them over as arguments."""
    waiting: list[object] = [problem]
    seen: set[int] = set()
    while waiting:
        cause = waiting.pop()
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            waiting += [cause.__cause__, cause.__context__, *cause.args]


def _connect(timeout: float) -> Any:
    import docker

    with translated("connecting"):
        return docker.from_env(timeout=round(timeout), use_ssh_client=True).api


def _address() -> str:
    context = os.environ.get("DOCKER_CONTEXT")
    return os.environ.get("DOCKER_HOST") or (
        f"context {context}" if context else "the default address"
    )


def _knows_platforms(api: Any) -> bool:
    return tuple(int(part) for part in api.api_version.split(".")) >= (1, 41)
