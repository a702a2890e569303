"""Reconciling after a push, in the background: one run at a time, and no push is missed.

A push leaves a mark and starts a supervisor. The supervisor that gets the lock removes the mark,
runs the command, and looks for a new mark before and after it gives the lock back; the others end
at once.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from registry_tool.errors import RepositoryProblem

LOG_NAME = "reconcile.log"
_MARK_NAME = "reconcile.wanted"
_LOCK_NAME = "reconcile.lock"
_LOG_LIMIT = 5 * 1024 * 1024
_HOOK_VARIABLES = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_QUARANTINE_PATH",
    "GIT_COMMON_DIR",
    "GIT_PREFIX",
    "GIT_NAMESPACE",
    "GIT_CONFIG_PARAMETERS",
    "GIT_CONFIG_COUNT",
)


def start(state_dir: Path, command: Sequence[str]) -> Path:
    """Have `command` run soon, detached from this process; returns the path of its log.

    When a run is under way, another one follows it. The command's own environment lacks what only
    this hook has.
    """
    log = state_dir / LOG_NAME
    try:
        (state_dir / _MARK_NAME).touch()
        _start(state_dir, log, command)
    except (OSError, subprocess.CalledProcessError) as problem:
        raise RepositoryProblem(
            f"nothing can be started in the background of {state_dir}: {problem}",
            code="RT610",
            help="all who push need to write there; let the server run as one user",
        ) from problem
    return log


def _start(state_dir: Path, log: Path, command: Sequence[str]) -> None:
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_name(LOG_NAME + ".1"))
    environment = {name: value for name, value in os.environ.items() if name not in _HOOK_VARIABLES}
    with log.open("ab") as output:
        # The module forks at once, so this only waits for the interpreter to start.
        subprocess.run(
            [sys.executable, "-P", "-m", __name__, str(state_dir), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=state_dir,
            env=environment,
            start_new_session=True,
            check=True,
        )


def run_until_clean(state_dir: Path, command: Sequence[str]) -> int:
    """Run the command while there is a mark, unless another process does. Returns how often."""
    mark, count = state_dir / _MARK_NAME, 0
    while mark.exists():
        with (state_dir / _LOCK_NAME).open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return count
            while mark.exists():
                # Removed first: what is pushed from here on asks for another run.
                mark.unlink()
                _run(command)
                count += 1
    return count


def _run(command: Sequence[str]) -> None:
    _note(f"started: {' '.join(command)}")
    try:
        status = subprocess.run(list(command), stdin=subprocess.DEVNULL, check=False).returncode
    except OSError as problem:
        _note(f"could not start: {problem}")
    else:
        _note(f"finished with status {status}")


def _note(text: str) -> None:
    sys.stdout.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {text}\n")
    sys.stdout.flush()


def main(arguments: Sequence[str]) -> None:
    """``python -m registry_tool.repository.background STATE_DIR COMMAND…``."""
    if os.fork():
        # Not sys.exit: the child is the one that goes on.
        os._exit(0)
    run_until_clean(Path(arguments[0]), arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
