"""One blob on its way to a registry: in one request or in chunks, and again from where it broke off."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, NoReturn

from registry_tool.errors import ContentMismatch, RegistryToolError, StoreProblem
from registry_tool.oci.blob_source import BlobSource, CannotRewind, SourceFailed
from registry_tool.oci.registry_answers import Answer, problem_of
from registry_tool.oci.registry_http import ANSWER_SECONDS, Body, RegistryHttp, Request
from registry_tool.oci.registry_names import push
from registry_tool.oci.registry_profiles import MIB, RegistryProfile
from registry_tool.oci.registry_retries import Broken, Patience

_STORED = frozenset({201, 202, 204})
_TOO_LARGE = frozenset({413, 416})
_FORGOTTEN = frozenset({404})
_GONE = frozenset({200, 202, 204, 404})
_CANCEL_SECONDS = 10.0
"""Somebody may be waiting at the terminal, and the registry cleans up by itself some day."""
_SMALL_CHUNK = 16 * MIB
_RANGE = re.compile(r"(?:bytes=)?0-(\d+)")
_OCTETS = {"Content-Type": "application/octet-stream"}


@dataclass
class UploadStyle:
    """How blobs are sent to one registry: as its profile says, until it turns out to want it otherwise."""

    profile: RegistryProfile
    learnt: Literal["chunks", "whole"] | None = None
    """``chunks`` after a whole blob was too large, ``whole`` after chunks did not work."""

    def chunk_for(self, size: int) -> int | None:
        """Bytes of each request for a blob of this size; None for a single PUT."""
        chunk = self.profile.chunk_for(size)
        most = self.profile.max_put
        if self.learnt == "whole" and (most is None or size <= most):
            return None
        if chunk is None and self.learnt == "chunks" and size > _SMALL_CHUNK:
            return _SMALL_CHUNK
        return chunk


class _StyleChanged(Exception):
    """The registry does not take blobs this way: start again in the other."""


class BlobUpload:
    """Brings one blob to a repository; `run` once."""

    def __init__(
        self,
        http: RegistryHttp,
        style: UploadStyle,
        path: str,
        digest: str,
        size: int,
        source: BlobSource,
    ) -> None:
        self._http = http
        self._style = style
        self._path = path
        self._digest = digest
        self._size = size
        self._source = source
        self._scopes = push(path)
        self._what = f"upload {digest[:19]}… to {path}"
        self._location: str | None = None
        self._offset = 0
        self._best = 0
        self._chunk: int | None = None
        self._least = 0
        self._may_resume = style.profile.resumes
        self._resumed = False

    def run(self) -> None:
        """Send the blob. Raises StoreProblem or ContentMismatch, or what the source raised."""
        patience = Patience(self._http.sleep)
        try:
            while True:
                try:
                    self._attempt()
                    return
                except Broken as broken:
                    patience.wait(broken)
                    if self._is_there():
                        return
                    self._find_offset(patience)
                    if not self._source.can_rewind(self._offset):
                        raise broken.problem from broken
        except SourceFailed as failed:
            self._cancel()
            raise failed.__cause__ or failed from None
        except BaseException:
            self._cancel()
            raise

    def _attempt(self) -> None:
        try:
            if self._location is None:
                self._start()
            self._send()
        except _StyleChanged:
            self._cancel()
            raise Broken(self._problem("it takes blobs in no known way"), at_once=True) from None
        except CannotRewind:
            raise self._problem("it broke off") from None
        except ContentMismatch:
            if not self._resumed:
                raise
            # What was there from before need not have been what it seemed.
            self._may_resume = False
            self._cancel()
            raise Broken(self._problem("it could not be resumed"), at_once=True) from None

    def _start(self) -> None:
        url = f"/v2/{self._path}/blobs/uploads/"
        answer = self._http.send(
            Request("POST", url, self._what, self._scopes, body=b"", expect=frozenset({202}))
        )
        self._offset = 0
        self._resumed = False
        least = answer.headers.get("oci-chunk-min-length", "")
        self._least = int(least) if least.isdigit() else 0
        self._move(answer)

    def _send(self) -> None:
        chunk = self._chunk = self._style.chunk_for(self._size)
        step = max(chunk or 0, self._least)
        if chunk is None:
            self._put(self._offset, self._size)
            return
        while self._offset < self._size:
            self._patch(self._offset, min(self._offset + step, self._size))
        self._put(self._size, self._size)

    def _put(self, start: int, stop: int) -> None:
        """Send what is left, and say that this is all."""
        location = self._location or ""
        url = f"{location}{'&' if '?' in location else '?'}digest={self._digest}"
        answer = self._sent("PUT", url, start, stop)
        if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            self._change_to("chunks", answer)
        if answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            self._start_anew(answer)
        kept = answer.headers.get("docker-content-digest", self._digest)
        if kept != self._digest:
            raise self._problem(f"it was kept as {kept}, and is not what was sent", transient=False)

    def _patch(self, start: int, stop: int) -> None:
        answer = self._sent("PATCH", self._location or "", start, stop)
        received = _received(answer)
        # Some registries answer that all is well, and drop the chunk.
        dropped = received is not None and received <= start
        if answer.status in _TOO_LARGE or dropped:
            self._change_to("whole", answer)
        self._offset = stop if received is None else min(received, stop)
        self._move(answer)

    def _sent(self, method: str, url: str, start: int, stop: int) -> Answer:
        """Send bytes, or none to end an upload; an upload that the registry forgot starts anew."""
        headers = dict(_OCTETS)
        if stop - start not in {0, self._size} or method == "PATCH":
            headers["Content-Range"] = f"{start}-{stop - 1}"
        body = Body(self._source.pieces(start, stop), stop - start) if stop > start else b""
        expect = _STORED | _TOO_LARGE | _FORGOTTEN
        answer = self._http.send(
            Request(method, url, self._what, self._scopes, headers, body, expect)
        )
        if answer.status in _FORGOTTEN:
            self._start_anew(answer)
        return answer

    def _start_anew(self, answer: Answer) -> NoReturn:
        self._location, self._offset = None, 0
        words = f"it lost the upload ({answer.words})"
        raise Broken(self._problem(words)) from None

    def _ask(
        self, method: str, url: str, expect: frozenset[int], seconds: float = ANSWER_SECONDS
    ) -> Request:
        """A request without a body."""
        return Request(method, url, self._what, self._scopes, expect=expect, seconds=seconds)

    def _change_to(self, learnt: Literal["chunks", "whole"], answer: Answer) -> NoReturn:
        """Start again in another way, for all further blobs; but never change a second time."""
        style = self._style
        style.learnt = style.learnt or learnt
        if style.chunk_for(self._size) == self._chunk:
            raise problem_of(answer, self._http.place(self._what))
        raise _StyleChanged

    def _move(self, answer: Answer) -> None:
        """Where the next request goes: registries keep the state of an upload in its URL."""
        location = answer.headers.get("location")
        if location:
            base = self._location or answer.url
            self._location = self._http.resolved(base, location, self._what)
        elif self._location is None:
            raise self._problem("it does not say where (no Location)", transient=False)

    def _is_there(self) -> bool:
        """Whether only the answer was lost, or another process was faster."""
        url = f"/v2/{self._path}/blobs/{self._digest}"
        expect = frozenset({200, 404})
        return self._http.request(self._ask("HEAD", url, expect)).status != HTTPStatus.NOT_FOUND

    def _find_offset(self, patience: Patience) -> None:
        """Ask how much the registry has; where it does not say, start anew."""
        if self._location is None:
            return
        if self._may_resume:
            with suppress(Broken, RegistryToolError):
                answer = self._http.send(self._ask("GET", self._location, frozenset({200, 204})))
                received = _received(answer)
                if received is not None and 0 < received <= self._size:
                    self._offset = received
                    self._resumed = True
                    self._move(answer)
                    if received > self._best:
                        self._best = received
                        patience.progressed()
                    return
        self._cancel()

    def _cancel(self) -> None:
        """Give the unfinished upload up, as far as the registry cares."""
        location, self._location = self._location, None
        self._offset = 0
        if location is not None:
            with suppress(Broken, RegistryToolError):
                self._http.send(self._ask("DELETE", location, _GONE, _CANCEL_SECONDS))

    def _problem(self, why: str, *, transient: bool = True) -> StoreProblem:
        return StoreProblem(
            f"the registry {self._http.host} did not take a blob: {why}; cannot {self._what}",
            code="RT608",
            help="build again; if it stays, see the log of the registry",
            transient=transient,
        )


def _received(answer: Answer) -> int | None:
    """How many bytes the registry says it has. ``0-0`` may be none or one, and says nothing."""
    match = _RANGE.fullmatch(answer.headers.get("range", ""))
    return int(match[1]) + 1 if match and match[1] != "0" else None
