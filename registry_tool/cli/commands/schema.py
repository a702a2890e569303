"""`schema`: JSON Schemas of all kinds."""

from __future__ import annotations

import json
from pathlib import Path

import click

from registry_tool.cli.app import App, pass_app
from registry_tool.errors import EnvironmentProblem, UsageProblem


@click.command("schema")
@click.option(
    "--check", "check_in", metavar="DIR", help="Exit 1 when files in DIR are out of date."
)
@click.option("--write", "write_to", metavar="DIR", help="Write one file for each kind into DIR.")
@click.argument("kind", required=False)
@pass_app
def schema_command(app: App, check_in: str | None, write_to: str | None, kind: str | None) -> int:
    """Print the JSON Schema of KIND (all of them by default), or write or check the files.

    Editors use the files for completion and checks while typing.
    """
    if check_in and write_to:
        raise UsageProblem("--check and --write exclude each other")
    chosen = _chosen(kind)
    if check_in:
        return _check(app, Path(check_in), chosen, complete=kind is None)
    if write_to:
        return _write(app, Path(write_to), chosen)
    if kind is not None:
        app.out(next(iter(chosen.values())).decode())
    else:
        app.out(json.dumps({name: json.loads(text) for name, text in chosen.items()}, indent=2))
    return 0


def _chosen(kind: str | None) -> dict[str, bytes]:
    from registry_tool.domain.names import did_you_mean
    from registry_tool.manifests.schemas import generate

    schemas = generate()
    if kind is None:
        return schemas
    name = f"{kind.lower().replace('-', '').removesuffix('.json')}.json"
    if name not in schemas:
        known = [entry.removesuffix(".json") for entry in schemas]
        raise UsageProblem(
            f'there is no kind "{kind}"',
            help=did_you_mean(kind.lower(), known) or f"the kinds are {', '.join(known)}",
        )
    return {name: schemas[name]}


def _check(app: App, folder: Path, schemas: dict[str, bytes], *, complete: bool) -> int:
    problems = []
    for name, text in schemas.items():
        file = folder / name
        if not file.is_file():
            problems.append(f"missing: {file}")
        elif file.read_bytes() != text:
            problems.append(f"out of date: {file}")
    if complete:
        problems += [
            f"of no kind: {file}"
            for file in sorted(folder.glob("*.json"))
            if file.name not in schemas
        ]
    for problem in problems:
        app.out(problem)
    if problems:
        app.note(f"help: run registry-tool schema --write {folder}")
        return 1
    app.note(f"{folder} is up to date")
    return 0


def _write(app: App, folder: Path, schemas: dict[str, bytes]) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in schemas.items():
            file = folder / name
            changed = not file.is_file() or file.read_bytes() != text
            if changed:
                file.write_bytes(text)
            app.out(f"{'updated' if changed else 'unchanged'} {file}")
    except OSError as problem:
        raise EnvironmentProblem(
            f"cannot write {problem.filename}: {problem.strerror}", help="name another directory"
        ) from problem
    return 0
