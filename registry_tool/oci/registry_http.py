"""HTTP to one registry: authorization, redirects, retries, and clear failures.

Responses and exceptions of urllib3 do not leave this module and `registry_connections`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import BinaryIO, NoReturn, cast
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

import registry_tool
from registry_tool.errors import StoreProblem
from registry_tool.oci.registry_answers import TRANSIENT, Answer, Place, problem_of
from registry_tool.oci.registry_auth import Authorizer, Scopes
from registry_tool.oci.registry_connections import failure, open_pool
from registry_tool.oci.registry_credentials import DockerCredentials
from registry_tool.oci.registry_retries import Broken, Patience, retry_after
from registry_tool.oci.tar import Chunk

CONNECT_SECONDS = 30.0
"""To connect, and for each piece of a body to be taken."""
ANSWER_SECONDS = 120.0
COMMIT_SECONDS = 1800.0
"""After the last byte of a blob: some registries copy or hash it once more before they answer."""
_BODY_LIMIT = 8 << 20
_REDIRECTS = 5
_REDIRECTING = frozenset({301, 302, 303, 307, 308})


@dataclass(slots=True)
class Body:
    """A body that is produced while it is sent, once."""

    chunks: Iterable[Chunk]
    size: int
    sent: bool = False
    """Whether all of it was taken: an answer may come before that, and end the connection."""

    def __iter__(self) -> Iterator[Chunk]:
        yield from self.chunks
        self.sent = True


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `what` completes "cannot …" in messages; `scopes` is what a token must allow."""

    method: str
    url: str
    """Absolute, or relative to the registry."""
    what: str
    scopes: Scopes = ()
    headers: Mapping[str, str] | None = None
    body: bytes | Body | None = None
    expect: frozenset[int] = frozenset({200})
    seconds: float = ANSWER_SECONDS
    """To wait for an answer; longer for what is streamed."""


