"""`validate`: all checks of the work tree, the index or a revision."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from registry_tool.cli.ahead import ahead
from registry_tool.cli.app import App, pass_app
from registry_tool.cli.options import format_option
from registry_tool.errors import UsageProblem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry_tool.domain.diagnostics import Diagnostic
    from registry_tool.reconcile.incremental.checked import Checked, StateSource
    from registry_tool.repository.repository import Repository


@click.command("validate")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--rev", metavar="REV", help="Check a revision instead of the work tree.")
@click.option(
    "--base",
    metavar="REV",
    help="What the manifests are compared with: by default HEAD, and for --rev its first parent.",
)
@click.option("--staged", is_flag=True, help="Check the Git index: what would be committed.")
@click.option("--watch", is_flag=True, help="Check again whenever a file changes, until Ctrl-C.")
@format_option("text", "json", "github", "sarif", "junit")
@pass_app
def validate_command(
    app: App,
    paths: tuple[str, ...],
    rev: str | None,
    base: str | None,
    staged: bool,
    watch: bool,
    output: str,
) -> int:
    """Check all manifests: of the work tree, or of HEAD in a bare repository.

    With PATHs only the diagnostics of these files and directories are shown. Exits with 1 when an
    error is shown.
    """
    if sum((rev is not None, staged, watch)) > 1:
        raise UsageProblem("--rev, --staged and --watch exclude each other")
    request = Request(rev=rev, base=base, staged=staged, paths=paths, output=output)
    if not watch:
        return validate_once(app, request)
    return _watch(app, request)


@dataclass(frozen=True)
class Request:
    """What to check, and how to print what was found."""

    rev: str | None = None
    base: str | None = None
    staged: bool = False
    paths: tuple[str, ...] = ()
    output: str = "text"


def validate_once(app: App, request: Request) -> int:
    """Check and print; returns 1 when an error is shown."""
    repository = app.repository
    source, before = _sources(repository, request)
    with ahead(lambda: source.state, lambda: before and before.state):
        from registry_tool.domain.diagnostics import Severity
        from registry_tool.reconcile.incremental.checking import check_state

    wanted = [_within(repository, path, source) for path in request.paths]
    state = check_state(repository, source, before, cache=app.cache, jobs=lambda: app.jobs)
    shown = [entry for entry in state.diagnostics if _is_wanted(entry.path, wanted)]
    printed = render(shown, state, request.output, color=app.color)
    if printed:
        app.out(printed)
    hidden = len(state.diagnostics) - len(shown)
    if hidden:
        app.note(f"note: {hidden} more in other files")
    return int(any(entry.severity is Severity.ERROR for entry in shown))


def render(shown: Sequence[Diagnostic], state: Checked, output: str, *, color: bool) -> str:
    """The diagnostics in one of the formats."""
    match output:
        case "json":
            from registry_tool.cli.formats import json as json_format

            return json_format.format_diagnostics(shown, checked=state.checked)
        case "github":
            from registry_tool.cli.formats import github

            return github.format_diagnostics(shown)
        case "sarif":
            from registry_tool.cli.formats import sarif

            return sarif.format_diagnostics(shown)
        case "junit":
            from registry_tool.cli.formats import junit

            return junit.format_diagnostics(shown, checked=state.checked)
        case _ if shown:
            from registry_tool.cli.formats import text

            return text.format_diagnostics(shown, color=color)
        case _:
            from registry_tool.cli.formats.layout import counted

            return f"{counted(state.checked, 'manifest')} checked, no errors\n"


def _sources(repository: Repository, request: Request) -> tuple[StateSource, StateSource | None]:
    """What to check, and what to compare it with."""
    from registry_tool.cli.heads import head_commit

    rev = request.rev
    if rev is None and not request.staged and repository.work_tree is None:
        rev = "HEAD"
    if rev is not None:
        commit = repository.resolve(rev)
        parent = (
            repository.resolve(request.base) if request.base else repository.first_parent(commit)
        )
        return repository.snapshot(commit), _snapshot(repository, parent)
    if request.staged and repository.work_tree is None:
        raise UsageProblem("a bare repository has no index", help="check a revision with --rev")
    source = repository.index_snapshot() if request.staged else repository.work_tree_snapshot()
    parent = repository.resolve(request.base) if request.base else head_commit(repository)
    return source, _snapshot(repository, parent)


def _snapshot(repository: Repository, commit: str | None) -> StateSource | None:
    return repository.snapshot(commit) if commit is not None else None


def _within(repository: Repository, path: str, source: StateSource) -> str:
    """A path argument relative to the repository; raises UsageProblem when nothing is there."""
    if repository.work_tree is None:
        inside = path.strip("/")
    else:
        absolute = Path.cwd() / path
        # A symlink is named itself, not what it points to.
        named = absolute.name not in {"", ".."}
        place = absolute.parent.resolve() / absolute.name if named else absolute.resolve()
        try:
            inside = place.relative_to(repository.work_tree.resolve()).as_posix()
        except ValueError:
            raise UsageProblem(
                f"{path} is outside the repository {repository.work_tree}",
                help="name files or directories of the repository",
            ) from None
    inside = "" if inside == "." else inside
    if not any(_is_wanted(entry.path, [inside]) for entry in source.entries()):
        raise UsageProblem(
            f"there is no manifest at {path}",
            help="manifests are below manifests/ and build_templates/",
        )
    return inside


def _is_wanted(path: str, wanted: Sequence[str]) -> bool:
    return not wanted or any(
        not prefix or path == prefix or path.startswith(prefix + "/") for prefix in wanted
    )


def _watch(app: App, request: Request) -> int:
    from registry_tool.cli.formats.layout import moment
    from registry_tool.cli.watching import Changes
    from registry_tool.reconcile.effects import utc_now

    root = app.repository.work_tree
    if root is None:
        raise UsageProblem("a bare repository has no work tree to watch")
    with Changes(root) as changes:
        try:
            while True:
                validate_once(app, request)
                app.note(f"{moment(utc_now())} waiting for changes; Ctrl-C ends")
                changes.wait()
        except KeyboardInterrupt:
            return 0
