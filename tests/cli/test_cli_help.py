import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from registry_tool.cli.main import COMMANDS, cli

ROOT = Path(__file__).parents[2]
HEAVY = ("pydantic", "yaml", "git", "rich", "jinja2", "fsspec", "watchdog", "sqlite3", "docker")


def commands() -> Iterator[tuple[str, ...]]:
    """All commands and subcommands that people see."""
    for name in COMMANDS:
        yield from below((name,), command_of((name,)))


def below(path: tuple[str, ...], command: click.Command) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            if not inner.hidden:
                yield from below((*path, name), inner)


def command_of(path: tuple[str, ...]) -> click.Command:
    found: click.Command = cli
    for name in path:
        assert isinstance(found, click.Group)
        inner = found.get_command(click.Context(found), name)
        assert inner is not None, path
        found = inner
    return found


@pytest.mark.parametrize("path", list(commands()), ids="-".join)
def test_every_command_explains_itself(anywhere, path: tuple[str, ...]) -> None:
    for option in ("--help", "-h"):
        ran = anywhere(*path, option)
        assert ran.code == 0
        assert ran.out.startswith(f"Usage: registry-tool {' '.join(path)}")
        assert "\\b" not in ran.out, "a mark for click that reached the user"
    assert command_of(path).help, "a command without description"
    for parameter in command_of(path).params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{path}: {parameter.opts} has no help"


def test_help_lists_every_command_with_a_short_help(anywhere) -> None:
    out = anywhere("--help").out
    assert "\\b" not in out
    for name, (_, text) in COMMANDS.items():
        assert any(line.split()[:1] == [name] for line in out.splitlines()), name
        assert text.split()[0] in out


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["validate", "--help"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from registry_tool.cli.main import run\n"
        f"code = run({arguments!r})\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules]); sys.exit(code)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment
    )
    assert ast.literal_eval(result.stdout.splitlines()[-1]) == []


def test_a_mistyped_command_gets_a_suggestion(anywhere) -> None:
    ran = anywhere("validte")
    assert ran.code == 2
    assert 'did you mean "validate"?' in ran.err


def test_it_runs_as_a_module() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(
        [sys.executable, "-m", "registry_tool", "--version"],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    assert result.stdout.startswith("registry-tool, version ")
