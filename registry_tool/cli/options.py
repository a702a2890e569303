"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def format_option(*formats: str) -> Callable[[Command], Command]:
    """`--format`, passed on as `output`; the first format is the default."""
    return click.option(
        "--format",
        "output",
        type=click.Choice(formats),
        default=formats[0],
        show_default=True,
        help="How to print the result.",
    )


def rev_option(
    text: str = "The revision to look at; HEAD by default.",
) -> Callable[[Command], Command]:
    """`--rev REV`."""
    return click.option("--rev", metavar="REV", help=text)


label_option = click.option(
    "--label", "labels", metavar="KEY=VALUE", multiple=True, help="A label; may be repeated."
)
