"""Errors of the registry protocol, as the OCI distribution specification has them."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request
from fastapi.responses import JSONResponse, Response

API_VERSION = {"Docker-Distribution-API-Version": "registry/2.0"}

_CODES = {
    401: "UNAUTHORIZED",
    403: "DENIED",
    404: "NAME_UNKNOWN",
    405: "UNSUPPORTED",
    429: "TOOMANYREQUESTS",
}


class RegistryProblem(Exception):
    """A failure with one of the specification's error codes."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def error_response(
    status: int, message: str, code: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """An error; the usual code of the status unless another one fits better."""
    error = {"code": code or _CODES.get(status, "UNKNOWN"), "message": message, "detail": None}
    return JSONResponse({"errors": [error]}, status, headers={**API_VERSION, **(headers or {})})


def registry_problem(_request: Request, problem: Exception) -> Response:
    """The exception handler for RegistryProblem."""
    assert isinstance(problem, RegistryProblem)  # noqa: S101 - registered for this type only
    return error_response(problem.status, problem.message, problem.code)
