"""Running git: fixed verbs, a fixed environment, no shell.

There are two environments. Everything about objects and refs runs *isolated*: without system and
user configuration, hooks, file-system monitor, replacement objects, lazy fetches and transports.
What is about the operator (fetch, push, their identity and settings) runs with *their*
configuration. Both keep the object directories and the quarantine that a server hook was given.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from subprocess import PIPE, Popen, TimeoutExpired, run
from typing import Final, cast

from registry_tool.errors import RepositoryProblem
from registry_tool.repository.problems import git_failed, missing_git

MINIMUM_VERSION: Final = (2, 38)
_PATIENCE = 10.0
_VERSION = re.compile(rb"git version (\d+)\.(\d+)")
_READS: Final = frozenset(
    (
        "cat-file", "config", "diff-files", "diff-index", "diff-tree", "for-each-ref", "log",
        "ls-files", "ls-tree", "merge-base", "remote", "rev-parse", "symbolic-ref", "version",
    )
)  # fmt: skip
"""Verbs that are started without GitPython: importing it takes longer than most questions do."""

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
def _program() -> str:
    """The git program, once it was found to be new enough."""
    executable = os.environ.get("GIT_PYTHON_GIT_EXECUTABLE") or "git"
    try:
        answer = run([executable, "version"], capture_output=True, check=False).stdout
    except OSError as problem:
        raise missing_git("it was not found") from problem
    found = _VERSION.match(answer)
    if found is None:
        raise missing_git(f"{executable} does not say its version")
    version = (int(found[1]), int(found[2]))
    if version < MINIMUM_VERSION:
        raise missing_git(f"this is version {found[1].decode()}.{found[2].decode()}")
    return executable


class GitCommand:
    """Runs git in one directory, with `location` (GIT_DIR and the like) in its environment."""

    def __init__(self, directory: Path, location: Mapping[str, str]) -> None:
        self._executable = _program()
        self._directory = directory
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

    def run_together(
        self, *calls: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> list[Finished]:
        """Ask several questions at once, isolated. Raises RepositoryProblem when one of them fails."""
        with ExitStack() as stack:
            started = []
            for arguments in calls:
                process = self.start(*arguments, environment=environment)
                stack.callback(stop, process)
                started.append((process, tuple(arguments)))
            return [_finish(process, arguments, b"", (0,), None) for process, arguments in started]

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
        try:
            if arguments[0] in _READS:
                return self._start_reading(arguments, environment)
            return self._start_changing(arguments, environment)
        except FileNotFoundError as problem:
            raise missing_git("it was not found") from problem
        except (OSError, ValueError) as problem:
            raise RepositoryProblem(
                f"git {arguments[0]} cannot be started: {problem}", code="RT605"
            ) from problem

    def _start_reading(
        self, arguments: tuple[str, ...], environment: Mapping[str, str]
    ) -> Popen[bytes]:
        # As GitPython does: messages are understood in English only.
        variables = {**os.environ, "LANGUAGE": "C", "LC_ALL": "C", **environment}
        return Popen(
            [self._executable, *arguments],
            cwd=self._directory,
            env=variables,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
        )

    def _start_changing(
        self, arguments: tuple[str, ...], environment: Mapping[str, str]
    ) -> Popen[bytes]:
        from git.cmd import Git
        from git.exc import GitCommandNotFound

        try:
            wrapper = Git(self._directory).execute(
                [self._executable, *arguments], istream=PIPE, as_process=True, env=dict(environment)
            )
        except GitCommandNotFound as problem:
            raise FileNotFoundError(str(problem)) from problem
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
