"""A container engine: images and containers as builds need them.

The Docker SDK's names and exceptions stay in here and in `engine_connection`.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Lock
from typing import IO, Any, cast

from registry_tool.builders.engine_connection import (
    DEFAULT_ADDRESS,
    connect,
    engine_settings,
    knock,
    translated,
)
from registry_tool.errors import EngineProblem

_TIMEOUT = 60.0
"""Seconds for answers that an engine gives at once."""
_BUILDKIT_API = (1, 39)


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
        self._address = DEFAULT_ADDRESS

    @property
    def api(self) -> Any:
        """The SDK's `APIClient`, half of whose methods have no types."""
        with self._lock:
            if self._api is None:
                settings = engine_settings()
                self._address = settings.get("base_url") or DEFAULT_ADDRESS
                self._api = connect(self._timeout, settings, self._address)
            else:
                # It may have gone away since.
                knock(self._address)
            return self._api

    def close(self) -> None:
        """End all connections; the next use makes new ones."""
        with self._lock:
            if self._api is not None:
                self._api.close()
                self._api = None

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
                address=self._address,
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
            # Somebody may have logged in since the engine was connected.
            api.reload_config()
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


def _knows_platforms(api: Any) -> bool:
    return tuple(int(part) for part in api.api_version.split(".")) >= (1, 41)
