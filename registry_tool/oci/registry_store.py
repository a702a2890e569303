"""Images in a registry that speaks the OCI distribution protocol.

Blobs come first, then the documents that point to them, and tags last. There is no moment at which
all tags move together, so the tag by which a finished build is found is the last one: what was
tagged before it is put again when a build is interrupted there.
"""

from __future__ import annotations

import hashlib
import io
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from http import HTTPStatus
from typing import Any, BinaryIO, cast
from urllib.parse import quote

from registry_tool import failpoints
from registry_tool.domain.digests import digest_of
from registry_tool.domain.references import ImageReference
from registry_tool.errors import ContentMismatch, RegistryToolError, StoreProblem
from registry_tool.oci.blob_source import BlobSource
from registry_tool.oci.descriptors import INDEX_TYPES, MANIFEST_TYPES, Descriptor, is_digest
from registry_tool.oci.image import parse_object
from registry_tool.oci.registry_answers import Answer
from registry_tool.oci.registry_auth import Scopes
from registry_tool.oci.registry_credentials import DockerCredentials
from registry_tool.oci.registry_http import RegistryHttp, Request
from registry_tool.oci.registry_profiles import profile_for
from registry_tool.oci.registry_reading import BlobReader
from registry_tool.oci.registry_retries import Broken
from registry_tool.oci.registry_upload import BlobUpload, UploadStyle
from registry_tool.oci.tar import Chunk

_ACCEPT = {"Accept": ", ".join(sorted(MANIFEST_TYPES | INDEX_TYPES))}
_FOUND = frozenset({200, 404})
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
_NEXT = re.compile(r'<([^<>]*)>\s*;[^,]*rel="?next"?', re.IGNORECASE)
_MANIFEST_LIMIT = 4 << 20
_REMEMBERED = 64
_PARALLEL = 8
_READ_BUFFER = 1 << 20
_HUB = "registry-1.docker.io"


