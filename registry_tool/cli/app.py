"""What every command shares: the repository, settings, output and progress."""

from __future__ import annotations

import os
import sys
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

from registry_tool.errors import UsageProblem

if TYPE_CHECKING:
    from registry_tool.domain.progress import Progress
    from registry_tool.domain.registry import Registry
    from registry_tool.oci.store import ImageStore
    from registry_tool.repository.blob_cache import BlobCache
    from registry_tool.repository.repository import Repository

EMBEDDED = "embedded"


class App:
    """Opened lazily, closed at the end of the command."""

    def __init__(self, repo_path: str, verbosity: int) -> None:
        self.repo_path = Path(repo_path)
        self.verbosity = verbosity
        self._opened: Repository | None = None
        self._cache: BlobCache | None = None
        self._stores: dict[tuple[str, bool], ImageStore] = {}

    @property
    def repository(self) -> Repository:
        """The repository of `--repo`; raises RepositoryProblem."""
        if self._opened is None:
            from registry_tool.repository.repository import Repository

            self._opened = Repository.open(self.repo_path)
        return self._opened

    @property
    def cache(self) -> BlobCache:
        """Parsed manifests by blob oid; may be deleted at any time."""
        if self._cache is None:
            from registry_tool.repository.blob_cache import BlobCache

            self._cache = BlobCache(self.repository.state_path / "cache" / "blobs.sqlite")
        return self._cache

    @cached_property
    def store_root(self) -> Path:
        """The directory of the embedded store."""
        chosen = self.setting("store")
        return Path(chosen).absolute() if chosen else self.repository.state_path / "store"

    def open_store(self, registry: Registry) -> ImageStore:
        """The store that a Registry manifest names, or else the embedded one."""
        images = registry.spec.images
        return self.store_named(images.repository or EMBEDDED, insecure=images.insecure)

    def store_named(self, name: str, *, insecure: bool = False) -> ImageStore:
        """The store that Build records call so; opened once, so that its connections are kept."""
        if (name, insecure) not in self._stores:
            self._stores[name, insecure] = self._new_store(name, insecure)
        return self._stores[name, insecure]

    def _new_store(self, name: str, insecure: bool) -> ImageStore:
        if name == EMBEDDED:
            from registry_tool.oci.layout import LayoutStore

            return LayoutStore(self.store_root)
        from registry_tool.oci.registry_store import RegistryStore

        return RegistryStore(name, insecure=insecure, profile=self.setting("registry-profile"))

    def setting(self, name: str) -> str | None:
        """A setting of this place: `REGISTRY_TOOL_<NAME>`, else Git configuration `registry-tool.<name>`."""
        value = os.environ.get("REGISTRY_TOOL_" + name.upper().replace("-", "_"))
        return value if value is not None else self.repository.config(f"registry-tool.{name}")

    @cached_property
    def jobs(self) -> int:
        """How much may run at once; the number of processors by default."""
        value = self.setting("jobs")
        if value is None:
            return os.cpu_count() or 1
        if not value.isdigit() or int(value) < 1:
            raise UsageProblem(
                f'the setting "jobs" is a positive number, not "{value}"',
                help="see REGISTRY_TOOL_JOBS and git config registry-tool.jobs",
            )
        return int(value)

    @cached_property
    def progress(self) -> Progress:
        """Progress on stderr: bars on a terminal, lines elsewhere, nothing with -q."""
        from registry_tool.cli.progress import for_terminal

        return for_terminal(self.verbosity)

    def out(self, text: str) -> None:
        """A result, on stdout."""
        click.echo(text, nl=not text.endswith("\n"))

    def note(self, text: str) -> None:
        """A line for people, on stderr; not with -q."""
        if self.verbosity >= 0:
            click.echo(text, err=True)

    @property
    def color(self) -> bool:
        """Whether results may be coloured."""
        return sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def close(self) -> None:
        """Release what was opened."""
        if self._cache is not None:
            self._cache.close()
        if self._opened is not None:
            self._opened.close()


pass_app = click.make_pass_decorator(App)
