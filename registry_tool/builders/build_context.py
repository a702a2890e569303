"""The build context of a Dockerfile: a tar archive, streamed to the engine as storage is read.

    Dockerfile                    rendered
    …                             the template's files
    requirements/ third_party/ wheels/ config/ code/
                                  locked files by their role

These five directories are always there, so that a Dockerfile can copy them also when a release has nothing to put
into them. Weights are never part of a context. Equal orders give equal archives.
"""

from __future__ import annotations

import io
import posixpath
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from registry_tool.builders.interface import BuildOrder, Check
from registry_tool.builders.layer_streams import RenamedProgress
from registry_tool.builders.reading import Reading
from registry_tool.domain.progress import Progress
from registry_tool.domain.release import LockedFile, Role
from registry_tool.errors import BuildFailed
from registry_tool.oci.tar import Chunk, Member, layer_chunks
from registry_tool.storage.storage import Storage

ROLE_DIRECTORIES = {
    Role.CODE: "code",
    Role.CONFIG: "config",
    Role.REQUIREMENTS: "requirements",
    Role.THIRD_PARTY: "third_party",
    Role.WHEEL: "wheels",
}
DOCKERFILE = "Dockerfile"


@dataclass(frozen=True, slots=True)
class ContextFile:
    """A file of a context."""

    path: str
    size: int
    mode: int
    origin: str
    """For people: where it comes from."""
    open: Callable[[], BinaryIO]

    @classmethod
    def of(cls, path: str, content: bytes, mode: int, origin: str) -> ContextFile:
        """A file of these bytes."""
        return cls(path, len(content), mode, origin, lambda: io.BytesIO(content))


def context_path(file: LockedFile) -> str | None:
    """Where a locked file is in the context; None for one that no build consumes.

    A path below a directory of the role's name stays as it is; any other goes below that directory, a wheel by its
    file name alone, since `pip --find-links` does not look deeper.
    """
    directory = ROLE_DIRECTORIES.get(file.role)
    if directory is None:
        return None
    if file.role is Role.WHEEL:
        return f"{directory}/{posixpath.basename(file.path)}"
    return file.path if file.path.startswith(f"{directory}/") else f"{directory}/{file.path}"


class BuildContext:
    """The context of one order; raises BuildFailed where two of its files want one place."""

    def __init__(self, order: BuildOrder, dockerfile: str) -> None:
        self._order = order
        self._files = [ContextFile.of(DOCKERFILE, dockerfile.encode(), 0o644, "the Dockerfile")]
        self._files += [
            ContextFile.of(file.path, file.content, file.mode, f"{file.path} of the template")
            for file in order.template.files
        ]
        self._locked = {
            path: file for file in order.lock.files if (path := context_path(file)) is not None
        }
        self._check()

    def _check(self) -> None:
        places: dict[str, str] = {}
        origins = [(file.path, file.origin) for file in self._files]
        origins += [
            (path, f"the locked file {file.path}")
            for file in self._order.lock.files
            if (path := context_path(file)) is not None
        ]
        for path, origin in origins:
            if path in places:
                raise _clash(path, places[path], origin)
            places[path] = origin
        for path, origin in origins:
            for parent in _parents(path):
                if parent in places:
                    raise _clash(parent, places[parent], origin)

    def chunks(self, storage: Storage, progress: Progress, check: Check) -> Iterator[Chunk]:
        """The archive. Locked files are hashed as they pass: ContentMismatch names one that differs."""
        order = self._order
        task = f"context of {order.release}"
        reading = Reading(
            storage,
            order.location,
            order.lock.target,
            RenamedProgress(progress, task),
            {file.path: file for file in order.lock.files},
        )
        files = [
            *self._files,
            *(_stored(path, file, reading) for path, file in self._locked.items()),
        ]
        total = sum(file.size for file in self._locked.values())
        if total:
            progress.start(task, f"Sending the build context of {order.release}", total)
        try:
            yield _directories([file.path for file in files])
            for chunk in _archive(files):
                check()
                yield chunk
        finally:
            progress.finish(task)


def _stored(path: str, file: LockedFile, reading: Reading) -> ContextFile:
    return ContextFile(
        path, file.size, 0o644, file.path, lambda: cast("BinaryIO", reading.open(file))
    )


def _archive(files: list[ContextFile]) -> Iterator[Chunk]:
    by_path = {file.path: file for file in files}
    members = [Member(path, file.size, file.mode) for path, file in sorted(by_path.items())]
    return layer_chunks(members, lambda member: by_path[member.path].open())


def _directories(paths: list[str]) -> bytes:
    """Headers of all directories: one that is only implied would get the time of the build."""
    found = {parent for path in paths for parent in _parents(path)} | set(ROLE_DIRECTORIES.values())
    headers = []
    for path in sorted(found):
        header = tarfile.TarInfo(path)
        header.type, header.mode = tarfile.DIRTYPE, 0o755
        # BuildKit takes a body for an archive when it begins with a header that is none of pax.
        headers.append(header.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape"))
    return b"".join(headers)


def _clash(path: str, one: str, other: str) -> BuildFailed:
    return BuildFailed(
        f"the build context would have {path} twice: {one} and {other}",
        help="rename one of them, or leave the locked one out with spec.artifacts.exclude of the release",
    )


def _parents(path: str) -> list[str]:
    return [path[:at] for at, character in enumerate(path) if character == "/"]
