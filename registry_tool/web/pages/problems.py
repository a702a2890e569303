"""The error page."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import PlainTextResponse, Response


def problem_page(_request: Request, status: int, detail: str) -> Response:
    """What a person sees when something is wrong."""
    return PlainTextResponse(detail, status)