class RegistryHttp:
    """A connection pool for one registry, used by many threads at once."""

    def __init__(
        self,
        host: str,
        *,
        insecure: bool = False,
        credentials: DockerCredentials | None = None,
        create_help: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.host = host
        self.base = f"{'http' if insecure else 'https'}://{host}"
        self.insecure = insecure
        self.sleep = sleep
        self._create_help = create_help
        credentials = credentials or DockerCredentials()
        self._pool = open_pool(host, self.base, credentials.folder)
        self.authorizer = Authorizer(host, credentials, self._ask_token_server, insecure=insecure)

    def request(self, request: Request) -> Answer:
        """Send a request until it is answered as expected; bodies must be bytes.

        Raises StoreProblem (ContentMismatch for a refused digest) when it is not.
        """
        patience = Patience(self.sleep)
        while True:
            try:
                return self.send(request)
            except Broken as broken:
                patience.wait(broken)

    def send(self, request: Request) -> Answer:
        """Send a request once (twice when a token is missing); redirects are followed.

        Raises Broken when trying again may help.
        """
        url, headers = urljoin(self.base, request.url), dict(request.headers or {})
        for _ in range(_REDIRECTS):
            answer = self._authorized(request, url, headers)
            if answer.status in request.expect:
                return answer
            target = answer.headers.get("location")
            if answer.status not in _REDIRECTING or not target or isinstance(request.body, Body):
                self._raise(request, answer)
            url = self.resolved(answer.url, target, request.what)
        raise self._in_circles(request)

    def open(self, request: Request) -> tuple[Answer, BinaryIO]:
        """Send a GET whose body is read as it comes. The reader raises Broken when it breaks off."""
        url, headers = urljoin(self.base, request.url), dict(request.headers or {})
        for _ in range(_REDIRECTS):
            response = self._opened(request, url, headers)
            answer = _answer(response, url)
            if answer.status in request.expect:
                return answer, cast("BinaryIO", _Reader(self.host, request.what, response))
            target = answer.headers.get("location")
            body = self._drained(request, response)
            if answer.status not in _REDIRECTING or not target:
                self._raise(request, Answer(answer.status, answer.headers, body, url))
            url = self.resolved(url, target, request.what)
        raise self._in_circles(request)

    def resolved(self, url: str, location: str, what: str) -> str:
        """A Location header, which may be relative; it may lead elsewhere, but not out of TLS."""
        target = urljoin(url, location)
        if urlsplit(target).scheme == "https" or self.insecure:
            return target
        raise StoreProblem(
            f"the registry {self.host} sent us to plain HTTP ({urlsplit(target).netloc}): cannot"
            f" {what}",
            code="RT608",
            help="let the proxy before the registry set X-Forwarded-Proto: https",
        )

    def _in_circles(self, request: Request) -> StoreProblem:
        return StoreProblem(
            f"the registry {self.host} redirects in circles: cannot {request.what}",
            code="RT608",
            help="see the configuration of the registry and of proxies before it",
        )

    def place(self, what: str) -> Place:
        """For messages."""
        return Place(self.host, what, self.authorizer.user, self._create_help)

    def _authorized(self, request: Request, url: str, headers: dict[str, str]) -> Answer:
        sent = self._authorization(url, request.scopes)
        answer = self._exchange(request, url, _with(headers, sent))
        if answer.status != HTTPStatus.UNAUTHORIZED or not self._ours(url):
            return answer
        if not self.authorizer.challenged(answer, request.scopes, sent):
            return answer
        if isinstance(request.body, Body):
            problem = problem_of(answer, self.place(request.what))
            raise Broken(cast("StoreProblem", problem), at_once=True)
        return self._exchange(request, url, _with(headers, self.authorizer.header(request.scopes)))

    def _authorization(self, url: str, scopes: Scopes) -> str | None:
        """Logins and tokens are for the registry alone, not for where it sends us."""
        return self.authorizer.header(scopes) if self._ours(url) else None

    def _ours(self, url: str) -> bool:
        return _origin(url) == _origin(self.base)

    def _exchange(self, request: Request, url: str, headers: dict[str, str]) -> Answer:
        response = self._respond(request, url, headers)
        answer = _answer(response, url)
        return Answer(answer.status, answer.headers, self._drained(request, response), url)

    def _drained(self, request: Request, response: urllib3.BaseHTTPResponse) -> bytes:
        """The body, and the connection back to the pool where it can be used again."""
        try:
            data = response.read(_BODY_LIMIT, decode_content=False)
        except HTTPError as problem:
            response.close()
            raise failure(problem, self.host, request.what) from problem
        if (isinstance(request.body, Body) and not request.body.sent) or response.read(1):
            response.close()
        response.release_conn()
        return data

    def _opened(
        self, request: Request, url: str, headers: dict[str, str]
    ) -> urllib3.BaseHTTPResponse:
        sent = self._authorization(url, request.scopes)
        response = self._respond(request, url, _with(headers, sent))
        if response.status != HTTPStatus.UNAUTHORIZED or not self._ours(url):
            return response
        body = self._drained(request, response)
        refused = Answer(response.status, _headers(response), body, url)
        if not self.authorizer.challenged(refused, request.scopes, sent):
            self._raise(request, refused)
        sent = self.authorizer.header(request.scopes)
        return self._respond(request, url, _with(headers, sent))

    def _respond(
        self, request: Request, url: str, headers: dict[str, str]
    ) -> urllib3.BaseHTTPResponse:
        body: bytes | Iterable[bytes] | None
        if isinstance(request.body, Body):
            # urllib3 sends what supports the buffer protocol, and is typed for bytes only.
            body = cast("Iterable[bytes]", request.body)
            headers["Content-Length"] = str(request.body.size)
            seconds = COMMIT_SECONDS
        else:
            body = request.body
            seconds = request.seconds
        try:
            return self._pool.request(
                request.method,
                url,
                body=body,
                headers=headers,
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
                timeout=urllib3.Timeout(connect=min(CONNECT_SECONDS, seconds), read=seconds),
            )
        except (HTTPError, OSError) as problem:
            raise failure(problem, self.host, request.what) from problem

    def _raise(self, request: Request, answer: Answer) -> NoReturn:
        problem = problem_of(answer, self.place(request.what))
        if isinstance(problem, StoreProblem) and problem.transient:
            raise Broken(problem, after=retry_after(dict(answer.headers)))
        raise problem

    def _ask_token_server(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        request = Request(method, url, "get a token", headers=headers, body=body)
        patience = Patience(self.sleep)
        while True:
            try:
                answer = self._exchange(request, url, _with(dict(headers), None))
            except Broken as broken:
                patience.wait(broken)
                continue
            if answer.status not in TRANSIENT:
                return answer
            problem = problem_of(answer, self.place(request.what))
            patience.wait(
                Broken(cast("StoreProblem", problem), after=retry_after(dict(answer.headers)))
            )


class _Reader:
    """A body as it comes."""

    def __init__(self, host: str, what: str, response: urllib3.BaseHTTPResponse) -> None:
        self._host = host
        self._what = what
        self._response = response

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Bytes read; 0 at the end."""
        try:
            return self._response.readinto(buffer)
        except (HTTPError, OSError) as problem:
            raise failure(problem, self._host, self._what) from problem

    def close(self) -> None:
        """Give the connection up, unless everything was read."""
        self._response.close()


def _with(headers: dict[str, str], authorization: str | None) -> dict[str, str]:
    agent = {"User-Agent": f"registry-tool/{registry_tool.__version__}"}
    own = {"Authorization": authorization} if authorization else {}
    return {**agent, **headers, **own}


def _headers(response: urllib3.BaseHTTPResponse) -> dict[str, str]:
    # By name, because that joins headers that come several times.
    return {name.lower(): response.headers[name] for name in response.headers}


def _answer(response: urllib3.BaseHTTPResponse, url: str) -> Answer:
    return Answer(response.status, _headers(response), url=url)


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    default = 443 if parts.scheme == "https" else 80
    return parts.scheme, (parts.hostname or "").lower(), parts.port or default
