"""Image manifests, indexes and tags of a registry."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

from registry_tool.domain.digests import digest_of
from registry_tool.errors import ContentMismatch, StoreProblem
from registry_tool.oci.descriptors import INDEX_TYPES, MANIFEST_TYPES, Descriptor, is_digest
from registry_tool.oci.image import parse_object
from registry_tool.oci.registry_access import RegistryAccess
from registry_tool.oci.registry_answers import Answer
from registry_tool.oci.registry_http import RegistryHttp, Request
from registry_tool.oci.registry_names import RegistryNames, is_tag, push, require_digest

_TYPES = MANIFEST_TYPES | INDEX_TYPES
_ACCEPT = {"Accept": ", ".join(sorted(_TYPES))}
_FOUND = frozenset({200, 404})
_STORED = frozenset({200, 201, 202})
_NEXT = re.compile(r'<([^<>]*)>\s*;[^,]*rel="?next"?', re.IGNORECASE)
_REMEMBERED = 64
_PARALLEL = 8


class RegistryManifests:
    """The documents of one registry; those that were written lately are remembered."""

    def __init__(self, http: RegistryHttp, access: RegistryAccess, names: RegistryNames) -> None:
        self._http = http
        self._access = access
        self._names = names
        self._lock = threading.Lock()
        self._written: OrderedDict[str, bytes] = OrderedDict()

    def resolve(self, repository: str, tag_or_digest: str) -> Descriptor | None:
        """See `ImageStore`."""
        answer = self._ask("HEAD", "find", repository, tag_or_digest)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        return _described(answer) or self._from_document(repository, tag_or_digest)

    def tags(self, repository: str) -> dict[str, Descriptor]:
        """See `ImageStore`; one request for each tag, several at a time."""
        names = sorted(self._tag_names(repository))
        with ThreadPoolExecutor(_PARALLEL, thread_name_prefix="tags") as pool:
            found = list(pool.map(lambda name: self.resolve(repository, name), names))
        return {name: each for name, each in zip(names, found, strict=True) if each is not None}

    def read(self, repository: str, digest: str) -> bytes:
        """See `ImageStore.read_manifest`."""
        require_digest(digest)
        with self._lock:
            known = self._written.get(digest)
        if known is not None:
            return known
        answer = self._ask("GET", "read", repository, digest)
        if answer.status == HTTPStatus.NOT_FOUND:
            raise self._names.missing(repository, digest, "image manifest")
        if digest_of(answer.body) != digest:
            raise ContentMismatch(
                f"{self._names.host} answered with other content when asked for"
                f" {self._names.full(repository, digest)}",
                help="the registry's storage is damaged; remove the image there, and build again",
            )
        return answer.body

    def write(self, repository: str, descriptor: Descriptor, data: bytes) -> None:
        """See `ImageStore.write_manifest`."""
        self._put(repository, descriptor.digest, descriptor, data)
        with self._lock:
            self._written[descriptor.digest] = data
            while len(self._written) > _REMEMBERED:
                self._written.popitem(last=False)

    def put_tags(self, repository: str, tags: Mapping[str, Descriptor]) -> None:
        """See `ImageStore`: in the given order. A tag that is right already is left alone."""
        for tag in tags:
            if not is_tag(tag):
                raise StoreProblem(f'"{tag}" cannot be an image tag', code="RT608")
        for tag, descriptor in tags.items():
            present = self.resolve(repository, tag)
            if present is None or present.digest != descriptor.digest:
                self._put(repository, tag, descriptor, self.read(repository, descriptor.digest))

    def _put(self, repository: str, name: str, descriptor: Descriptor, data: bytes) -> None:
        path, full = self._names.path(repository), self._names.full(repository, name)
        headers = {"Content-Type": descriptor.media_type}
        url = f"/v2/{path}/manifests/{name}"
        request = Request("PUT", url, f"put {full}", push(path), headers, data, _STORED)
        answer = self._http.request(request)
        kept = answer.headers.get("docker-content-digest", descriptor.digest)
        if kept != descriptor.digest:
            raise StoreProblem(
                f"{self._names.host} keeps {full} as {kept}, and not as it was sent"
                f" ({descriptor.digest})",
                code="RT608",
                help="a registry must not change image manifests: correct its configuration",
            )

    def _ask(self, method: str, verb: str, repository: str, name: str) -> Answer:
        if not is_digest(name) and not is_tag(name):
            raise StoreProblem(f'"{name}" is neither an image tag nor a digest', code="RT608")
        path = self._names.path(repository)
        what = f"{verb} {self._names.full(repository, name)}"
        url = f"/v2/{path}/manifests/{name}"
        request = Request(method, url, what, headers=_ACCEPT, expect=_FOUND)
        return self._access.read(path, request)

    def _from_document(self, repository: str, name: str) -> Descriptor | None:
        """Where the headers do not say enough."""
        answer = self._ask("GET", "read", repository, name)
        if answer.status == HTTPStatus.NOT_FOUND:
            return None
        document = parse_object(answer.body, self._names.full(repository, name))
        media_type = document.get("mediaType") or answer.headers.get("content-type", "")
        return Descriptor(str(media_type), digest_of(answer.body), len(answer.body))

    def _tag_names(self, repository: str) -> list[str]:
        path = self._names.path(repository)
        what = f"list the tags of {self._names.name}/{repository}"
        url, names = f"/v2/{path}/tags/list?n=1000", list[str]()
        while url:
            answer = self._access.read(path, Request("GET", url, what, expect=_FOUND))
            if answer.status == HTTPStatus.NOT_FOUND:
                break
            listed: Any = parse_object(answer.body, f"the tag list of {path}").get("tags")
            names += [str(name) for name in listed or () if is_tag(str(name))]
            following = _NEXT.search(answer.headers.get("link", ""))
            url = self._http.resolved(answer.url, following[1], what) if following else ""
        return names


def _described(answer: Answer) -> Descriptor | None:
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip()
    digest = answer.headers.get("docker-content-digest", "")
    length = answer.headers.get("content-length", "")
    if not is_digest(digest) or not length.isdigit() or media_type not in _TYPES:
        return None
    return Descriptor(media_type, digest, int(length))
