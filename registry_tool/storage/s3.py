"""Files in S3: Amazon's, Ceph's, MinIO's, or another server that speaks the protocol."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

from registry_tool.storage.problems import (
    DOES_NOT_EXIST,
    absent,
    require_expected,
    unusable,
)
from registry_tool.storage.ranges import RangeReader, Window
from registry_tool.storage.s3_client import ObjectName, S3Client
from registry_tool.storage.s3_problems import no_bucket, status_of
from registry_tool.storage.s3_upload import upload
from registry_tool.storage.stored_file import Absent, StoredFile

_LOOK_UPS = 16
_READ_BUFFER = 1 << 17


class S3Files:
    """Objects below ``s3://`` URLs."""

    confirms_writes = True

    def __init__(self) -> None:
        self._client = S3Client()
        self._window = Window()

    def files(self, root: str, passed_over: Callable[[str], bool]) -> Iterator[StoredFile]:
        """All objects below the URL, without their versions."""
        name = ObjectName.of(root)
        prefix = name.key + "/" if name.key else ""
        seen = False
        for entry in self._entries(name, prefix):
            seen = True
            # Markers of empty directories, which some programs leave, are not files.
            if not entry["Key"].endswith("/"):
                yield StoredFile(entry["Key"][len(prefix) :], int(entry["Size"]), _etag(entry))
        if prefix and not seen:
            self._require_no_object(name)
            raise unusable(root, DOES_NOT_EXIST, help="check spec.storage_path")

    def find(self, root: str, path: str, version_id: str | None = None) -> StoredFile | Absent:
        """One object or one version of it, with a HEAD request."""
        name = ObjectName.of(root, path)
        version = {"VersionId": version_id} if version_id else {}
        # Some servers call the version id of another server malformed, not missing.
        nothing = {404, 405, 400} if version_id else {404}

        def found() -> StoredFile | Absent:
            try:
                facts = self._client.once("head_object", **name.request, **version)
            except Exception as problem:
                if status_of(problem) in nothing:
                    what = f"has no version {version_id}" if version_id else DOES_NOT_EXIST
                    return Absent(what)
                raise
            return StoredFile(path, int(facts["ContentLength"]), _etag(facts), _version(facts))

        return self._client.attempted(name, "read", found)

    def check(self, root: str) -> None:
        """Raise where the bucket is not there; a HEAD of an object does not tell."""
        name = ObjectName.of(root)

        def checked() -> None:
            try:
                self._client.once("head_bucket", Bucket=name.bucket)
            except Exception as problem:
                if status_of(problem) == 404:
                    raise no_bucket(root) from problem
                # Whoever may only read objects may not ask for the bucket.
                if status_of(problem) != 403:
                    raise

        self._client.attempted(name, "list", checked)

    def versioned(self, root: str, files: Sequence[StoredFile]) -> list[StoredFile]:
        """The same files with version ids, by HEAD requests where the bucket has versions."""
        if not files:
            return []
        first = self._present(root, files[0])
        # An object from before versions were kept has none, so that one alone does not tell.
        if first.version_id is None and not self._has_versions(root):
            return [first, *files[1:]]
        with ThreadPoolExecutor(_LOOK_UPS, thread_name_prefix="head") as pool:
            rest = pool.map(lambda file: self._present(root, file), files[1:])
            return [first, *rest]

    def open(self, root: str, path: str, offset: int, expected: StoredFile | None) -> BinaryIO:
        """A reader of one version; several ranges are fetched ahead."""
        name = ObjectName.of(root, path)
        if expected is None or not (expected.etag or expected.version_id):
            found = self.find(root, path)
            if isinstance(found, Absent):
                raise absent(name.url, found)
            require_expected(name.url, expected, found)
            expected = found
        pinned = expected
        reader = RangeReader(
            lambda start, end: self._client.get(name, pinned, start, end),
            offset,
            pinned.size,
            self._window,
        )
        return io.BufferedReader(reader, _READ_BUFFER)

    def write(
        self, root: str, path: str, chunks: Iterable[bytes], size: int | None, replace: bool
    ) -> None:
        """Upload, in parts when it is large; the object is there when all of it is."""
        upload(self._client, ObjectName.of(root, path), chunks, size, replace=replace)

    def delete(self, root: str, path: str) -> None:
        """Remove an object; where the bucket has versions, the locked ones stay readable."""
        name = ObjectName.of(root, path)
        found = self.find(root, path)
        if isinstance(found, Absent):
            raise absent(name.url, found)
        self._client.call(name, "delete", "delete_object", **name.request)

    def _entries(self, name: ObjectName, prefix: str) -> Iterator[dict[str, Any]]:
        position: dict[str, str] = {}
        while True:
            page = self._client.call(
                name, "list", "list_objects_v2", Bucket=name.bucket, Prefix=prefix, **position
            )
            yield from page.get("Contents", ())
            if not page.get("IsTruncated"):
                return
            position = {"ContinuationToken": page["NextContinuationToken"]}

    def _present(self, root: str, file: StoredFile) -> StoredFile:
        found = self.find(root, file.path)
        if isinstance(found, Absent):
            raise absent(f"{root}/{file.path}", found)
        return found

    def _has_versions(self, root: str) -> bool:
        name = ObjectName.of(root)

        def asked() -> bool:
            try:
                answer = self._client.once("get_bucket_versioning", Bucket=name.bucket)
            except Exception as problem:
                # Not allowed to know, or unknown to this server: every object is asked.
                if status_of(problem) in {403, 405, 501}:
                    return True
                raise
            return "Status" in answer

        return self._client.attempted(name, "list", asked)

    def _require_no_object(self, name: ObjectName) -> None:
        root, _, path = name.url.rpartition("/")
        if path and not isinstance(self.find(root, path), Absent):
            raise unusable(name.url, "is a file", help="name the directory of the files")


def _etag(facts: dict[str, Any]) -> str | None:
    return str(facts.get("ETag") or "").strip('"') or None


def _version(facts: dict[str, Any]) -> str | None:
    # S3 calls the version of an object "null" that was written while versioning was off.
    version = str(facts.get("VersionId") or "")
    return version if version not in {"", "null"} else None
