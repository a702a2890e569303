"""`fmt`: one layout for all manifests, keeping comments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from registry_tool.cli.app import App, pass_app
from registry_tool.errors import EnvironmentProblem, RegistryToolError, UsageProblem

SUFFIXES = (".yaml", ".yml")


@click.command("fmt")
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--check", is_flag=True, help="Write nothing; exit with 1 when a file would change.")
@pass_app
def fmt_command(app: App, paths: tuple[str, ...], check: bool) -> int:
    """Format manifests: canonical order of keys, one style; comments stay.

    Without PATHs all manifests of the work tree are formatted.
    """
    files = list(_chosen(paths) if paths else _all_manifests(app))
    changed = failed = 0
    for file in files:
        try:
            changed += _format(app, file, check=check)
        except RegistryToolError as problem:
            failed += 1
            _tell(app, file, problem)
    verb = "would be formatted" if check else "formatted"
    app.note(f"{changed} of {len(files)} files {verb}" + (f", {failed} failed" if failed else ""))
    return int(bool(failed or (check and changed)))


def _format(app: App, file: Path, *, check: bool) -> bool:
    """Format one file; whether it differs."""
    from registry_tool.cli.replacing import replace_file
    from registry_tool.manifests.formatting import format_manifest

    try:
        before = file.read_bytes()
        after = format_manifest(before)
        if after == before:
            return False
        if not check:
            replace_file(file, after)
    except OSError as problem:
        raise EnvironmentProblem(f"{file}: {problem.strerror}") from problem
    app.out(f"{'would format' if check else 'formatted'} {_relative(file)}")
    return True


def _tell(app: App, file: Path, problem: RegistryToolError) -> None:
    app.note(f"error: {_relative(file)}: {problem.message}")
    if problem.help:
        app.note(f"help: {problem.help}")


def _relative(file: Path) -> str:
    """As the user would type it, in characters that can be printed."""
    from registry_tool.cli.formats.layout import printable

    below = file.is_relative_to(Path.cwd())
    return printable(str(file.relative_to(Path.cwd()) if below else file))


def _all_manifests(app: App) -> Iterator[Path]:
    from registry_tool.domain.kinds import MANIFESTS_FOLDER, TEMPLATES_FOLDER

    root = app.repository.work_tree
    if root is None:
        raise UsageProblem("a bare repository has no files to format", help="use a clone")
    yield from _yaml_files(root / MANIFESTS_FOLDER)
    for file in sorted((root / TEMPLATES_FOLDER).glob("*/template.yaml")):
        if not file.is_symlink():
            yield file


def _chosen(paths: tuple[str, ...]) -> Iterator[Path]:
    for text in paths:
        path = Path.cwd() / text
        if path.is_dir():
            yield from _yaml_files(path)
        elif path.is_file():
            yield path
        else:
            raise UsageProblem(f"there is no file {text}")


def _yaml_files(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        if file.suffix in SUFFIXES and file.is_file() and not file.is_symlink():
            yield file
