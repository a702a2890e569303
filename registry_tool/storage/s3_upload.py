"""Uploads to S3: one request for a small object, parts side by side for a large one.

Every request carries the MD5 of its bytes, which the server checks, and the last one the condition
that nothing is there, where nothing may be replaced.
"""

from __future__ import annotations

import base64
import hashlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from registry_tool.errors import StorageProblem
from registry_tool.storage.problems import exists_already
from registry_tool.storage.s3_client import ObjectName, S3Client
from registry_tool.storage.s3_problems import is_unsupported, status_of

PART = 16 << 20
_MOST_PARTS = 10_000
_AT_ONCE = 4
"""Parts in flight; each is in memory."""
_UNKNOWN_SIZE_PART = 64 << 20


def upload(
    client: S3Client, name: ObjectName, chunks: Iterable[bytes], size: int | None, *, replace: bool
) -> None:
    """Write an object; without `replace` one that is there raises StorageProblem."""
    if not replace:
        _require_free(client, name)
    condition = {} if replace else {"IfNoneMatch": "*"}
    parts = _parts(chunks, _part_size(size))
    first = next(parts, b"")
    second = next(parts, None)
    if second is None:
        etag = hashlib.md5(first, usedforsecurity=False).hexdigest()
        _publish(client, name, etag, condition, "put_object", Body=first, ContentMD5=_md5(first))
        return
    _Multipart(client, name).upload(_again(first, second, parts), condition)


def _part_size(size: int | None) -> int:
    if size is None:
        return _UNKNOWN_SIZE_PART
    # Rounded up, so that a file that grew a little meanwhile still fits.
    return max(PART, -(-size // (_MOST_PARTS - 1000)))


def _parts(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    waiting = bytearray()
    for chunk in chunks:
        waiting += chunk
        while len(waiting) >= size:
            yield bytes(waiting[:size])
            del waiting[:size]
    if waiting:
        yield bytes(waiting)


def _again(first: bytes, second: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield second
    yield from rest


class _Multipart:
    """One upload in parts; one that fails is taken back, so that nobody pays for its parts."""

    def __init__(self, client: S3Client, name: ObjectName) -> None:
        self._client = client
        self._name = name
        started = client.call(name, "write", "create_multipart_upload", **name.request)
        self._request = {**name.request, "UploadId": started["UploadId"]}
        self._digests: list[bytes] = []

    def upload(self, parts: Iterator[bytes], condition: dict[str, str]) -> None:
        """Send all parts, then make one object of them."""
        try:
            done = list(self._send(parts))
            whole = hashlib.md5(b"".join(self._digests), usedforsecurity=False).hexdigest()
            _publish(
                self._client,
                self._name,
                f"{whole}-{len(done)}",
                condition,
                "complete_multipart_upload",
                UploadId=self._request["UploadId"],
                MultipartUpload={"Parts": done},
            )
        except BaseException:
            # The reason for giving up says more than a failure to clean up after it.
            with suppress(StorageProblem):
                self._client.call(self._name, "write", "abort_multipart_upload", **self._request)
            raise

    def _send(self, parts: Iterator[bytes]) -> Iterator[dict[str, Any]]:
        waiting: deque[Future[dict[str, Any]]] = deque()
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="upload") as pool:
            try:
                for number, part in enumerate(parts, start=1):
                    self._digests.append(hashlib.md5(part, usedforsecurity=False).digest())
                    waiting.append(pool.submit(self._send_part, number, part))
                    if len(waiting) == _AT_ONCE:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _send_part(self, number: int, part: bytes) -> dict[str, Any]:
        answer = self._client.call(
            self._name,
            "write",
            "upload_part",
            **self._request,
            PartNumber=number,
            Body=part,
            ContentMD5=_md5(part),
        )
        return {"PartNumber": number, "ETag": answer["ETag"]}


def _publish(
    client: S3Client,
    name: ObjectName,
    etag: str,
    condition: dict[str, str],
    method: str,
    **parameters: Any,
) -> None:
    """The request that makes the object visible.

    When its answer was lost and it is sent again, it meets its own object: no failure.
    """
    tries = 0

    def attempt() -> None:
        nonlocal tries, condition
        tries += 1
        try:
            client.once(method, **name.request, **condition, **parameters)
        except Exception as problem:
            if status_of(problem) in {404, 412} and tries > 1 and _has(client, name, etag):
                return
            if status_of(problem) == 412:
                raise exists_already(name.url) from problem
            if condition and is_unsupported(problem):
                # It was not there a moment ago, which is all that this server can say.
                condition = {}
                attempt()
                return
            raise

    client.attempted(name, "write", attempt)


def _has(client: S3Client, name: ObjectName, etag: str) -> bool:
    facts = client.once("head_object", **name.request)
    return str(facts.get("ETag", "")).strip('"') == etag


def _require_free(client: S3Client, name: ObjectName) -> None:
    def there() -> bool:
        try:
            client.once("head_object", **name.request)
        except Exception as problem:
            if status_of(problem) == 404:
                return False
            raise
        return True

    if client.attempted(name, "write", there):
        raise exists_already(name.url)


def _md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
