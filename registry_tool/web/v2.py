"""The embedded store as a read-only registry: the pull half of the OCI distribution specification."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from registry_tool.errors import StoreProblem
from registry_tool.oci.descriptors import is_digest
from registry_tool.web.paths import route_path
from registry_tool.web.serving import serving_of
from registry_tool.web.streaming import Content, ContentResponse
from registry_tool.web.v2_errors import API_VERSION, RegistryProblem, error_response

if TYPE_CHECKING:
    from registry_tool.oci.layout import LayoutStore

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
_NAME_LIMIT = 255
_PAGE_LIMIT = 1000
router = APIRouter(prefix="/v2", include_in_schema=False)
_READ = ["GET", "HEAD"]
_WRITE = ["POST", "PUT", "PATCH", "DELETE"]


def _store(request: Request) -> LayoutStore:
    return serving_of(request).context.store


def _checked_name(store: LayoutStore, name: str) -> str:
    if len(name) > _NAME_LIMIT or not _NAME.fullmatch(name):
        raise RegistryProblem(400, "NAME_INVALID", "this cannot be the name of a repository")
    if not store.root.joinpath(name, "oci-layout").is_file():
        raise RegistryProblem(404, "NAME_UNKNOWN", f"there is no repository {name}")
    return name


@router.api_route("/", methods=_READ)
@router.api_route("", methods=_READ)
def base() -> Response:
    """That there is a registry."""
    return JSONResponse({}, headers=API_VERSION)


@router.api_route("/_catalog", methods=_READ)
def repositories(request: Request, n: str | None = None, last: str | None = None) -> Response:
    """Names of all repositories."""
    found, following = _paged(_store(request).repositories(), n, last)
    return _listed(request, {"repositories": found}, following)


@router.api_route("/{name:path}/tags/list", methods=_READ)
def tags(request: Request, name: str, n: str | None = None, last: str | None = None) -> Response:
    """Tags of a repository, in lexical order."""
    store = _store(request)
    found, following = _paged(sorted(store.tags(_checked_name(store, name))), n, last)
    return _listed(request, {"name": name, "tags": found}, following)


@router.api_route("/{name:path}/manifests/{reference}", methods=_READ)
def manifest(request: Request, name: str, reference: str) -> Response:
    """An image manifest or index."""
    store = _store(request)
    _checked_name(store, name)
    if not is_digest(reference) and not _TAG.fullmatch(reference):
        raise RegistryProblem(400, "MANIFEST_INVALID", "this is neither a tag nor a sha256 digest")
    try:
        descriptor = store.resolve(name, reference)
        data = store.read_manifest(name, descriptor.digest) if descriptor else b""
    except StoreProblem as problem:
        raise RegistryProblem(404, "MANIFEST_UNKNOWN", problem.message) from problem
    if descriptor is None:
        raise RegistryProblem(404, "MANIFEST_UNKNOWN", f"there is no {reference} in {name}")
    headers = {
        **API_VERSION,
        "Docker-Content-Digest": descriptor.digest,
        "ETag": f'"{descriptor.digest}"',
    }
    return Response(data, headers=headers, media_type=descriptor.media_type)


@router.api_route("/{name:path}/blobs/{digest}", methods=_READ)
def blob(request: Request, name: str, digest: str) -> Response:
    """A layer, a config or any other blob; single ranges are answered."""
    store = _store(request)
    _checked_name(store, name)
    if not is_digest(digest):
        raise RegistryProblem(400, "DIGEST_INVALID", "this is not a sha256 digest")
    size = store.blob_size(name, digest)
    if size is None:
        raise RegistryProblem(404, "BLOB_UNKNOWN", f"there is no blob {digest} in {name}")

    def open_at(offset: int) -> BinaryIO:
        file = store.open_blob(name, digest)
        file.seek(offset)
        return file

    headers = {**API_VERSION, "Docker-Content-Digest": digest}
    return ContentResponse(Content(digest.removeprefix("sha256:"), size, open_at, headers=headers))


@router.api_route("/{rest:path}", methods=[*_READ, *_WRITE])
def otherwise(request: Request, rest: str) -> Response:
    """What a read-only registry does not have."""
    if request.method in _READ:
        return error_response(404, f"/v2/{rest} is not part of this registry")
    return error_response(
        405,
        "this registry is read-only: images are published by registry-tool apply",
        headers={"Allow": ", ".join(_READ)},
    )


def _paged(names: Sequence[str], n: str | None, last: str | None) -> tuple[list[str], str | None]:
    """The names after `last`, at most `n`, and the query of what follows."""
    if n is not None and not (n.isascii() and n.isdigit()):
        raise RegistryProblem(400, "PAGINATION_NUMBER_INVALID", "n is a number")
    limit = _PAGE_LIMIT if n is None else min(int(n[:9]), _PAGE_LIMIT)
    rest = [name for name in names if last is None or name > last]
    page = rest[:limit]
    more = len(rest) > limit and page
    return page, f"n={limit}&last={quote(page[-1])}" if more else None


def _listed(request: Request, body: dict[str, Any], following: str | None) -> Response:
    headers = dict(API_VERSION)
    if following is not None:
        headers["Link"] = f'<{route_path(request.scope)}?{following}>; rel="next"'
    return JSONResponse(body, headers=headers)
