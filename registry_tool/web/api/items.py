"""Single items, with all their details."""

from __future__ import annotations

import json
import re

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import Response

from registry_tool.catalog.kinds import KINDS
from registry_tool.catalog.listing import ListQuery
from registry_tool.catalog.queries import Catalog, Tie
from registry_tool.domain.release import Stage
from registry_tool.domain.subjects import ReleaseId, parse_release
from registry_tool.errors import UsageProblem
from registry_tool.web.answers import answer
from registry_tool.web.api.documenting import TIED, item_responses, list_parameters, list_responses
from registry_tool.web.api.lists import list_answer
from registry_tool.web.paths import API_PREFIX
from registry_tool.web.serving import AtParameter, CurrentServing, Serving

router = APIRouter(prefix=API_PREFIX, tags=["items"])
_BUILD_KEY = re.compile(r"[0-9a-f]{64}", re.ASCII)


def item_answer(
    request: Request, serving: Serving, at: str | None, kind: str, key: str, noun: str
) -> Response:
    """The item of that key, or 404."""
    with serving.open(at) as view:
        found = view.catalog.get(kind, key)
        if found is None:
            raise HTTPException(404, f'there is no {noun} "{key}"')
        return answer(request, view, found)


def release_id(model: str, version: str, quantization: str) -> ReleaseId:
    """A release from the parts of a path, its version in any accepted spelling; or 404."""
    try:
        return parse_release(f"{model}/{version}/{quantization}")
    except UsageProblem as problem:
        raise HTTPException(404, problem.message) from problem


@router.get("/models/{model}", responses=item_responses("models"))
def model(
    request: Request, serving: CurrentServing, model: str, at: AtParameter = None
) -> Response:
    """Show a model."""
    return item_answer(request, serving, at, "models", model, "model")


@router.get("/models/{model}/latest", responses={**item_responses("releases"), **TIED})
def latest(
    request: Request,
    serving: CurrentServing,
    model: str,
    quantization: str | None = Query(None, max_length=64),
    stage: Stage | None = None,
    at: AtParameter = None,
) -> Response:
    """Show the newest release of a model: not yanked, not deprecated, not a pre-release.

    With several quantizations of the newest version, `quantization` has to say which is meant.
    """
    with serving.open(at) as view:
        found = view.catalog.latest(model, quantization=quantization, stage=stage)
        if isinstance(found, Tie):
            raise HTTPException(
                409,
                f"several releases of {model} are equally new: {', '.join(found.releases)};"
                " name a quantization",
            )
        if found is None:
            raise HTTPException(404, _no_latest(view.catalog, model))
        return answer(request, view, found)


def _no_latest(catalog: Catalog, model: str) -> str:
    if catalog.get("models", model) is None:
        return f'there is no model "{model}"'
    return f"no release of {model} is meant: all are yanked, deprecated, pre-releases or otherwise"


@router.get("/releases/{model}/{version}/{quantization}", responses=item_responses("releases"))
def release(
    request: Request,
    serving: CurrentServing,
    model: str,
    version: str,
    quantization: str,
    at: AtParameter = None,
) -> Response:
    """Show a release: its manifest, lock, builds and where it runs."""
    key = str(release_id(model, version, quantization))
    return item_answer(request, serving, at, "releases", key, "release")


@router.get(
    "/releases/{model}/{version}/{quantization}/deployments",
    openapi_extra={"parameters": list_parameters(KINDS["deployments"], fixed=("release",))},
    responses=list_responses(KINDS["deployments"]),
)
def deployments_of_release(
    request: Request,
    serving: CurrentServing,
    model: str,
    version: str,
    quantization: str,
    at: AtParameter = None,
) -> Response:
    """List the deployments of a release."""
    key = str(release_id(model, version, quantization))
    with serving.open(at) as view:
        if view.catalog.get("releases", key) is None:
            raise HTTPException(404, f'there is no release "{key}"')
        return list_answer(request, view, "deployments", {"release": (key,)})


