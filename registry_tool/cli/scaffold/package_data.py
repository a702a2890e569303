"""The files that the product carries along: example manifests, templates, schemas, the workflow.

In a checkout they stand at the top level, where a registry repository has them; a wheel carries the same files
below `registry_tool/_data/`.
"""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

from registry_tool.errors import EnvironmentProblem


def data_folder(name: str) -> Traversable:
    """A folder of the package data: manifests, build_templates, schemas or .github/workflows."""
    package = files("registry_tool")
    for folder in (package / "_data" / name, package / ".." / name):
        if folder.is_dir():
            return folder
    raise EnvironmentProblem(
        f"this installation of registry-tool is incomplete: its {name} folder is missing",
        help="reinstall it: pip install --force-reinstall registry-tool",
        code="RT610",
    )


def workflow_text() -> str:
    """The GitHub workflow of a registry repository."""
    return (data_folder(".github/workflows") / "registry.yml").read_text(encoding="utf-8")


def data_files(name: str) -> dict[str, bytes]:
    """All files below a folder of the package data, by path relative to it."""
    return dict(sorted(_walk(data_folder(name), "")))


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        elif not entry.name.startswith("."):
            found.append((prefix + entry.name, entry.read_bytes()))
    return found