class RegistryStore:
    """An `ImageStore` in a registry, below `repository` (``host[:port]/path``).

    `profile` names one of `registry_profiles.PROFILES`, which otherwise follows from the host.
    """

    def __init__(
        self,
        repository: str,
        *,
        insecure: bool = False,
        profile: str | None = None,
        credentials: DockerCredentials | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        reference = ImageReference.parse(repository)
        self.name = repository
        self.host = reference.host
        self._path = reference.path
        hub = reference.host in {"docker.io", "index.docker.io"}
        address = _HUB if hub else reference.host
        self.profile = profile_for(address, profile)
        self._http = RegistryHttp(
            address,
            insecure=insecure,
            credentials=credentials,
            create_help=self.profile.create_help,
            sleep=sleep,
        )
        self._style = UploadStyle(self.profile)
        self._lock = threading.Lock()
        self._documents: OrderedDict[str, bytes] = OrderedDict()
        self._holders: dict[str, str] = {}

    def ping(self) -> str | None:
        """Whose login the registry accepts, None for nobody's; raises StoreProblem."""
        self._http.request(Request("GET", "/v2/", "be asked whether it is there"))
        return self._http.authorizer.user

    # --- Image manifests and tags ---

    def resolve(self, repository: str, tag_or_digest: str) -> Descriptor | None:
        """See `ImageStore`."""
        what = f"find {self._named(repository, tag_or_digest)}"
        request = self._manifest_request("HEAD", repository, tag_or_digest, what)
        answer = self._http.request(request)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        return self._described(answer) or self._read_descriptor(repository, tag_or_digest)

    def tags(self, repository: str) -> Mapping[str, Descriptor]:
        """See `ImageStore`; one request for each tag, several at a time."""
        names = sorted(self._tag_names(repository))
        with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="tags") as pool:
            found = list(pool.map(lambda name: self.resolve(repository, name), names))
        return {name: each for name, each in zip(names, found, strict=True) if each is not None}

    def read_manifest(self, repository: str, digest: str) -> bytes:
        """See `ImageStore`."""
        self._require_digest(digest)
        with self._lock:
            known = self._documents.get(digest)
        if known is not None:
            return known
        what = f"read the image manifest {self._named(repository, digest)}"
        request = self._manifest_request("GET", repository, digest, what)
        answer = self._http.request(request)
        if answer.status == HTTPStatus.NOT_FOUND:
            raise self._missing(repository, digest, "image manifest")
        if digest_of(answer.body) != digest:
            raise ContentMismatch(
                f"{self.host} answered with other content than asked for: cannot {what}",
                help="the registry's storage is damaged; remove the image there, and build again",
            )
        return answer.body

    def write_manifest(self, repository: str, descriptor: Descriptor, data: bytes) -> None:
        """See `ImageStore`."""
        self._put(repository, descriptor.digest, descriptor, data)
        with self._lock:
            self._documents[descriptor.digest] = data
            while len(self._documents) > _REMEMBERED:
                self._documents.popitem(last=False)
        failpoints.reach("blob-written")

    def put_tags(self, repository: str, tags: Mapping[str, Descriptor]) -> None:
        """See `ImageStore`: in the given order. A tag that is right already is left alone."""
        for tag in tags:
            if not _TAG.fullmatch(tag):
                raise StoreProblem(f'"{tag}" cannot be an image tag', code="RT608")
        for tag, descriptor in tags.items():
            present = self.resolve(repository, tag)
            if present is None or present.digest != descriptor.digest:
                data = self.read_manifest(repository, descriptor.digest)
                self._put(repository, tag, descriptor, data)
        failpoints.reach("image-tagged")

    # --- Blobs ---

    def check_layers(self, sizes: Sequence[int]) -> None:
        """See `ImageStore`."""
        profile = self.profile
        most, count = profile.max_layer, profile.max_layers
        if count is not None and len(sizes) > count:
            raise self._beyond(f"an image with {len(sizes)} layers", f"{count} layers")
        if most is not None and sizes and max(sizes) > most:
            raise self._beyond(f"a layer of {max(sizes)} bytes", f"{most} bytes")

    def has_blob(self, repository: str, digest: str) -> bool:
        """See `ImageStore`."""
        return self._head_blob(repository, digest).status != HTTPStatus.NOT_FOUND

    def blob_size(self, repository: str, digest: str) -> int | None:
        """See `ImageStore`."""
        answer = self._head_blob(repository, digest)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        length = answer.headers.get("content-length", "")
        if not length.isdigit():
            raise StoreProblem(
                f"{self.host} does not say how large {self._named(repository, digest)} is",
                code="RT608",
                help="a proxy before the registry may drop Content-Length from answers to HEAD",
            )
        return int(length)

    def mount_blob(self, repository: str, digest: str, source: str | None = None) -> bool:
        """See `ImageStore`.

        Without a `source`, the repository in which this process saw the blob last is tried.
        A `source` may also be any other repository of the registry, with its host.
        """
        if self.has_blob(repository, digest):
            return True
        with self._lock:
            seen = self._holders.get(digest)
        for candidate in dict.fromkeys((source, seen)):
            if candidate is None or candidate == repository:
                continue
            if self._mounted(repository, digest, self._source_path(candidate)):
                self._remember(repository, digest)
                return True
        return False

    def open_blob(self, repository: str, digest: str) -> BinaryIO:
        """See `ImageStore`; the digest is checked at the end."""
        what = f"read {self._named(repository, digest)}"
        request = self._blob_request("GET", repository, digest, what)
        try:
            return cast(
                "BinaryIO", io.BufferedReader(BlobReader(self._http, request, digest), _READ_BUFFER)
            )
        except StoreProblem as problem:
            if not problem.transient and not self.has_blob(repository, digest):
                raise self._missing(repository, digest, "blob") from problem
            raise

    def write_blob(self, repository: str, digest: str, size: int, chunks: Iterable[Chunk]) -> None:
        """See `ImageStore`.

        The registry compares the digest; what is small enough to be looked at beforehand is also
        compared here. `chunks` that can be iterated again let a broken upload go on.
        """
        self._require_digest(digest)
        self.check_layers([size])
        if self.has_blob(repository, digest):
            return
        path = self._repository_path(repository)
        name = f"{repository}@{digest}"
        if isinstance(chunks, Sequence):
            _compare(name, digest, chunks)
        with closing(BlobSource(chunks, size, name)) as source:
            BlobUpload(self._http, self._style, path, digest, size, source).run()
        self._remember(repository, digest)
        failpoints.reach("blob-written")

    # --- Requests ---

    def _put(self, repository: str, name: str, descriptor: Descriptor, data: bytes) -> None:
        path = self._repository_path(repository)
        answer = self._http.request(
            Request(
                "PUT",
                f"/v2/{path}/manifests/{name}",
                f"put {self._named(repository, name)}",
                (f"repository:{path}:pull,push",),
                {"Content-Type": descriptor.media_type},
                data,
                frozenset({200, 201, 202}),
            )
        )
        kept = answer.headers.get("docker-content-digest", descriptor.digest)
        if kept != descriptor.digest:
            raise StoreProblem(
                f"{self.host} keeps {self._named(repository, name)} as {kept}, and not as it was"
                f" sent ({descriptor.digest})",
                code="RT608",
                help="a registry must not change image manifests: correct its configuration",
            )

    def _manifest_request(self, method: str, repository: str, name: str, what: str) -> Request:
        if not is_digest(name) and not _TAG.fullmatch(name):
            raise StoreProblem(f'"{name}" is neither an image tag nor a digest', code="RT608")
        path = self._repository_path(repository)
        url, scopes = f"/v2/{path}/manifests/{name}", self._pull(path)
        return Request(method, url, what, scopes, _ACCEPT, expect=_FOUND)

    def _blob_request(self, method: str, repository: str, digest: str, what: str) -> Request:
        self._require_digest(digest)
        path = self._repository_path(repository)
        url = f"/v2/{path}/blobs/{digest}"
        return Request(method, url, what, self._pull(path), expect=_FOUND)

    def _head_blob(self, repository: str, digest: str) -> Answer:
        what = f"look for {self._named(repository, digest)}"
        answer = self._http.request(self._blob_request("HEAD", repository, digest, what))
        if answer.status != HTTPStatus.NOT_FOUND:
            self._remember(repository, digest)
        return answer

    def _mounted(self, repository: str, digest: str, source: str) -> bool:
        path = self._repository_path(repository)
        query = f"mount={quote(digest)}&from={quote(source, safe='/')}"
        scopes = (f"repository:{path}:pull,push", f"repository:{source}:pull")
        what = f"mount {digest[:19]}… from {source} into {path}"
        request = Request(
            "POST",
            f"/v2/{path}/blobs/uploads/?{query}",
            what,
            scopes,
            {"Content-Length": "0"},
            b"",
            frozenset({201, 202, 401, 403, 404}),
        )
        try:
            answer = self._http.request(request)
        except StoreProblem as problem:
            if problem.transient:
                raise
            return False  # no token for both, as it may be: an upload needs only one of them
        if answer.status == HTTPStatus.ACCEPTED and "location" in answer.headers:
            # Not mounted: the registry waits for an upload, which has its own way here.
            location = self._http.resolved(answer.url, answer.headers["location"], what)
            expect = frozenset({200, 202, 204, 404})
            with suppress(Broken, RegistryToolError):
                self._http.send(Request("DELETE", location, what, scopes, expect=expect))
        # Refused: the source may be private or gone, which an upload need not mind.
        return answer.status == HTTPStatus.CREATED

    def _tag_names(self, repository: str) -> list[str]:
        path = self._repository_path(repository)
        what = f"list the tags of {path}"
        url, names = f"/v2/{path}/tags/list?n=1000", list[str]()
        while url:
            answer = self._http.request(Request("GET", url, what, self._pull(path), expect=_FOUND))
            if answer.status == HTTPStatus.NOT_FOUND:
                break
            listed: Any = parse_object(answer.body, f"the tag list of {path}").get("tags")
            names += [str(name) for name in listed or () if _TAG.fullmatch(str(name))]
            following = _NEXT.search(answer.headers.get("link", ""))
            url = self._http.resolved(answer.url, following[1], what) if following else ""
        return names

    def _described(self, answer: Answer) -> Descriptor | None:
        media_type = answer.headers.get("content-type", "").partition(";")[0].strip()
        digest = answer.headers.get("docker-content-digest", "")
        length = answer.headers.get("content-length", "")
        if not is_digest(digest) or not length.isdigit() or media_type not in _MANIFESTS:
            return None
        return Descriptor(media_type, digest, int(length))

    def _read_descriptor(self, repository: str, name: str) -> Descriptor | None:
        """From the document itself, where the headers do not say enough."""
        what = f"read {self._named(repository, name)}"
        answer = self._http.request(self._manifest_request("GET", repository, name, what))
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        document = parse_object(answer.body, self._named(repository, name))
        media_type = document.get("mediaType") or answer.headers.get("content-type", "")
        return Descriptor(str(media_type), digest_of(answer.body), len(answer.body))

    # --- Names ---

    def _pull(self, path: str) -> Scopes:
        return (f"repository:{path}:pull",)

    def _remember(self, repository: str, digest: str) -> None:
        with self._lock:
            self._holders[digest] = repository

    def _repository_path(self, repository: str) -> str:
        return _checked(f"{self._path}/{repository}" if self._path else repository)

    def _source_path(self, source: str) -> str:
        own = f"{self.host}/"
        if source.startswith(own):
            return _checked(source.removeprefix(own))
        return self._repository_path(source)

    def _named(self, repository: str, name: str) -> str:
        return f"{self.name}/{repository}{'@' if ':' in name else ':'}{name}"

    def _require_digest(self, digest: str) -> None:
        if not is_digest(digest):
            raise StoreProblem(f'"{digest}" is not a sha256 digest', code="RT608")

    def _missing(self, repository: str, digest: str, kind: str) -> StoreProblem:
        return StoreProblem(
            f"{self.name}/{repository} has no {kind} {digest}",
            code="RT608",
            help="build the release again, or copy the image into the registry",
        )

    def _beyond(self, what: str, limit: str) -> StoreProblem:
        return StoreProblem(
            f"the registry {self.host} takes no more than {limit}, and this is {what}",
            code="RT608",
            help="split the file (safetensors: shards), or use another registry; if the limit is"
            " not right: git config registry-tool.registry-profile default",
        )


_MANIFESTS = MANIFEST_TYPES | INDEX_TYPES


def _checked(path: str) -> str:
    try:
        reference = ImageReference.parse(f"registry.invalid/{path}")
    except ValueError as problem:
        raise StoreProblem(f'"{path}" cannot be a repository', code="RT608") from problem
    if reference.tag or reference.digest:
        raise StoreProblem(f'"{path}" cannot be a repository', code="RT608")
    return reference.path


def _compare(name: str, digest: str, chunks: Sequence[Chunk]) -> None:
    hashed = hashlib.sha256()
    for chunk in chunks:
        hashed.update(chunk)
    seen = f"sha256:{hashed.hexdigest()}"
    if seen != digest:
        raise ContentMismatch(
            f"{name}: the content has the digest {seen}",
            help="the source was changed; lock the release again",
        )
