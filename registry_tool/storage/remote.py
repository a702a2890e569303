"""Object stores and other servers, through fsspec, which is imported when the first one is used."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

from registry_tool.errors import RegistryToolError
from registry_tool.storage.problems import not_allowed, translated, unusable
from registry_tool.storage.stored_file import StoredFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_EXTRAS = {"s3": "registry-tool[s3]", "s3a": "registry-tool[s3]"}
# These read another location, so that a prefix of theirs would say nothing about what is read.
_INDIRECT = {
    *("local", "asynclocal", "data", "dir", "generic", "git", "libarchive", "reference", "root"),
    *("blockcache", "cached", "filecache", "simplecache", "tar", "zip"),
}
_RANGE = 8 << 20
_AHEAD = 3
"""Ranges in flight for one reader: one connection rarely fills a fast network."""


class RemoteFiles:
    """Files below URLs of one scheme."""

    def __init__(self, scheme: str) -> None:
        self._system = _file_system(scheme)

    def files(self, root: str, passed_over: Callable[[str], bool]) -> Iterator[StoredFile]:
        """All objects below the URL, in no order."""
        with _translating(root, "list"):
            base = self._system._strip_protocol(root).rstrip("/")
            self._system.invalidate_cache()
            found: dict[str, dict[str, Any]] = self._system.find(base, detail=True)
            if not found and not self._system.exists(base):
                raise FileNotFoundError(root)
        for name, facts in found.items():
            if name == base:
                raise unusable(root, "is a file", help="name the directory of the files")
            # Directory markers of object stores are not files.
            if name.startswith(base + "/") and facts.get("type") == "file" and name[-1] != "/":
                yield _stored_file(name[len(base) + 1 :], facts)

    def stat(self, root: str, path: str) -> StoredFile:
        """One object."""
        place = f"{root.rstrip('/')}/{path}"
        with _translating(place):
            self._system.invalidate_cache()
            facts: dict[str, Any] = self._system.info(place)
        if facts.get("type") != "file":
            raise unusable(place, "is not a file", help=None)
        return _stored_file(path, facts)

    def open(self, root: str, path: str, offset: int) -> BinaryIO:
        """A reader; several ranges are fetched ahead where the file system can do that."""
        place = f"{root.rstrip('/')}/{path}"
        size = self.stat(root, path).size

        def fetch(start: int, end: int) -> bytes:
            with _translating(place):
                return bytes(self._system.cat_file(place, start=start, end=end))

        workers = _AHEAD if self._system.async_impl else 1
        return io.BufferedReader(_RangeReader(fetch, offset, size, workers), 1 << 17)

    def write(self, root: str, path: str, chunks: Iterable[bytes]) -> None:
        """Upload; an object store shows the object when it is complete."""
        place = f"{root.rstrip('/')}/{path}"
        with _translating(place, "write"):
            # A context would publish what was written also when an exception ends it.
            file = self._system.open(place, "wb", autocommit=False)
            try:
                for chunk in chunks:
                    file.write(chunk)
                file.close()
                file.commit()
            except BaseException:
                file.discard()
                file.closed = True  # or the garbage collector would publish it after all
                raise

    def delete(self, root: str, path: str) -> None:
        """Remove an object."""
        self.stat(root, path)
        place = f"{root.rstrip('/')}/{path}"
        with _translating(place, "delete"):
            self._system.rm_file(place)


class _RangeReader(io.RawIOBase):
    """Reads `[offset, size)` as ranges, a few ahead of the reader, in order."""

    def __init__(
        self, fetch: Callable[[int, int], bytes], offset: int, size: int, workers: int
    ) -> None:
        self._fetch = fetch
        self._next = offset
        self._size = size
        self._ahead = workers
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="storage")
        self._waiting: deque[Future[bytes]] = deque()
        self._current = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        while not self._current:
            self._request()
            if not self._waiting:
                return 0
            data = self._waiting.popleft().result()
            if not data:
                return 0  # the object became shorter; the reader's caller compares sizes
            self._current = memoryview(data)
        view = memoryview(buffer).cast("B")
        count = min(len(view), len(self._current))
        view[:count] = self._current[:count]
        self._current = self._current[count:]
        return count

    def close(self) -> None:
        if not self.closed:
            self._pool.shutdown(wait=True, cancel_futures=True)
        super().close()

    def _request(self) -> None:
        while len(self._waiting) < self._ahead and self._next < self._size:
            end = min(self._next + _RANGE, self._size)
            self._waiting.append(self._pool.submit(self._fetch, self._next, end))
            self._next = end


def _file_system(scheme: str) -> Any:
    if scheme in _INDIRECT:
        raise not_allowed(
            f"{scheme}://",
            "this scheme reads other locations",
            help="name the location itself: an absolute path or the URL of an object store",
        )
    try:
        import fsspec
        from fsspec.registry import known_implementations

        return fsspec.filesystem(scheme, use_listings_cache=False)
    except ImportError as problem:
        module = str(known_implementations[scheme]["class"]).split(".")[0]
        package = _EXTRAS.get(scheme) or (module if module != "fsspec" else problem.name)
        raise unusable(
            f"{scheme}://",
            "the library for this scheme is not installed",
            help=f"pip install '{package or scheme}'",
        ) from problem
    except ValueError as problem:
        raise unusable(
            f"{scheme}://",
            "no file system is known for this scheme",
            help="use an absolute path, or a URL such as s3://bucket/prefix",
        ) from problem
    except Exception as problem:
        raise translated(f"{scheme}://", problem, "use") from problem


@contextmanager
def _translating(place: str, doing: str = "read") -> Iterator[None]:
    """Every file system raises errors of its own kind, so that only a catch-all translates them."""
    try:
        yield
    except RegistryToolError:
        raise
    except Exception as problem:
        raise translated(place, problem, doing) from problem


def _stored_file(path: str, facts: dict[str, Any]) -> StoredFile:
    etag = facts.get("ETag") or facts.get("etag")
    version = facts.get("VersionId") or facts.get("version_id") or facts.get("generation")
    return StoredFile(
        path,
        int(facts["size"]),
        etag=str(etag).strip('"') if etag else None,
        # S3 calls the only version of an object "null" where versioning is off.
        version_id=str(version) if version and version != "null" else None,
    )
