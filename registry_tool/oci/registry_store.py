"""Images in a registry that speaks the OCI distribution protocol.

Blobs come first, then the documents that point to them, and tags last. There is no moment at which
all tags move together, so the tag by which a finished build is found is the last one: what was
tagged before it is put again when a build is interrupted there.
"""

from __future__ import annotations

import hashlib
import io
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from http import HTTPStatus
from typing import BinaryIO, cast
from urllib.parse import urlencode

from registry_tool import failpoints
from registry_tool.errors import ContentMismatch, RegistryToolError, StoreProblem
from registry_tool.oci.blob_source import BlobSource
from registry_tool.oci.descriptors import Descriptor
from registry_tool.oci.registry_access import RegistryAccess
from registry_tool.oci.registry_answers import Answer
from registry_tool.oci.registry_credentials import DockerCredentials
from registry_tool.oci.registry_http import RegistryHttp, Request
from registry_tool.oci.registry_manifests import RegistryManifests
from registry_tool.oci.registry_names import RegistryNames, pull, push, require_digest
from registry_tool.oci.registry_profiles import profile_for
from registry_tool.oci.registry_reading import BlobReader
from registry_tool.oci.registry_retries import Broken
from registry_tool.oci.registry_upload import BlobUpload, UploadStyle
from registry_tool.oci.tar import Chunk

