"""All pages."""

from __future__ import annotations

from fastapi import APIRouter

from registry_tool.web.pages import (
    activity,
    artifacts,
    builds,
    dashboard,
    deployments,
    models,
    registry,
    releases,
    storage,
)

router = APIRouter(include_in_schema=False)
for _part in (
    *(dashboard, models, releases, deployments, builds, artifacts),
    *(activity, registry, storage),
):
    router.include_router(_part.router)
