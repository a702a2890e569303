"""Logs of builds."""

from __future__ import annotations

import json

from fastapi import APIRouter, HTTPException
from fastapi.responses import PlainTextResponse, Response

from registry_tool.web.api.documenting import COMMON, UNFIT, UNKNOWN
from registry_tool.web.api.items import newest_build
from registry_tool.web.build_logs import recorded_log, running_build
from registry_tool.web.paths import API_PREFIX
from registry_tool.web.serving import AtParameter, CurrentServing

router = APIRouter(prefix=API_PREFIX, tags=["items"])
_LOG = {
    "description": "The text. `X-Log-Complete` is false while the build runs, and where only the end"
    " of a failed step is known",
    "headers": {"X-Log-Complete": {"schema": {"type": "string", "enum": ["true", "false"]}}},
    "content": {"text/plain": {"schema": {"type": "string"}, "example": "build key 0f3a…\n"}},
}


@router.get(
    "/builds/{key}/log",
    response_class=PlainTextResponse,
    responses={200: _LOG, **UNKNOWN, **UNFIT, **COMMON},
)
def build_log(serving: CurrentServing, key: str, at: AtParameter = None) -> Response:
    """Show the log of the newest build with this build key, also while it runs."""
    running = running_build(serving.context, key) if at is None else None
    if running is not None:
        return _text("".join(f"{line}\n" for line in running.log), complete=False)
    with serving.open(at) as view:
        found = newest_build(view.catalog, key)
        registry = view.tip.registry
    if found is None:
        raise HTTPException(404, f'there is no build "{key}"')
    log = recorded_log(serving.context, registry, json.loads(found))
    if log.problem and not log.text:
        raise HTTPException(404, log.problem)
    return _text(log.text, complete=log.problem is None)


def _text(text: str, *, complete: bool) -> Response:
    headers = {"X-Log-Complete": json.dumps(complete), "Cache-Control": "no-cache"}
    return PlainTextResponse(text, headers=headers)
