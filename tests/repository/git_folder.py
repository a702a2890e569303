"""A work tree driven by the real git, and a clock that stands still."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path


@dataclass
class GitFolder:
    path: Path

    def git(
        self,
        *arguments: str,
        stdin: str | None = None,
        check: bool = True,
        env: Mapping[str, str] | None = None,
    ) -> str:
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.path,
            input=stdin,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
            env=env,
        )
        if check and done.returncode:
            raise AssertionError(f"git {arguments}: {done.stderr}")
        return done.stdout.rstrip("\n") if done.returncode == 0 else done.stderr

    def write(self, path: str, text: str = "kind: Model\n") -> Path:
        target = self.path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return target

    def commit(self, message: str = "A commit") -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def clone(self, name: str, *options: str) -> GitFolder:
        target = self.path.parent / name
        url = f"file://{self.path}"
        self.git("clone", "--quiet", *options, url, str(target))
        return GitFolder(target)


@dataclass
class FakeClock:
    now: datetime = field(default_factory=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
