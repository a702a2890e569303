"""The way to an engine: which one the environment means, and what goes wrong on the way."""

from __future__ import annotations

import http.client
import os
import socket
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn

from registry_tool.errors import EngineProblem

DEFAULT_ADDRESS = "unix:///var/run/docker.sock"
_HOW_TO_REACH = (
    "start Docker, or name another engine with DOCKER_HOST or DOCKER_CONTEXT; templates with an image:"
    " recipe need none"
)
_FULL = "no space left on device"
_BROKEN_OFF = (ConnectionResetError, BrokenPipeError, http.client.IncompleteRead)


@contextmanager
def translated(doing: str, address: str = "") -> Iterator[None]:
    """Turn exceptions of the SDK, and of the connection below it, into EngineProblem."""
    import requests
    import urllib3
    from docker import errors

    try:
        yield
    except errors.APIError as problem:
        _raise_answer(
            doing, problem.explanation or str(problem), problem, problem.is_server_error()
        )
    except (
        errors.DockerException,
        requests.RequestException,
        urllib3.exceptions.HTTPError,
    ) as problem:
        raise _unreachable(doing, problem, address) from problem
    except (OSError, tarfile.TarError) as problem:
        raise _unreachable(doing, problem, address) from problem


def _raise_answer(doing: str, words: str, problem: Exception, server_error: bool) -> NoReturn:
    full = _FULL in words
    raise EngineProblem(
        f"the engine refused {doing}: {words}",
        help="free some space: docker system df, docker system prune" if full else None,
        code="RT611",
        transient=server_error and not full,
    ) from problem


def _unreachable(doing: str, problem: BaseException, address: str) -> EngineProblem:
    address = address or os.environ.get("DOCKER_HOST", "")
    at = f" at {address}" if address else ""
    causes = list(_causes(problem))
    if any(isinstance(cause, FileNotFoundError) for cause in causes):
        return EngineProblem(f"there is no container engine{at}", help=_HOW_TO_REACH, code="RT611")
    if any(isinstance(cause, PermissionError) for cause in causes):
        return EngineProblem(
            f"this user may not use the container engine{at}",
            help="add the user to the group docker, or name another engine with DOCKER_HOST",
            code="RT611",
        )
    if any(isinstance(cause, _BROKEN_OFF) for cause in causes):
        return EngineProblem(
            f"the connection to the container engine{at} broke off while {doing}",
            help="see whether it was stopped, and why: journalctl -u docker",
            code="RT611",
            transient=True,
        )
    return EngineProblem(
        f"the container engine{at} did not answer while {doing}: {problem}",
        help=_HOW_TO_REACH,
        code="RT611",
        transient=True,
    )


def _causes(problem: BaseException) -> Iterator[BaseException]:
    """The exception and those it came from; libraries also hand them over as arguments."""
    waiting: list[object] = [problem]
    seen: set[int] = set()
    while waiting:
        cause = waiting.pop()
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            waiting += [cause.__cause__, cause.__context__, *cause.args]


def knock(address: str) -> None:
    """Raise EngineProblem at a socket that nobody listens on; the SDK would leave its own end of it open."""
    scheme, _, path = address.partition("://")
    if scheme in {"unix", "http+unix"}:
        with translated("connecting", address), socket.socket(socket.AF_UNIX) as probe:
            probe.connect("/" + path.lstrip("/"))


def connect(timeout: float, settings: Mapping[str, Any], address: str) -> Any:
    """The SDK's `APIClient` for an engine that answers."""
    import docker

    knock(address)
    with translated("connecting", address):
        return docker.APIClient(timeout=round(timeout), use_ssh_client=True, **settings)


def engine_settings() -> dict[str, Any]:
    """What the environment says of the engine, as the SDK's client takes it."""
    from docker.context import ContextAPI
    from docker.utils import kwargs_from_env

    settings: dict[str, Any] = dict(kwargs_from_env())
    if "base_url" in settings:
        return settings
    context = os.environ.get("DOCKER_CONTEXT")
    with translated("reading the Docker contexts"):
        if context and ContextAPI.get_context(context) is None:
            raise EngineProblem(
                f'there is no Docker context "{context}", which DOCKER_CONTEXT names',
                help="see docker context ls",
                code="RT611",
            )
        return {**ContextAPI.kwargs_from_context(), **settings}
