"""Failures as responses: JSON for programs, a page for people."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from registry_tool.errors import (
    CatalogProblem,
    EnvironmentProblem,
    RegistryToolError,
    UsageProblem,
)
from registry_tool.web.paths import is_for_programs, is_registry_protocol
from registry_tool.web.v2_errors import RegistryProblem, error_response, registry_problem

if TYPE_CHECKING:
    from registry_tool.web.serving import Serving

log = logging.getLogger(__name__)


def problem_response(
    request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None
) -> Response:
    """``{"detail": …}`` below /api/ and its like, the registry protocol's below /v2/, else a page."""
    if is_registry_protocol(request.scope):
        return error_response(status, detail, headers=headers)
    if is_for_programs(request.scope):
        return JSONResponse({"detail": detail}, status, headers=dict(headers or {}))
    from registry_tool.web.pages.problems import problem_page

    response = problem_page(request, status, detail)
    response.headers.update(headers or {})
    return response


def _http_problem(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)  # noqa: S101 - registered for this type only
    return problem_response(request, problem.status_code, str(problem.detail), problem.headers)


def _invalid_request(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, RequestValidationError)  # noqa: S101 - registered for this type only
    found = [
        f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}"
        for error in problem.errors()
    ]
    return problem_response(request, 422, "; ".join(found))


def _expected_problem(request: Request, problem: Exception) -> Response:
    assert isinstance(problem, RegistryToolError)  # noqa: S101 - registered for this type only
    if isinstance(problem, UsageProblem):
        # The request names something that cannot be meant.
        return problem_response(request, 422, _sentence(problem))
    log.warning("%s: %s", request.url.path, problem.message)
    if isinstance(problem, CatalogProblem):
        serving: Serving = request.app.state.serving
        serving.wake()
        return problem_response(request, 503, problem.message, {"Retry-After": "1"})
    status = 503 if isinstance(problem, EnvironmentProblem) else 500
    return problem_response(request, status, problem.message)


def _sentence(problem: RegistryToolError) -> str:
    return f"{problem.message}; {problem.help}" if problem.help else problem.message


class Crashes:
    """ASGI middleware: a defect is a 500 that tells nothing of the inside, and a traceback in the log."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = False

        async def notice(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, notice)
        except Exception:
            log.exception("%s %s", scope["method"], scope["path"])
            if begun:
                raise
            response = problem_response(Request(scope), 500, HTTPStatus(500).phrase)
            await response(scope, receive, send)


def add_problem_handlers(app: FastAPI) -> None:
    """Make every failure a response of this module."""
    app.add_exception_handler(RegistryProblem, registry_problem)
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(RegistryToolError, _expected_problem)
