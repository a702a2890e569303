"""Work in forked processes, which see everything that this process has in memory without being sent it."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, TypeVar, cast

T = TypeVar("T")


class Failed(Exception):
    """A forked process ended without a result."""


def in_forks(tasks: Sequence[Callable[[], T]], prepare: Callable[[], None]) -> list[T]:
    """The results of all tasks: of the first one from this process, of each other from one of its own.

    `prepare` is called first in each new process, for example to cut what must not be shared. Only
    where `can_fork` says so. Raises Failed when a task fails there.
    """
    context = multiprocessing.get_context("fork")
    running = []
    for task in tasks[1:]:
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(task, prepare, sender))
        process.start()
        sender.close()
        running.append((process, receiver))
    try:
        results = [task() for task in tasks[:1]]
        return [*results, *(cast(T, _received(receiver)) for _, receiver in running)]
    finally:
        for process, receiver in running:
            receiver.close()
            process.join()


def _work(task: Callable[[], object], prepare: Callable[[], None], sender: Connection) -> None:
    prepare()
    # What goes wrong here comes up again where the work is done once more, in one process.
    with suppress(Exception):
        sender.send(task())


def _received(receiver: Connection) -> Any:
    try:
        return receiver.recv()
    except EOFError:
        raise Failed from None
