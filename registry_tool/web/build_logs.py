"""Logs of builds: of one that runs from the live state, of others from the store or the record."""

from __future__ import annotations

from typing import Any, NamedTuple

from registry_tool.domain.live import LiveBuild, active_builds
from registry_tool.domain.registry import RegistrySpec
from registry_tool.errors import StoreProblem
from registry_tool.web.context import LogPlace, WebContext


class BuildLog(NamedTuple):
    """What is known of a log."""

    text: str
    problem: str | None = None
    """Why the text is not all of it."""


def running_build(context: WebContext, key: str) -> LiveBuild | None:
    """A build with this key that waits or runs on this machine now."""
    return next((build for build in active_builds(context.live()) if build.key == key), None)


def recorded_log(context: WebContext, registry: RegistrySpec, build: dict[str, Any]) -> BuildLog:
    """The log of a recorded build, `build` being its item.

    Where the store cannot be read, the end of a failed step that the record keeps has to do.
    """
    problem = "the build left no log"
    if build.get("log"):
        insecure = registry.images.insecure and registry.images.repository == build["store"]
        place = LogPlace(build["store"], insecure, build["model"], build["log"])
        try:
            return BuildLog(context.read_log(place))
        except StoreProblem as unreadable:
            problem = unreadable.message
    return BuildLog(build.get("error") or "", problem)