_FOUND = frozenset({200, 404})
_MOUNTED = frozenset({201, 202, 401, 403, 404})
_GONE = frozenset({200, 202, 204, 404})
_READ_BUFFER = 1 << 20


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
        self._names = RegistryNames(repository)
        self.name = repository
        self.host = self._names.host
        self.profile = profile_for(self._names.address, profile)
        self._http = RegistryHttp(
            self._names.address,
            insecure=insecure,
            credentials=credentials,
            create_help=self.profile.create_help,
            sleep=sleep,
        )
        self._access = RegistryAccess(self._http)
        self._manifests = RegistryManifests(self._http, self._access, self._names)
        self._style = UploadStyle(self.profile)
        self._lock = threading.Lock()
        self._holders: dict[str, str] = {}

    def ping(self) -> str | None:
        """Whose login the registry accepts, None for nobody's; raises StoreProblem."""
        self._http.request(Request("GET", "/v2/", "be asked whether it is there"))
        return self._http.authorizer.user

    def resolve(self, repository: str, tag_or_digest: str) -> Descriptor | None:
        """See `ImageStore`."""
        return self._manifests.resolve(repository, tag_or_digest)

    def tags(self, repository: str) -> Mapping[str, Descriptor]:
        """See `ImageStore`; one request for each tag."""
        return self._manifests.tags(repository)

    def read_manifest(self, repository: str, digest: str) -> bytes:
        """See `ImageStore`."""
        return self._manifests.read(repository, digest)

    def write_manifest(self, repository: str, descriptor: Descriptor, data: bytes) -> None:
        """See `ImageStore`."""
        self._manifests.write(repository, descriptor, data)
        failpoints.reach("blob-written")

    def put_tags(self, repository: str, tags: Mapping[str, Descriptor]) -> None:
        """See `ImageStore`: in the given order. A tag that is right already is left alone."""
        self._manifests.put_tags(repository, tags)
        failpoints.reach("image-tagged")

    def check_layers(self, sizes: Sequence[int]) -> None:
        """See `ImageStore`."""
        most, count = self.profile.max_layer, self.profile.max_layers
        if count is not None and len(sizes) > count:
            raise self._beyond(f"an image with {len(sizes)} layers", f"{count} layers")
        if most is not None and sizes and max(sizes) > most:
            raise self._beyond(f"a layer of {max(sizes)} bytes", f"{most} bytes")

    def has_blob(self, repository: str, digest: str) -> bool:
        """See `ImageStore`."""
        return self._head(repository, digest).status != HTTPStatus.NOT_FOUND

    def blob_size(self, repository: str, digest: str) -> int | None:
        """See `ImageStore`."""
        answer = self._head(repository, digest)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        length = answer.headers.get("content-length", "")
        if not length.isdigit():
            raise StoreProblem(
                f"{self.host} does not say how large {self._names.full(repository, digest)} is",
                code="RT608",
                help="a proxy before the registry may drop Content-Length from answers to HEAD",
            )
        return int(length)

    def mount_blob(self, repository: str, digest: str, source: str | None = None) -> bool:
        """See `ImageStore`.

        After `source` the repository is tried in which this process saw the blob last. A `source`
        may also be any other repository of the registry, with its host.
        """
        if self.has_blob(repository, digest):
            return True
        with self._lock:
            seen = self._holders.get(digest)
        for candidate in dict.fromkeys((source, seen)):
            if candidate is None or candidate == repository:
                continue
            if self._mounted(repository, digest, self._names.path(candidate)):
                self._remember(repository, digest)
                return True
        return False

    def open_blob(self, repository: str, digest: str) -> BinaryIO:
        """See `ImageStore`; the digest is checked at the end."""
        request = self._blob_request("GET", "read", repository, digest)
        try:
            reader = BlobReader(self._http, request, digest)
        except StoreProblem as problem:
            if not problem.transient and not self.has_blob(repository, digest):
                raise self._names.missing(repository, digest, "blob") from problem
            raise
        return cast("BinaryIO", io.BufferedReader(reader, _READ_BUFFER))

    def write_blob(self, repository: str, digest: str, size: int, chunks: Iterable[Chunk]) -> None:
        """See `ImageStore`.

        The registry compares the digest, and what is in memory is compared before it is sent.
        `chunks` that can be iterated again let a broken upload go on.
        """
        require_digest(digest)
        self.check_layers([size])
        if self.has_blob(repository, digest):
            return
        name = self._names.full(repository, digest)
        if isinstance(chunks, Sequence):
            _compare(name, digest, chunks)
        path = self._names.path(repository)
        with closing(BlobSource(chunks, size, name)) as source:
            BlobUpload(self._http, self._style, path, digest, size, source).run()
        self._remember(repository, digest)
        failpoints.reach("blob-written")

    def _head(self, repository: str, digest: str) -> Answer:
        request = self._blob_request("HEAD", "look for", repository, digest)
        answer = self._access.read(self._names.path(repository), request)
        if answer.status != HTTPStatus.NOT_FOUND:
            self._remember(repository, digest)
        return answer

    def _blob_request(self, method: str, verb: str, repository: str, digest: str) -> Request:
        require_digest(digest)
        path = self._names.path(repository)
        what = f"{verb} {self._names.full(repository, digest)}"
        return Request(method, f"/v2/{path}/blobs/{digest}", what, pull(path), expect=_FOUND)

    def _remember(self, repository: str, digest: str) -> None:
        with self._lock:
            self._holders[digest] = repository

    def _mounted(self, repository: str, digest: str, source: str) -> bool:
        path = self._names.path(repository)
        what = f"mount {digest[:19]}… from {source} into {path}"
        url = f"/v2/{path}/blobs/uploads/?{urlencode({'mount': digest, 'from': source})}"
        scopes = push(path) + pull(source)
        try:
            request = Request("POST", url, what, scopes, body=b"", expect=_MOUNTED)
            answer = self._http.request(request)
        except StoreProblem as problem:
            if problem.transient:
                raise
            return False  # no token for both, as it may be: an upload needs only one of them
        if answer.status == HTTPStatus.ACCEPTED and "location" in answer.headers:
            # Not mounted: the registry waits for an upload, which has its own way here.
            location = self._http.resolved(answer.url, answer.headers["location"], what)
            with suppress(Broken, RegistryToolError):
                self._http.send(Request("DELETE", location, what, scopes, expect=_GONE))
        # Refused: the source may be private or gone, which an upload need not mind.
        return answer.status == HTTPStatus.CREATED

    def _beyond(self, what: str, limit: str) -> StoreProblem:
        return StoreProblem(
            f"the registry {self.host} takes no more than {limit}, and this is {what}",
            code="RT608",
            help="split the file (safetensors: shards), or use another registry; if the limit is"
            " not right: git config registry-tool.registry-profile default",
        )


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
