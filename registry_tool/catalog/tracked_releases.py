"""The release that a deployment means."""

from __future__ import annotations

import json

from registry_tool.catalog.context import Context
from registry_tool.domain.versions import satisfies


def wanted_release(context: Context, deployment: str) -> str | None:
    """The release that a manifest names, or the best that it tracks now; None also without a manifest."""
    found = context.row(
        "SELECT model, version, quantization, track FROM deployments"
        " WHERE key = ? AND path IS NOT NULL",
        deployment,
    )
    if found is None:
        return None
    model, version, quantization, track = found
    if version is not None:
        return f"{model}/{version}/{quantization}"
    wish = json.loads(track or "{}")
    candidates = context.connection.execute(
        "SELECT version FROM releases WHERE model = ? AND quantization = ? AND stage = ? AND yanked = 0"
        " ORDER BY version_order DESC",
        (model, quantization, wish["stage"]),
    )
    for (candidate,) in candidates:
        if satisfies(candidate, wish["version"]):
            return f"{model}/{candidate}/{quantization}"
    return None
