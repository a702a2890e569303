"""Telling cheaply that a name still means the same: what the files say on which its meaning depends.

Nothing is resolved here, that is for Git. Loose refs are compared by their content; packed refs by the file's identity
and times, as Git itself does, but not within a second of a change; with reftable by the list of tables, whose names
are never used twice. Where none of that is enough there is no answer, and Git has to be asked.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from functools import cached_property

from registry_tool.repository.repository import Repository

RefState = tuple[bytes | tuple[int, ...] | None, ...]
"""Equal to another one only when no ref has moved in between."""

_NAME = re.compile(
    r"(?P<name>[A-Za-z0-9_][A-Za-z0-9._+-]*(?:/[A-Za-z0-9_][A-Za-z0-9._+-]*)*)[~^0-9]*", re.ASCII
)
_OBJECT = re.compile(r"(?:.*-g)?[0-9a-f]{4,}", re.ASCII | re.IGNORECASE)
"""May be the beginning of an oid, or what `git describe` prints: that depends on all objects."""
_RULES = (
    b"%s", b"refs/%s", b"refs/tags/%s", b"refs/heads/%s", b"refs/remotes/%s", b"refs/remotes/%s/HEAD",
)  # fmt: skip
_LONGEST = 4096
_DEEPEST = 5
_SETTLED = 1_000_000_000
"""Nanoseconds after which a further change of a file cannot have the same time any more."""


class RefFiles:
    """The files of one repository. Calls may come from several threads."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        places = (repository.git_dir, repository.common_dir)
        self._places = tuple(dict.fromkeys(os.fsencode(place) for place in places))
        self._packed_refs = repository.common_dir / "packed-refs"

    def state(self, revision: str) -> RefState | None:
        """What the meaning of a ref, or of a commit so and so many before it, depends on; None where that is more."""
        match = _NAME.fullmatch(revision)
        if match is None or not self._is_known:
            return None
        name = match["name"]
        if _OBJECT.fullmatch(name) or ".." in name:
            return None
        try:
            return tuple(self._parts(name.encode()))
        except (_Unclear, OSError):
            return None

    @cached_property
    def _is_known(self) -> bool:
        """Whether refs are where they have been until now: newer versions of Git may keep them elsewhere."""
        if "GIT_REFERENCE_BACKEND" in os.environ:
            return False
        return self._repository.config("extensions.refStorage") in {None, "files", "reftable"}

    def _parts(self, name: bytes) -> Iterator[bytes | tuple[int, ...] | None]:
        yield self._packed()
        for place in self._places:
            yield _content(place + b"/reftable/tables.list")
        rules = _RULES[:1] if name.startswith(b"refs/") or name == b"HEAD" else _RULES
        for rule in rules:
            yield from self._loose(rule % name, _DEEPEST)

    def _loose(self, name: bytes, depth: int) -> Iterator[bytes | None]:
        for place in self._places:
            content = _content(place + b"/" + name)
            yield content
            if content is not None and content.startswith(b"ref:"):
                target = content[4:].strip()
                if depth == 0 or not target.startswith(b"refs/") or b".." in target:
                    raise _Unclear
                yield from self._loose(target, depth - 1)

    def _packed(self) -> tuple[int, ...] | None:
        try:
            found = self._packed_refs.stat()
        except FileNotFoundError:
            return None
        if time.time_ns() - max(found.st_mtime_ns, found.st_ctime_ns) < _SETTLED:
            raise _Unclear
        return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class _Unclear(Exception):
    """Git has to be asked."""


def _content(path: bytes) -> bytes | None:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        content = os.read(file, _LONGEST)
    except IsADirectoryError:
        return None
    finally:
        os.close(file)
    if len(content) == _LONGEST:
        raise _Unclear
    return content
