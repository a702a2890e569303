"""Models: the list, one model with its releases, and two of its releases side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import RedirectResponse, Response

from registry_tool.domain.release import ReleaseSpec
from registry_tool.domain.subjects import ReleaseId, parse_release
from registry_tool.errors import UsageProblem
from registry_tool.web.pages.items import Item, flattened, require, some
from registry_tool.web.pages.list_specs import (
    FacetSpec,
    ListSpec,
    RangeSpec,
    parameters_text,
    yes_no,
)
from registry_tool.web.pages.lists import list_page
from registry_tool.web.pages.visits import visit

router = APIRouter()

MODELS = ListSpec(
    "models",
    "/models",
    sorts=("name", "company", "parameter_count", "releases", "storage", "updated"),
    descending=frozenset(("parameter_count", "releases", "storage", "updated")),
    facets=(
        FacetSpec("company", "Company"),
        FacetSpec("base_model", "Base model"),
        FacetSpec("tags", "Tag"),
        FacetSpec("quantization", "Quantization"),
        FacetSpec("parameter_count", "Parameters", parameters_text),
        FacetSpec("license", "License"),
        FacetSpec("stage", "Stage"),
        FacetSpec("environment", "Deployed to"),
        FacetSpec("label", "Label"),
    ),
    ranges=(RangeSpec("parameter_count", "Parameters", ("1B", "70B")),),
)
RELEASES_OF_MODEL = ListSpec(
    "releases",
    "",
    sorts=("version", "quantization", "stage", "size", "updated"),
    descending=frozenset(("version", "size", "updated")),
    facets=(
        FacetSpec("quantization", "Quantization"),
        FacetSpec("stage", "Stage"),
        FacetSpec("result", "Build"),
        FacetSpec("environment", "Deployed to"),
        FacetSpec("yanked", "Yanked", yes_no),
    ),
    default_sort="-version",
    page_size=100,
)


@router.get("/models")
def models(request: Request) -> Response:
    """All models."""
    with visit(request) as page:
        return page.render("models.html", title="Models", list=list_page(page, MODELS))


@router.get("/models/{name}")
def model(request: Request, name: str) -> Response:
    """One model."""
    spec = replace(RELEASES_OF_MODEL, path=f"/models/{name}", fixed={"model": (name,)})
    with visit(request) as page:
        return page.render(
            "model.html",
            title=name,
            item=require(page.catalog, "models", name),
            list=list_page(page, spec),
            changes=some(page.catalog, "audit", about=f"model/{name}", limit=10),
        )


_FACTS = (*ReleaseSpec.model_fields, "labels", "annotations")
"""What two releases can differ in, apart from their files."""


@dataclass(frozen=True)
class Row:
    """A field of two releases."""

    field: str
    left: str | None
    right: str | None

    @property
    def same(self) -> bool:
        """Whether both say the same."""
        return self.left == self.right


@router.get("/models/{name}/compare")
def compare_releases(
    request: Request,
    name: str,
    release: Annotated[list[str] | None, Query(max_length=300)] = None,
) -> Response:
    """Two releases of a model side by side."""
    chosen = release or []
    with visit(request) as page:
        if len(chosen) != 2:
            return RedirectResponse(page.links(f"/models/{name}") + "#releases", 303)
        left, right = (require(page.catalog, "releases", _key(name, text)) for text in chosen)
        return page.render(
            "compare_releases.html",
            title=f"Compare releases of {name}",
            model=name,
            left=left,
            right=right,
            fields=_rows(_facts(left), _facts(right)),
            files=_rows(_files(left), _files(right)),
            layers=_rows(_layers(left), _layers(right)),
        )


def _key(model: str, text: str) -> str:
    try:
        release: ReleaseId = parse_release(f"{model}/{text}")
    except UsageProblem as problem:
        raise HTTPException(422, problem.message) from problem
    return str(release)


def _facts(item: Item) -> dict[str, str]:
    facts = {name: item[name] for name in _FACTS if name in item}
    return dict(flattened(facts))


def _files(item: Item) -> dict[str, str]:
    lock = item.get("lock") or {}
    return {entry["path"]: entry["sha256"] for entry in lock.get("files", ())}


def _layers(item: Item) -> dict[str, str]:
    lock = item.get("lock") or {}
    return {entry["digest"]: ", ".join(entry["files"]) for entry in lock.get("layers", ())}


def _rows(left: dict[str, str], right: dict[str, str]) -> list[Row]:
    """Fields in order, those that differ first."""
    rows = [Row(name, left.get(name), right.get(name)) for name in {**left, **right}]
    return sorted(rows, key=lambda row: row.same)
