"""Requests to an S3 server, through s3fs, with one policy of trying again and errors of our own.

Endpoint, region and credentials are found as every AWS tool finds them: in the AWS variables, in
profiles, or from the machine's role.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from registry_tool.errors import RegistryToolError
from registry_tool.storage.file_systems import file_system
from registry_tool.storage.problems import replaced, unusable
from registry_tool.storage.retrying import retrying
from registry_tool.storage.s3_problems import s3_problem, status_of
from registry_tool.storage.stored_file import StoredFile

T = TypeVar("T")
_CONNECT_TIMEOUT = 10
_READ_TIMEOUT = 60
_CONNECTIONS = 64
_PIECE = 1 << 18


@dataclass(frozen=True, slots=True)
class ObjectName:
    """A bucket and a key in it, which may be empty, and the URL that people know them by."""

    bucket: str
    key: str
    url: str

    @classmethod
    def of(cls, root: str, path: str = "") -> ObjectName:
        """The object at a path below a URL."""
        url = f"{root.rstrip('/')}/{path}" if path else root
        rest = url.partition("://")[2]
        # The name of an access point has slashes of its own.
        parts = rest.split("/", 2 if rest.startswith("arn:") else 1)
        if rest.startswith("arn:"):
            return cls("/".join(parts[:2]), parts[2] if len(parts) > 2 else "", url)
        return cls(parts[0], parts[1] if len(parts) > 1 else "", url)

    @property
    def request(self) -> dict[str, str]:
        """The parameters that name the object."""
        return {"Bucket": self.bucket, "Key": self.key}


class S3Client:
    """Calls methods of S3. Raises StorageProblem; transient ones were tried again before."""

    def __init__(self) -> None:
        self._system = file_system(
            "s3",
            # Another Storage may be used with other variables in the environment.
            skip_instance_cache=True,
            client_kwargs=_client_settings(),
            config_kwargs={
                "connect_timeout": _CONNECT_TIMEOUT,
                "read_timeout": _READ_TIMEOUT,
                "max_pool_connections": _CONNECTIONS,
                # One policy, which is ours, not three on top of each other.
                "retries": {"mode": "standard", "total_max_attempts": 1},
                # Servers that are not Amazon's often do not know these; what is read is compared
                # with the lock, and what is written has an MD5 that every server checks.
                "request_checksum_calculation": "when_required",
                "response_checksum_validation": "when_required",
            },
        )
        self._system.retries = 1

    def call(self, name: ObjectName, doing: str, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer of one method."""
        return self.attempted(name, doing, lambda: self.once(method, **parameters))

    def attempted(self, name: ObjectName, doing: str, work: Callable[[], T]) -> T:
        """The result of `work`, tried again while the server cannot do it just now."""

        def attempt() -> T:
            try:
                return work()
            except RegistryToolError:
                raise
            except Exception as problem:
                raise s3_problem(name.url, problem, doing) from problem

        return retrying(attempt)

    def once(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer of one method, or the client's own exception."""
        answer: dict[str, Any] = self._system.call_s3(method, **parameters)
        return answer

    def get(self, name: ObjectName, expected: StoredFile, start: int, end: int) -> bytearray:
        """The bytes `[start, end)` of exactly the expected object.

        Raises ContentMismatch when it was replaced; the caller tries transient problems again.
        """
        from fsspec.asyn import sync

        parameters: dict[str, str] = {"Range": f"bytes={start}-{end - 1}"}
        if expected.etag and not expected.etag.startswith("W/"):
            parameters["IfMatch"] = f'"{expected.etag}"'
        if expected.version_id:
            parameters["VersionId"] = expected.version_id
        try:
            answer = self.once("get_object", **name.request, **parameters)
            data: bytearray | None = sync(
                self._system.loop, _received, name, answer, expected, start, end
            )
        except RegistryToolError:
            raise
        except Exception as problem:
            if status_of(problem) == 412:
                raise replaced(name.url, "its entity tag", expected.etag, "another") from problem
            if status_of(problem) == 416:
                raise replaced(name.url, "its size", expected.size, "less") from problem
            raise s3_problem(name.url, problem, "read") from problem
        if data is None:
            cut = "cannot be read: the connection was cut"
            raise unusable(name.url, cut, help=None, transient=True)
        return data


async def _received(
    name: ObjectName, answer: dict[str, Any], expected: StoredFile, start: int, end: int
) -> bytearray | None:
    """What arrives, put straight into its place; None when it is less than was asked for."""
    body = answer["Body"]
    try:
        _require_range(name, answer, expected, start, end)
        data = bytearray(end - start)
        at = 0
        async for chunk in body.iter_chunks(_PIECE):
            data[at : at + len(chunk)] = chunk
            at += len(chunk)
        return data if at == end - start else None
    finally:
        body.close()


def _require_range(
    name: ObjectName, answer: dict[str, Any], expected: StoredFile, start: int, end: int
) -> None:
    content = str(answer.get("ContentRange") or "")
    span, _, total = content.rpartition("/")
    if content and total not in {str(expected.size), "*"}:
        raise replaced(name.url, "its size", expected.size, total)
    whole = not content and (start, end) == (0, int(answer["ContentLength"]))
    if not whole and span != f"bytes {start}-{end - 1}":
        raise unusable(name.url, "cannot be read: the server ignores ranges", help=None)
    etag = str(answer.get("ETag") or "").strip('"')
    if expected.etag and etag and etag != expected.etag:
        raise replaced(name.url, "its entity tag", expected.etag, etag)


def _client_settings() -> dict[str, str]:
    # The other AWS tools read this variable; the client library knows AWS_DEFAULT_REGION only.
    region = os.environ.get("AWS_REGION")
    return {"region_name": region} if region else {}