@router.get("/deployments/{environment}/{name}", responses=item_responses("deployments"))
def deployment(
    request: Request, serving: CurrentServing, environment: str, name: str, at: AtParameter = None
) -> Response:
    """Show a deployment: what is wanted, what runs, and how it came to that."""
    key = f"{environment}/{name}"
    return item_answer(request, serving, at, "deployments", key, "deployment")


@router.get("/environments/{name}", responses=item_responses("environments"))
def environment(
    request: Request, serving: CurrentServing, name: str, at: AtParameter = None
) -> Response:
    """Show an environment."""
    return item_answer(request, serving, at, "environments", name, "environment")


@router.get("/templates/{name}", responses=item_responses("templates"))
def template(
    request: Request, serving: CurrentServing, name: str, at: AtParameter = None
) -> Response:
    """Show a build template."""
    return item_answer(request, serving, at, "templates", name, "template")


@router.get("/api-keys/{name}", responses=item_responses("api-keys"))
def api_key(
    request: Request, serving: CurrentServing, name: str, at: AtParameter = None
) -> Response:
    """Show an API key: its owner and until when it works, never its hash."""
    return item_answer(request, serving, at, "api-keys", name, "API key")


@router.get("/artifacts/{sha256}", responses=item_responses("artifacts"))
def artifact(
    request: Request, serving: CurrentServing, sha256: str, at: AtParameter = None
) -> Response:
    """Show a locked file and the releases that have it."""
    return item_answer(request, serving, at, "artifacts", sha256, "artifact")


@router.get("/builds/{key}", responses=item_responses("builds"))
def build(request: Request, serving: CurrentServing, key: str, at: AtParameter = None) -> Response:
    """Show the newest build with this build key."""
    with serving.open(at) as view:
        found = newest_build(view.catalog, key)
        if found is None:
            raise HTTPException(404, f'there is no build "{key}"')
        return answer(request, view, found)


def newest_build(catalog: Catalog, key: str) -> str | None:
    """The item of the newest build with a build key, or None."""
    if not _BUILD_KEY.fullmatch(key):
        return None
    query = ListQuery("builds", filters={"key": (key,)}, sort=("-finished", "-sequence"), limit=1)
    newest = catalog.page(query).items
    return catalog.get("builds", json.loads(newest[0])["id"]) if newest else None


@router.get("/builds/{model}/{version}/{quantization}/{record}", responses=item_responses("builds"))
def build_record(
    request: Request,
    serving: CurrentServing,
    model: str,
    version: str,
    quantization: str,
    record: str,
    at: AtParameter = None,
) -> Response:
    """Show one build, `record` being its sequence and the beginning of its key."""
    key = f"builds/{release_id(model, version, quantization)}/{record}"
    return item_answer(request, serving, at, "builds", key, "build")


@router.get(
    "/deployment-records/{environment}/{name}/{record}",
    responses=item_responses("deployment-records"),
)
def deployment_record(
    request: Request,
    serving: CurrentServing,
    environment: str,
    name: str,
    record: str,
    at: AtParameter = None,
) -> Response:
    """Show one change of what runs."""
    key = f"deployments/{environment}/{name}/{record}"
    return item_answer(request, serving, at, "deployment-records", key, "record of a deployment")


@router.get("/requests/{record}", responses=item_responses("requests"))
def request_record(
    request: Request, serving: CurrentServing, record: str, at: AtParameter = None
) -> Response:
    """Show one request for a build or another try."""
    return item_answer(request, serving, at, "requests", f"requests/{record}", "request")


@router.get("/audit/{commit}", responses=item_responses("audit"))
def commit(
    request: Request, serving: CurrentServing, commit: str, at: AtParameter = None
) -> Response:
    """Show what a commit changed, and who made and approved it."""
    return item_answer(request, serving, at, "audit", commit, "commit")
