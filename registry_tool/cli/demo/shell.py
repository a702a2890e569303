"""Runs commands as a user would type them, and shows each with its output."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import click

from registry_tool.errors import ActionFailed

PERSON = {
    "GIT_AUTHOR_NAME": "Dana Demo",
    "GIT_AUTHOR_EMAIL": "dana@example.com",
    "GIT_COMMITTER_NAME": "Dana Demo",
    "GIT_COMMITTER_EMAIL": "dana@example.com",
}


class Shell:
    """A working directory, and commands that run in it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
            **PERSON,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_TERMINAL_PROMPT": "0",
        }

    def say(self, text: str) -> None:
        """A heading between commands."""
        click.echo(f"\n{click.style('# ' + text, bold=True)}")

    def run(self, line: str, *, expect: int = 0) -> str:
        """Show and run one command line; raises ActionFailed when its exit code is not `expect`.

        `registry-tool` runs with this interpreter, so that the demonstration shows this installation.
        """
        click.echo(f"{click.style('$', fg='green')} {line}")
        words = shlex.split(line)
        if words[0] == "registry-tool":
            words[:1] = [sys.executable, "-m", "registry_tool"]
        done = subprocess.run(
            words,
            cwd=self.directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        click.echo(done.stdout, nl=not done.stdout.endswith("\n") and bool(done.stdout))
        if done.returncode != expect:
            raise ActionFailed(
                f"the command ended with exit code {done.returncode}, not {expect}: {line}"
            )
        return done.stdout

    def enter(self, directory: str) -> None:
        """`cd`, shown."""
        click.echo(f"{click.style('$', fg='green')} cd {directory}")
        self.directory = self.directory / directory

    def write(self, path: str, text: str) -> None:
        """Write a file, shown as an edit."""
        click.echo(f"{click.style('$', fg='green')} $EDITOR {path}")
        target = self.directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def quiet(self, *words: str) -> int:
        """Run registry-tool without showing it; returns the exit code."""
        return subprocess.run(
            [sys.executable, "-m", "registry_tool", *words],
            cwd=self.directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        ).returncode

    def wait_until_reconciled(self, repository: str, seconds: float = 60.0) -> None:
        """Wait until nothing is pending in a repository that reconciles itself after a push."""
        deadline = time.monotonic() + seconds
        while self.quiet("--repo", repository, "plan", "--exit-code") != 0:
            if time.monotonic() > deadline:
                raise ActionFailed(
                    f"{repository} was not reconciled within {seconds:g} s",
                    help=f"see {repository}/registry-tool/reconcile.log",
                )
            time.sleep(0.3)
