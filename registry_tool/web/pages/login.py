"""The login page."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import HTMLResponse, Response


def login_page(
    _request: Request, *, following: str, problem: str | None = None, status: int = 200
) -> Response:
    """A form that posts `key` and `next` to /login; `following` is where the visitor wanted to go."""
    return HTMLResponse(f"{following!r} {problem!r}", status)
