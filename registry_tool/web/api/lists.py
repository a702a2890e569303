"""Lists of every kind."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import Response

from registry_tool.catalog.kinds import KINDS, Kind
from registry_tool.web.answers import answer
from registry_tool.web.api.asking import Fixed, list_query
from registry_tool.web.api.documenting import list_parameters, list_responses
from registry_tool.web.paths import API_PREFIX
from registry_tool.web.serving import AtParameter, CurrentServing, View

router = APIRouter(prefix=API_PREFIX)


def list_answer(request: Request, view: View, kind: str, fixed: Fixed | None = None) -> Response:
    """A part of a list, as the query of the URL asks for it."""
    return answer(request, view, view.catalog.page(list_query(request, kind, fixed)).to_json())


def _add_list(kind: Kind) -> None:
    def listing(request: Request, serving: CurrentServing, at: AtParameter = None) -> Response:
        with serving.open(at) as view:
            return list_answer(request, view, kind.name)

    words = kind.name.replace("-", " ")
    router.add_api_route(
        f"/{kind.name}",
        listing,
        name=f"list_{kind.name.replace('-', '_')}",
        summary=f"List {words}",
        description=f"A part of the {words} at a revision, chosen, searched, sorted and counted.",
        openapi_extra={"parameters": list_parameters(kind)},
        responses=list_responses(kind),
        tags=["lists"],
    )


for _kind in KINDS.values():
    _add_list(_kind)


@router.get(
    "/models/{model}/releases",
    openapi_extra={"parameters": list_parameters(KINDS["releases"], fixed=("model",))},
    responses=list_responses(KINDS["releases"]),
    tags=["lists"],
)
def releases_of_model(
    request: Request, serving: CurrentServing, model: str, at: AtParameter = None
) -> Response:
    """List the releases of a model."""
    with serving.open(at) as view:
        if view.catalog.get("models", model) is None:
            raise HTTPException(404, f'there is no model "{model}"')
        return list_answer(request, view, "releases", {"model": (model,)})
