"""Paths of requests, without the prefix of a proxy."""

from __future__ import annotations

from starlette.types import Scope

API_PREFIX = "/api/v1"
_FOR_PROGRAMS = ("/api/", "/health/", "/metrics/")


def route_path(scope: Scope) -> str:
    """The path as routes have it."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path[len(root) :] if root and path.startswith(root + "/") else path


def is_for_programs(scope: Scope) -> bool:
    """Whether JSON is expected, even of failures."""
    return (route_path(scope) + "/").startswith(_FOR_PROGRAMS)


def is_registry_protocol(scope: Scope) -> bool:
    """Whether an OCI client asks."""
    return (route_path(scope) + "/").startswith("/v2/")


def route_template(scope: Scope) -> str:
    """The route that answers, as ``/models/{model}``; ``other`` when there is none."""
    known: str = scope.get("registry_tool.route", "other")
    found: str | None = getattr(scope.get("route"), "path", None)
    return found or known
