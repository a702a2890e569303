"""Asking Git while Python imports: a warm start is made of little else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread

from registry_tool.errors import RegistryToolError


@contextmanager
def ahead(*questions: Callable[[], object]) -> Iterator[None]:
    """Ask `questions`, which remember their answers, in a thread meanwhile; it has ended afterwards.

    A question that fails remembers nothing, and so fails again where its answer is needed.
    """

    def ask() -> None:
        with suppress(RegistryToolError):
            for question in questions:
                question()

    thread = Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        thread.join()
