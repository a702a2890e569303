"""Refs: reading them, and moving several at once or none."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from subprocess import Popen

from registry_tool.errors import RegistryToolError, RepositoryProblem
from registry_tool.repository.command import GitCommand, decode, encode, finish
from registry_tool.repository.problems import git_failed

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|\.$|/$|\.lock/")
_MOVED = re.compile(
    r"is at [0-9a-f]+ but expected|reference already exists|unable to resolve reference"
    r"|cannot lock ref|Unable to create '[^']+\.lock'|but expected",
)


@dataclass(frozen=True, slots=True)
class RefUpdate:
    """A ref that goes from one oid to another; None is "does not exist"."""

    old: str | None
    new: str | None
    ref: str


class RefsMoved(RegistryToolError):
    """A ref was not what the transaction expected, or somebody else holds it.

    Nothing was changed.
    """


def check_ref(name: str) -> str:
    """`name`, once it is a full ref name; raises RepositoryProblem."""
    if not name.startswith("refs/") or _FORBIDDEN.search(name):
        raise RepositoryProblem(f'"{name}" is not a full ref name such as refs/heads/main')
    return name


def read_refs(command: GitCommand, *prefixes: str) -> dict[str, str]:
    """Oids of all refs that equal or lie under the prefixes, unpeeled."""
    arguments = ["--format=%(objectname) %(refname)", "--end-of-options"]
    arguments += [check_ref(prefix.rstrip("/")) for prefix in prefixes]
    # Without --end-of-options support the patterns are safe as well: all begin with refs/.
    lines = decode(command.run("for-each-ref", *arguments).stdout).splitlines()
    pairs = (line.split(" ", 1) for line in lines)
    return {name: oid for oid, name in pairs}


def move_refs(
    command: GitCommand,
    updates: Sequence[RefUpdate],
    *,
    zero: str,
    prepared: Callable[[], None] = lambda: None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Make all updates in one transaction, each only if the ref still is at its old oid.

    `prepared` is called when all refs are locked and nothing has changed yet. Raises RefsMoved.
    """
    process = command.start("update-ref", "--stdin", environment=environment)
    try:
        _say(process, "start", "".join(_line(update, zero) for update in updates))
        _say(process, "prepare")
        prepared()
        _say(process, "commit")
    finally:
        # Without "commit" the end of its input makes Git undo everything. Killed, it would leave
        # its lock files behind.
        finish(process)


def _line(update: RefUpdate, zero: str) -> str:
    ref, old = check_ref(update.ref), update.old or zero
    if update.new is None:
        return f"delete {ref} {old}\n"
    return f"update {ref} {update.new} {old}\n"


def _say(process: Popen[bytes], verb: str, rest: str = "") -> None:
    if process.stdin is None or process.stdout is None or process.stderr is None:
        raise RuntimeError("git update-ref was started without pipes")
    # A process that is gone answers nothing below, and has said why.
    with suppress(BrokenPipeError):
        process.stdin.write(encode(f"{verb}\n{rest}"))
        process.stdin.flush()
    if process.stdout.readline() == f"{verb}: ok\n".encode():
        return
    complaint = process.stderr.read().decode("utf-8", "replace")
    problem = git_failed(("update-ref",), complaint)
    if _MOVED.search(complaint):
        raise RefsMoved(problem.message, help=problem.help, code=problem.code)
    raise problem
