"""Files of releases from storage: only what a lock names, only below the allowed prefixes."""

from __future__ import annotations

import base64
import json
import logging
import posixpath
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO, NamedTuple
from urllib.parse import quote

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

from registry_tool.catalog.queries import Catalog
from registry_tool.errors import StorageProblem
from registry_tool.storage.storage import Storage
from registry_tool.web.api.documenting import COMMON, UNFIT, UNKNOWN, Responses, problem
from registry_tool.web.paths import API_PREFIX
from registry_tool.web.serving import AtParameter, CurrentServing
from registry_tool.web.streaming import Content, ContentResponse

log = logging.getLogger(__name__)
router = APIRouter(prefix=API_PREFIX, tags=["items"])

_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_RESPONSES: Responses = {
    200: {
        "description": "The file. `Repr-Digest` and `X-Checksum-Sha256` are its SHA-256",
        "content": _BYTES,
    },
    206: {"description": "The part that Range asks for", "content": _BYTES},
    304: {"description": "The client has it"},
    409: problem(
        "The file in storage is not the locked one",
        "model.safetensors in storage has 12 bytes, its lock says 90868376",
    ),
    416: {"description": "Range lies beyond the end of the file"},
}


class _Place(NamedTuple):
    """Where a lock says that the file is."""

    location: str
    path: str
    size: int


@router.api_route(
    "/artifacts/{sha256}/download",
    methods=["GET"],
    status_code=200,
    response_class=ContentResponse,
    responses={**UNKNOWN, **UNFIT, **COMMON, **_RESPONSES},
)
def download(serving: CurrentServing, sha256: str, at: AtParameter = None) -> Response:
    """Download a locked file from storage; a single Range is answered with 206."""
    with serving.open(at) as view:
        places = list(_places(view.catalog, sha256))
        allowed = view.tip.registry.storage.allowed
    if not places:
        raise HTTPException(404, f'there is no artifact "{sha256}" in any lock')
    storage = serving.context.open_storage(allowed)
    place = _present(storage, places)
    content = Content(
        sha256,
        place.size,
        partial(_open, storage, place),
        headers=_headers(sha256, posixpath.basename(place.path)),
    )
    return ContentResponse(content, verify=True)


def _places(catalog: Catalog, sha256: str) -> Iterator[_Place]:
    """Where any release has the file."""
    found = catalog.get("artifacts", sha256)
    if found is None:
        return
    item = json.loads(found)
    seen = set()
    for use in item["releases"]:
        place = _Place(_location(catalog, use["release"]), use["path"], item["size"])
        if place.location and place not in seen:
            seen.add(place)
            yield place


def _location(catalog: Catalog, release: str) -> str:
    """The storage path of a release, or its model's; empty when the manifests do not say."""
    text = catalog.get("releases", release)
    own: str | None = json.loads(text).get("storage_path") if text else None
    if own:
        return own
    text = catalog.get("models", release.split("/", maxsplit=1)[0])
    path: str = json.loads(text).get("storage_path", "") if text else ""
    return path


def _present(storage: Storage, places: list[_Place]) -> _Place:
    """The first place whose file has the locked size. Raises HTTPException."""
    changed: str | None = None
    for place in places:
        try:
            size = storage.stat(place.location, place.path).size
        except StorageProblem as missing:
            if missing.transient:
                raise
            log.warning("an artifact cannot be offered: %s", missing.message)
            continue
        if size == place.size:
            return place
        changed = f"{place.path} in storage has {size} bytes, its lock says {place.size}"
    if changed:
        raise HTTPException(409, changed)
    raise HTTPException(404, f"{places[0].path} is not in storage any more, or may not be read")


def _open(storage: Storage, place: _Place, offset: int) -> BinaryIO:
    return storage.open(place.location, place.path, offset)


def _headers(sha256: str, name: str) -> dict[str, str]:
    digest = base64.b64encode(bytes.fromhex(sha256)).decode()
    return {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "Repr-Digest": f"sha-256=:{digest}:",
        "X-Checksum-Sha256": sha256,
        "Cache-Control": "no-cache",
    }
