"""What the files of a registry repository are for, told by their paths and modes alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from registry_tool.domain.kinds import MANIFESTS_FOLDER, TEMPLATES_FOLDER
from registry_tool.manifests.source import REGULAR_MODES, EntryLike

YAML_ENDINGS = (".yaml", ".yml")


@dataclass
class Files:
    """The entries of a source by what they are for."""

    manifests: list[EntryLike] = field(default_factory=list)
    beside: dict[str, dict[str, EntryLike]] = field(default_factory=dict)
    """Files of template folders, by folder and by path in it."""
    irregular: list[EntryLike] = field(default_factory=list)


def sort_out(entries: Iterable[EntryLike]) -> Files:
    """What each entry is for; files that are for nothing are left out."""
    files = Files()
    for entry in entries:
        path = entry.path
        if entry.mode not in REGULAR_MODES:
            files.irregular.append(entry)
        elif path.startswith(f"{MANIFESTS_FOLDER}/"):
            if path.endswith(YAML_ENDINGS):
                files.manifests.append(entry)
        elif path.startswith(f"{TEMPLATES_FOLDER}/"):
            _, folder, *rest = path.split("/", 2)
            if (rest and rest[0] in {"template.yaml", "template.yml"}) or (
                not rest and path.endswith(YAML_ENDINGS)
            ):
                files.manifests.append(entry)
            elif rest:
                files.beside.setdefault(folder, {})[rest[0]] = entry
    return files
