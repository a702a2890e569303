"""Progress as an injected observer: the core reports, it never prints."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives progress. Calls may come from several threads."""

    def start(self, task: str, description: str, total: int | None = None) -> None:
        """A task begins; `total` is in bytes when known."""

    def advance(self, task: str, count: int) -> None:
        """`count` more bytes are done."""

    def finish(self, task: str) -> None:
        """The task ended, well or not."""

    def message(self, text: str) -> None:
        """A line for people: what is done now, or what was done."""


class Silent:
    """Reports to nobody."""

    def start(self, task: str, description: str, total: int | None = None) -> None:
        """Do nothing."""

    def advance(self, task: str, count: int) -> None:
        """Do nothing."""

    def finish(self, task: str) -> None:
        """Do nothing."""

    def message(self, text: str) -> None:
        """Do nothing."""
