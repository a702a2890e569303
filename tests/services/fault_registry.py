"""An OCI registry in this process, with the faults and the habits of registries in the wild.

Only what the client uses: blobs (HEAD, GET with ranges, POST with mount, PATCH, PUT), manifests, tags with pages, and
Basic or Bearer authentication with a token server of its own. Everything that arrives is counted.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import ssl
import struct
import threading
import uuid
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

USER, PASSWORD = "ada", "difference-engine"
_PIECE = 1 << 16
_BLOB = re.compile(r"/v2/(?P<repository>.+)/blobs/(?P<digest>sha256:[0-9a-f]{64})")
_UPLOAD = re.compile(r"/v2/(?P<repository>.+)/blobs/uploads/(?P<upload>[^/]*)")
_MANIFEST = re.compile(r"/v2/(?P<repository>.+)/manifests/(?P<reference>[^/]+)")
_TAGS = re.compile(r"/v2/(?P<repository>.+)/tags/list")


@dataclass
class Faults:
    """What goes wrong. Lists and deques are used up from the front."""

    auth: str | None = None
    """``basic`` or ``bearer``."""
    token_seconds: int = 300
    put_limit: int | None = None
    """A larger body of a PUT is answered with 413, before it is read."""
    patch_limit: int | None = None
    """A larger body of a PATCH is answered with 416."""
    patch_status: int = 202
    drops_later_chunks: bool = False
    breaks: deque[int] = field(default_factory=deque)
    """Blob uploads whose connection is reset after so many bytes of the body."""
    cuts: deque[int] = field(default_factory=deque)
    """Blob downloads whose connection is closed after so many bytes."""
    resumes: bool = True
    """Whether bytes of a broken request are kept, and their number told."""
    refusals: deque[tuple[str, str, int, dict[str, str]]] = field(default_factory=deque)
    """Method, part of the path, status and headers of answers to the next requests that fit."""
    message: dict[str, str] = field(default_factory=dict)
    """The OCI error in the body of a refusal."""
    read_only: bool = False
    """Pushing is denied; the token server gives no right to it either."""
    hides: bool = False
    """The token server gives no right to read a repository that does not exist."""
    mounts: bool = True
    rots: bool = False
    """Blobs and manifests are answered with another byte at their end."""
    lies: bool = False
    """A PUT is answered with another digest."""
    relative: bool = False
    """Locations have no host."""
    ranges: bool = True
    """Whether downloads can start in the middle."""
    quiet: bool = False
    """Whether the answer to HEAD of a manifest says neither digest nor length."""
    page: int = 1000
    """Tags in one answer."""
    least_chunk: int = 0
    """What the registry says is the smallest chunk, except the last."""


@dataclass
class Registry:
    """What is kept, what arrived, and what shall go wrong."""

    host: str
    scheme: str = "http"
    """In locations."""
    faults: Faults = field(default_factory=Faults)
    blobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    uploads: dict[str, bytearray] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    """Method and path, without the query."""
    tags_put: list[str] = field(default_factory=list)
    uploaded: Counter[str] = field(default_factory=Counter)
    """Bytes of blobs that arrived, by repository; also those of broken requests."""
    tokens: dict[str, set[str]] = field(default_factory=dict)
    """Scopes by token."""
    token_requests: int = 0

    @property
    def bytes_uploaded(self) -> int:
        """Bytes of blobs that arrived, in all repositories."""
        return sum(self.uploaded.values())

    def counted(self, method: str, part: str = "") -> int:
        """How many requests there were."""
        return sum(entry.startswith(f"{method} ") and part in entry for entry in self.requests)


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@contextmanager
def fault_registry(tls: ssl.SSLContext | None = None) -> Iterator[Registry]:
    """A running registry; it is stopped at the end."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.registry = Registry(f"127.0.0.1:{server.server_port}", "https" if tls else "http")
    if tls is not None:
        # The handshake is done by the first read, in the connection's own thread.
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    registry: Registry

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are what is tested."""


class _Broken(Exception):
    """The connection is to be reset."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._handle
        raise AttributeError(name)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr."""

    @property
    def _registry(self) -> Registry:
        return self.server.registry

    def _handle(self) -> None:
        self._read = 0
        parts = urlsplit(self.path)
        self._registry.requests.append(f"{self.command} {parts.path}")
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        try:
            self._dispatch(parts.path, query)
        except _Broken:
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def _dispatch(self, path: str, query: dict[str, str]) -> None:
        if self._refused(path):
            return
        if path == "/token":
            self._token()
        elif path == "/v2/":
            if self._allowed(path, query):
                self._answer(200)
        elif self._allowed(path, query):
            for pattern, name in (
                (_BLOB, "blob"),
                (_UPLOAD, "upload"),
                (_MANIFEST, "manifest"),
                (_TAGS, "tags"),
            ):
                if match := pattern.fullmatch(path):
                    getattr(self, f"_{name}_{self.command.lower()}")(query, **match.groupdict())
                    return
            self._answer(404)

    # --- Answers ---

    def _answer(
        self,
        status: int,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        *,
        code: str = "",
    ) -> None:
        if status >= 400 and not body:
            error = {
                "code": code or "UNKNOWN",
                "message": code.lower(),
                **self._registry.faults.message,
            }
            body = json.dumps({"errors": [error]}).encode()
        unread = int(self.headers.get("Content-Length") or 0) - self._read
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        if unread:
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _refused(self, path: str) -> bool:
        refusals = self._registry.faults.refusals
        if refusals and refusals[0][0] == self.command and refusals[0][1] in path:
            _, _, status, headers = refusals.popleft()
            self._answer(status, headers)
            return True
        return False

    def _location(self, repository: str, upload: str, state: int) -> dict[str, str]:
        path = f"/v2/{repository}/blobs/uploads/{upload}?_state={state}"
        prefix = (
            ""
            if self._registry.faults.relative
            else f"{self._registry.scheme}://{self._registry.host}"
        )
        received = {"Range": f"0-{max(state - 1, 0)}"}
        return {"Location": prefix + path, **received}

    # --- Authentication ---

    def _allowed(self, path: str, query: dict[str, str]) -> bool:
        faults = self._registry.faults
        pushes = self.command not in {"GET", "HEAD"}
        sent = self.headers.get("Authorization", "")
        if faults.auth == "basic" and sent != _basic():
            self._answer(401, {"WWW-Authenticate": 'Basic realm="test"'}, code="UNAUTHORIZED")
            return False
        if faults.auth == "bearer" and not self._token_allows(path, query, sent, pushes):
            realm = f'Bearer realm="{self._registry.scheme}://{self._registry.host}/token",service="test"'
            self._answer(401, {"WWW-Authenticate": realm}, code="UNAUTHORIZED")
            return False
        if faults.read_only and pushes:
            self._answer(403, code="DENIED")
            return False
        return True

    def _token_allows(self, path: str, query: dict[str, str], sent: str, pushes: bool) -> bool:
        repository = re.match(r"/v2/(.+?)/(?:blobs|manifests|tags)/", path)
        if repository is None:
            return sent.removeprefix("Bearer ") in self._registry.tokens
        name = repository[1]
        wanted = {f"repository:{name}:{'pull,push' if pushes else 'pull'}"}
        if "from" in query:
            wanted.add(f"repository:{query['from']}:pull")
        granted = self._registry.tokens.get(sent.removeprefix("Bearer "), set())
        if not pushes:
            granted = granted | {scope.replace("pull,push", "pull") for scope in granted}
        return wanted <= granted

    def _token(self) -> None:
        self._registry.token_requests += 1
        if self.headers.get("Authorization") != _basic():
            self._answer(401, code="UNAUTHORIZED")
            return
        token = uuid.uuid4().hex
        scopes = parse_qs(urlsplit(self.path).query).get("scope", [])
        if any(self._withheld(*scope.split(":")[1:]) for scope in scopes):
            self._answer(403, code="DENIED")
            return
        self._registry.tokens[token] = set(scopes)
        document = {"token": token, "expires_in": self._registry.faults.token_seconds}
        self._answer(200, {}, json.dumps(document).encode())

    def _withheld(self, repository: str, rights: str) -> bool:
        if rights != "pull":
            return self._registry.faults.read_only
        known = {owner for owner, _ in (*self._registry.blobs, *self._registry.manifests)}
        return self._registry.faults.hides and repository not in known

    # --- Blobs ---

    def _blob_head(self, query: dict[str, str], repository: str, digest: str) -> None:
        self._blob_get(query, repository, digest)

    def _blob_get(self, query: dict[str, str], repository: str, digest: str) -> None:
        data = self._registry.blobs.get((repository, digest))
        faults = self._registry.faults
        if data is None:
            self._answer(404, code="BLOB_UNKNOWN")
            return
        if faults.rots:
            data = data[:-1] + b"!"
        start, asked = 0, self.headers.get("Range")
        if asked and faults.ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if faults.cuts and self.command == "GET":
            cut = faults.cuts.popleft()
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            self.wfile.write(data[start : start + cut])
            self.wfile.flush()
            raise _Broken
        self._answer(
            206 if start else 200, {}, data[start:]
        ) if self.command == "GET" else self._answer(200, {"Content-Length": str(len(data))})

    def _upload_post(self, query: dict[str, str], repository: str, upload: str) -> None:
        digest = query.get("mount", "")
        data = self._registry.blobs.get((query.get("from", ""), digest))
        if data is not None and self._registry.faults.mounts:
            self._registry.blobs[repository, digest] = data
            self._answer(201, {"Location": f"/v2/{repository}/blobs/{digest}"})
            return
        upload = uuid.uuid4().hex
        self._registry.uploads[upload] = bytearray()
        headers = self._location(repository, upload, 0)
        if least := self._registry.faults.least_chunk:
            headers["OCI-Chunk-Min-Length"] = str(least)
        self._answer(202, headers)

    def _upload_get(self, query: dict[str, str], repository: str, upload: str) -> None:
        kept = self._registry.uploads.get(upload)
        if kept is None or not self._registry.faults.resumes:
            self._answer(404, code="BLOB_UPLOAD_UNKNOWN")
            return
        self._answer(204, self._location(repository, upload, len(kept)))

    def _upload_delete(self, query: dict[str, str], repository: str, upload: str) -> None:
        known = self._registry.uploads.pop(upload, None)
        self._answer(204 if known is not None else 404)

    def _upload_patch(self, query: dict[str, str], repository: str, upload: str) -> None:
        faults, kept = self._registry.faults, self._registry.uploads.get(upload)
        if kept is None:
            self._answer(404, code="BLOB_UPLOAD_UNKNOWN")
        elif faults.patch_limit is not None and self._length > faults.patch_limit:
            self._answer(416, code="REQUESTED_RANGE_NOT_SATISFIABLE")
        elif self._misplaced(len(kept)):
            self._answer(416, self._location(repository, upload, len(kept)))
        else:
            before = len(kept)
            data = self._body(repository, kept if faults.resumes else bytearray())
            if not faults.resumes:
                kept += data
            if faults.drops_later_chunks and before:
                del kept[before:]
            self._answer(faults.patch_status, self._location(repository, upload, len(kept)))

    def _upload_put(self, query: dict[str, str], repository: str, upload: str) -> None:
        faults, kept = self._registry.faults, self._registry.uploads.get(upload)
        if kept is None:
            self._answer(404, code="BLOB_UPLOAD_UNKNOWN")
            return
        if faults.put_limit is not None and self._length > faults.put_limit:
            self._answer(413)
            return
        if self._misplaced(len(kept)):
            self._answer(416, self._location(repository, upload, len(kept)))
            return
        if faults.resumes:
            self._body(repository, kept)
        else:
            kept += self._body(repository, bytearray())
        digest = query["digest"]
        if digest_of(bytes(kept)) != digest:
            self._registry.uploads.pop(upload)
            self._answer(400, code="DIGEST_INVALID")
            return
        self._registry.uploads.pop(upload)
        self._registry.blobs[repository, digest] = bytes(kept)
        told = "sha256:" + "0" * 64 if faults.lies else digest
        self._answer(201, {"Docker-Content-Digest": told})

    @property
    def _length(self) -> int:
        return int(self.headers.get("Content-Length") or 0)

    def _misplaced(self, offset: int) -> bool:
        asked = self.headers.get("Content-Range")
        return asked is not None and int(asked.partition("-")[0]) != offset

    def _body(self, repository: str, kept: bytearray) -> bytearray:
        """Add the body to what is kept, piece by piece: what came before a reset stays."""
        breaks = self._registry.faults.breaks
        until = breaks.popleft() if breaks and self._length else None
        while self._read < self._length:
            piece = self.rfile.read(min(_PIECE, self._length - self._read))
            if not piece:
                raise _Broken
            if until is not None and self._read + len(piece) > until:
                piece = piece[: until - self._read]
            self._read += len(piece)
            self._registry.uploaded[repository] += len(piece)
            kept += piece
            if until is not None and self._read >= until:
                raise _Broken
        return kept

    # --- Manifests ---

    def _manifest_head(self, query: dict[str, str], repository: str, reference: str) -> None:
        self._manifest_get(query, repository, reference)

    def _manifest_get(self, query: dict[str, str], repository: str, reference: str) -> None:
        found = self._registry.manifests.get((repository, reference))
        if found is None:
            self._answer(404, code="MANIFEST_UNKNOWN")
            return
        media_type, data = found
        digest = digest_of(data)
        data = data[:-1] + b" " if self._registry.faults.rots else data
        if self.command == "HEAD" and self._registry.faults.quiet:
            self._answer(200, {"Content-Type": media_type})
            return
        headers = {"Content-Type": media_type, "Docker-Content-Digest": digest}
        self._answer(200, {**headers, "Content-Length": str(len(data))}, data)

    def _manifest_put(self, query: dict[str, str], repository: str, reference: str) -> None:
        data = self.rfile.read(self._length)
        self._read = len(data)
        document = json.loads(data)
        needed = [document["config"], *document["layers"]] if "layers" in document else []
        if any((repository, entry["digest"]) not in self._registry.blobs for entry in needed):
            self._answer(404, code="MANIFEST_BLOB_UNKNOWN")
            return
        kept = (self.headers["Content-Type"], data)
        self._registry.manifests[repository, reference] = kept
        self._registry.manifests[repository, digest_of(data)] = kept
        if not reference.startswith("sha256:"):
            self._registry.tags_put.append(reference)
        told = "sha256:" + "0" * 64 if self._registry.faults.lies else digest_of(data)
        self._answer(201, {"Docker-Content-Digest": told})

    def _tags_get(self, query: dict[str, str], repository: str) -> None:
        known = (name for owner, name in self._registry.manifests if owner == repository)
        names = sorted(name for name in known if ":" not in name)
        if not names:
            self._answer(404, code="NAME_UNKNOWN")
            return
        rest = [name for name in names if name > query.get("last", "")]
        page = rest[: self._registry.faults.page]
        link = f'</v2/{repository}/tags/list?n=1&last={page[-1]}>; rel="next"'
        headers = {"Link": link} if len(rest) > len(page) else {}
        self._answer(200, headers, json.dumps({"name": repository, "tags": page}).encode())


def _basic() -> str:
    return "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def docker_config(host: str, user: str = USER, password: str = PASSWORD) -> str:
    """A Docker configuration with one login."""
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    return json.dumps({"auths": {host: {"auth": encoded}}})
