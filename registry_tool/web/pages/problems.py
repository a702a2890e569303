"""The error page."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import Request
from fastapi.responses import Response

from registry_tool.web.pages.rendering import render

_HEADINGS = {
    403: "This is not allowed",
    404: "There is no such page",
    422: "The address cannot be understood",
    429: "Too many attempts",
    500: "Something went wrong here",
    503: "Nothing can be shown at the moment",
}


def problem_page(request: Request, status: int, detail: str) -> Response:
    """What a person sees when something is wrong."""
    heading = _HEADINGS.get(status, HTTPStatus(status).phrase)
    plain = detail == HTTPStatus(status).phrase
    return render(
        request,
        "problem.html",
        status=status,
        title=heading,
        status_code=status,
        heading=heading,
        detail="" if plain else detail,
        shell="registry-tool doctor" if status == 503 else "",
    )
