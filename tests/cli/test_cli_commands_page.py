"""docs/commands.md has every command and option, and no other."""

import re
from pathlib import Path

import click
import pytest
from test_cli_help import command_of, commands

from registry_tool.cli.main import cli

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"

EDIT_OPTIONS = re.compile(r"^## Edit options$.*?^## ", re.MULTILINE | re.DOTALL)


def sections() -> dict[str, str]:
    """Text by heading; the command's name is the heading."""
    parts = re.split(r"^#{2,3} `registry-tool ?([^`]*)`$", PAGE.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def documented_options(text: str) -> set[str]:
    """Names in the first column of the section's table, and the edit options where it refers to them."""
    if "[edit options](#edit-options)" in text:
        (shared,) = EDIT_OPTIONS.findall(PAGE.read_text())
        text += shared
    rows = re.findall(r"^\| `([^`]*)` \|", text, flags=re.MULTILINE)
    return {name for row in rows for name in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", row)}


def real_options(command: click.Command) -> set[str]:
    return {
        name
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.hidden
        for name in (*parameter.opts, *parameter.secondary_opts)
    }


def test_there_is_a_section_for_each_command_and_no_other() -> None:
    assert set(sections()) == {" ".join(path) for path in commands()} | {""}


@pytest.mark.parametrize("path", [(), *commands()], ids="-".join)
def test_options_are_the_real_ones(path: tuple[str, ...]) -> None:
    command = command_of(path) if path else cli
    assert documented_options(sections()[" ".join(path)]) == real_options(command)


@pytest.mark.parametrize("path", list(commands()), ids="-".join)
def test_the_usage_is_the_real_one(path: tuple[str, ...]) -> None:
    command = command_of(path)
    # Click remembers the names of the help option, which come from the parent.
    parent = click.Context(cli, info_name="registry-tool", **cli.context_settings)
    context = click.Context(command, parent=parent, info_name=" ".join(path))
    pieces = ["registry-tool", *path, *command.collect_usage_pieces(context)]
    usage = " ".join(piece for piece in pieces if piece != "[OPTIONS]")
    assert f"\n    {usage}\n" in sections()[" ".join(path)]
