"""The login page."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import Response

from registry_tool.web.pages.rendering import render


def login_page(
    request: Request, *, following: str, problem: str | None = None, status: int = 200
) -> Response:
    """A form that posts `key` and `next` to /login; `following` is where the visitor wanted to go."""
    return render(
        request,
        "login.html",
        status=status,
        title="Log in",
        following=following,
        problem=problem,
    )
