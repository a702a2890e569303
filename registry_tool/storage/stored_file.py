"""What storage knows of a file without reading it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file below a location; `path` is relative and has forward slashes.

    `etag` and `version_id` come from object stores. Local files have neither: what a file system
    knows beyond the size differs between two machines that hold the same bytes, and would make
    their locks differ.
    """

    path: str
    size: int
    etag: str | None = None
    version_id: str | None = None
