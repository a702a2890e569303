"""Reading a blob from a registry: checked against its digest, and resumed when it breaks off."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, BinaryIO

from registry_tool.errors import ContentMismatch
from registry_tool.oci.registry_http import RegistryHttp, Request
from registry_tool.oci.registry_retries import Broken, Patience

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_SKIP = 1 << 20


class BlobReader(io.RawIOBase):
    """The bytes of a blob, once from the beginning; raises ContentMismatch at their end."""

    def __init__(self, http: RegistryHttp, request: Request, digest: str) -> None:
        self._http = http
        self._request = request
        self._digest = digest
        self._sha256 = hashlib.sha256()
        self._position = 0
        self._patience = Patience(http.sleep)
        self._body = self._opened()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        while True:
            try:
                count: int = self._body.readinto(view)  # type: ignore[attr-defined]
            except Broken as broken:
                self._body.close()
                self._patience.wait(broken)
                self._body = self._opened()
                continue
            if not count and view:
                self._check()
            self._sha256.update(view[:count])
            self._position += count
            return count

    def close(self) -> None:
        if not self.closed:
            self._body.close()
        super().close()

    def _check(self) -> None:
        seen = f"sha256:{self._sha256.hexdigest()}"
        if seen != self._digest:
            raise ContentMismatch(
                f"{self._http.host} answered with {seen} when asked for {self._digest}:"
                f" cannot {self._request.what}",
                help="the registry's storage is damaged; remove the blob there, and build again",
            )

    def _opened(self) -> BinaryIO:
        """The body from where we are, however the registry makes it possible."""
        while True:
            try:
                answer, body = self._http.open(self._from_position())
                if self._position and answer.status == 200:
                    self._skip(body)
            except Broken as broken:
                self._patience.wait(broken)
            else:
                if self._position:
                    self._patience.progressed()
                return body

    def _from_position(self) -> Request:
        request = self._request
        headers = {"Range": f"bytes={self._position}-"} if self._position else {}
        return Request(
            "GET", request.url, request.what, request.scopes, headers, expect=frozenset({200, 206})
        )

    def _skip(self, body: BinaryIO) -> None:
        left = self._position
        buffer = memoryview(bytearray(_SKIP))
        while left:
            count: int = body.readinto(buffer[:left])  # type: ignore[attr-defined]
            if not count:
                break
            left -= count
