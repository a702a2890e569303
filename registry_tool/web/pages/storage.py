"""Storage: how full the disks are, and what models occupy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from registry_tool.web.pages.visits import visit
from registry_tool.web.storage_usage import StoreScan, mounts

router = APIRouter()
_MODELS = 200
_NEARLY_FULL = 90


@dataclass(frozen=True)
class Disk:
    """A file system that holds weights or images."""

    mount: str
    holds: tuple[str, ...]
    total: int
    used: int
    free: int

    @property
    def percent(self) -> int:
        """How full it is, of what people may use."""
        return round(100 * self.used / ((self.used + self.free) or 1))

    @property
    def nearly_full(self) -> bool:
        """Whether somebody should look."""
        return self.percent >= _NEARLY_FULL


@router.get("/storage")
def storage(request: Request) -> Response:
    """Disks now, and bytes by model at the shown revision."""
    scan: StoreScan = request.app.state.store_scan
    with visit(request) as page:
        allowed = page.view.tip.registry.storage.allowed
        models = page.catalog.storage(limit=_MODELS)
        return page.render(
            "storage.html",
            title="Storage",
            changing=True,
            disks=[_disk(mount) for mount in mounts(allowed, page.context.store.root)],
            remote=[prefix for prefix in allowed if "://" in prefix],
            store=scan.usage(),
            totals=page.catalog.storage_totals(),
            models=models,
            count=page.catalog.about().counts["models"],
        )


def _disk(mount: dict[str, Any]) -> Disk:
    return Disk(mount["mount"], tuple(mount["holds"]), mount["total"], mount["used"], mount["free"])
