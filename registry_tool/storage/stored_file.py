"""What storage knows of a file without reading it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file below a location; `path` is relative and has forward slashes.

    `etag` and `version_id` come from object stores. Local files have neither: what a file system
    knows beyond the size differs between two machines that hold the same bytes, and would make
    their locks differ. They have a `fingerprint` instead, which changes whenever the file is
    written, means nothing on another machine, and is absent while the file is too new to be sure.
    """

    path: str
    size: int
    etag: str | None = None
    version_id: str | None = None
    fingerprint: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Absent:
    """There is no file that could be read; `why` continues a sentence that starts with its path."""

    why: str
