"""Every command in docs/getting-started.md runs, in order, and prints what the page shows."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs/getting-started.md"


def steps() -> list[tuple[str, list[str]]]:
    """Commands and the lines that the page shows below them."""
    found: list[tuple[str, list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def shows(output: str, lines: list[str]) -> bool:
    """Whether the lines are what was printed, `…` standing for anything."""
    if not lines:
        return True
    pattern = "".join(
        r"(?:.*\n)*?" if line == "…" else re.escape(line).replace("…", ".*") + r"\n"
        for line in lines
    )
    return re.fullmatch(pattern, output) is not None


def test_the_page_is_true(anywhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert len(steps()) > 20
    for command, lines in steps():
        program, *arguments = shlex.split(command)
        if program == "cd":
            monkeypatch.chdir(Path.cwd() / arguments[0])
        elif program == "registry-tool":
            ran = anywhere(*arguments)
            assert ran.code == 0, (command, ran.err)
            assert shows(ran.out, lines), f"{command}\n{ran.out}"
        else:
            done = subprocess.run([program, *arguments], capture_output=True, text=True, check=True)
            assert shows(done.stdout, lines), f"{command}\n{done.stdout}"
