"""Running git: fixed verbs, a fixed environment, no shell.

There are two environments. Everything about objects and refs runs *isolated*: without system and
user configuration, hooks, file-system monitor, replacement objects, lazy fetches and transports.
What is about the operator (fetch, push, their identity and settings) runs with *their*
configuration. Both keep the object directories and the quarantine that a server hook was given.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from subprocess import PIPE, Popen, TimeoutExpired
from typing import TYPE_CHECKING, Final, cast

from registry_tool.errors import RepositoryProblem
from registry_tool.repository.problems import git_failed, missing_git

if TYPE_CHECKING:
    from git.cmd import Git

MINIMUM_VERSION: Final = (2, 38)
_PATIENCE = 10.0

_ISOLATED_CONFIG: Final = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.attributesFile": os.devnull,
    "core.alternateRefsCommand": "",
    "core.quotePath": "false",
    "core.filesRefLockTimeout": "1000",
    "core.packedRefsTimeout": "2000",
    "protocol.allow": "never",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "log.showSignature": "false",
    "log.mailmap": "false",
    "i18n.logOutputEncoding": "UTF-8",
    "i18n.commitEncoding": "UTF-8",
}
_COMMON: Final = {
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_GLOB_PATHSPECS": "0",
    "GIT_NOGLOB_PATHSPECS": "0",
    "GIT_ICASE_PATHSPECS": "0",
    "GIT_PAGER": "cat",
}


def _isolated_environment() -> dict[str, str]:
    environment = {
        **_COMMON,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_SYSTEM": os.devnull,
        "GIT_CONFIG_GLOBAL": os.devnull,
        # Options given to a parent `git -c …` reach a hook in this variable.
        "GIT_CONFIG_PARAMETERS": "",
        "GIT_CONFIG_COUNT": str(len(_ISOLATED_CONFIG)),
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }
    for number, (name, value) in enumerate(_ISOLATED_CONFIG.items()):
        environment[f"GIT_CONFIG_KEY_{number}"] = name
        environment[f"GIT_CONFIG_VALUE_{number}"] = value
    return environment


def _operator_environment() -> dict[str, str]:
    # A question that nobody can answer, under a progress bar or in a daemon, is a hang.
    prompt = os.environ.get("GIT_TERMINAL_PROMPT", "0")
    return {**_COMMON, "GIT_TERMINAL_PROMPT": prompt}


@dataclass(frozen=True, slots=True)
class Finished:
    """What a git process left: its exit status, its output, and its complaints."""

    status: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        """The output as text, without the final line break."""
        return decode(self.stdout).rstrip("\n")


def decode(data: bytes) -> str:
    """Text of Git's output. Bytes that are not UTF-8 survive a round trip through `encode`."""
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """The bytes behind text that `decode` gave."""
    return text.encode("utf-8", "surrogateescape")


@lru_cache(maxsize=1)
def _program() -> type[Git]:
    """GitPython's command class, once Git was found to be new enough."""
    try:
        from git.cmd import Git
    except ImportError as problem:
        raise missing_git("it was not found") from problem
    version = Git().version_info
    if version[:2] < MINIMUM_VERSION:
        raise missing_git(f"this is version {'.'.join(map(str, version))}")
    return Git


class GitCommand:
    """Runs git in one directory, with `location` (GIT_DIR and the like) in its environment."""

    def __init__(self, directory: Path, location: Mapping[str, str]) -> None:
        self._git = _program()(directory)
        self._executable = str(self._git.GIT_PYTHON_GIT_EXECUTABLE)
        self._isolated = {**_isolated_environment(), **location}
        self._operator = {**_operator_environment(), **location}

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        accept: Collection[int] = (0,),
        environment: Mapping[str, str] | None = None,
    ) -> Finished:
        """Run git isolated. Raises RepositoryProblem when the exit status is not in `accept`."""
        process = self.start(*arguments, environment=environment)
        return _finish(process, arguments, stdin, accept, None)

    def run_as_operator(
        self,
        *arguments: str,
        stdin: bytes = b"",
        accept: Collection[int] = (0,),
        environment: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Finished:
        """Run git with the operator's configuration; `timeout` is in seconds."""
        process = self._start(arguments, {**self._operator, **(environment or {})})
        return _finish(process, arguments, stdin, accept, timeout)

    def with_config(self, settings: Mapping[str, str]) -> dict[str, str]:
        """The environment of an isolated call that has these settings as well."""
        environment, count = {}, len(_ISOLATED_CONFIG)
        for number, (name, value) in enumerate(settings.items(), count):
            environment[f"GIT_CONFIG_KEY_{number}"] = name
            environment[f"GIT_CONFIG_VALUE_{number}"] = value
        return {**environment, "GIT_CONFIG_COUNT": str(count + len(settings))}

    def start(self, *arguments: str, environment: Mapping[str, str] | None = None) -> Popen[bytes]:
        """Start git isolated, with pipes; the caller ends the process."""
        return self._start(arguments, {**self._isolated, **(environment or {})})

    def _start(self, arguments: tuple[str, ...], environment: Mapping[str, str]) -> Popen[bytes]:
        from git.exc import GitCommandNotFound

        try:
            wrapper = self._git.execute(
                [self._executable, *arguments], istream=PIPE, as_process=True, env=environment
            )
        except GitCommandNotFound as problem:
            raise missing_git("it was not found") from problem
        except (OSError, ValueError) as problem:
            raise RepositoryProblem(
                f"git {arguments[0]} cannot be started: {problem}", code="RT605"
            ) from problem
        process = cast("Popen[bytes]", wrapper.proc)
        # The wrapper would terminate the process once it is collected.
        wrapper.proc = None
        return process


def _finish(
    process: Popen[bytes],
    arguments: tuple[str, ...],
    stdin: bytes,
    accept: Collection[int],
    timeout: float | None,
) -> Finished:
    with process:
        try:
            stdout, stderr = process.communicate(stdin, timeout=timeout)
        except TimeoutExpired as problem:
            _terminate(process)
            raise RepositoryProblem(
                f"git {arguments[0]} did not finish in {timeout:g} seconds",
                code="RT605",
                transient=True,
            ) from problem
        except BaseException:
            _terminate(process)
            raise
    complaint = stderr.decode("utf-8", "replace")
    if process.returncode not in accept:
        raise git_failed(arguments, complaint)
    return Finished(process.returncode, stdout, complaint)


def _terminate(process: Popen[bytes]) -> None:
    """Ask git to end, so that it removes its lock and temporary files; insist after a while."""
    process.terminate()
    try:
        process.wait(_PATIENCE)
    except TimeoutExpired:
        process.kill()


def stop(process: Popen[bytes]) -> None:
    """End a process that only reads, and close its pipes."""
    process.kill()
    finish(process)


def finish(process: Popen[bytes]) -> None:
    """Close the pipes of a process that `GitCommand.start` gave, and wait for its end."""
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            try:
                stream.close()
            except BrokenPipeError:
                # What was still buffered for a process that is gone.
                continue
    process.wait()
