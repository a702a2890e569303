"""What is in an image at the places where locked files go, asked from the engine rather than read from layers."""

from __future__ import annotations

from collections.abc import Iterable

from registry_tool.builders.engine import Engine, EngineImage
from registry_tool.builders.interface import Check
from registry_tool.oci.file_tree import FileTree, Kind, LayerEntries, Node, node_of

_MAX_LINKS = 40


def read_tree(
    engine: Engine, image: EngineImage, name: str, paths: Iterable[str], check: Check
) -> FileTree:
    """The part of an image's file tree that the way to these paths leads through.

    A container called `name`, never started, is there meanwhile.
    """
    if not image.diff_ids:
        return FileTree()
    with engine.stopped_container(image.id, name, image.platform) as container:
        return FileTree([_Walk(engine, container, check).entries(paths)])


class _Walk:
    """Follows paths through a container, links included; asks for each place once."""

    def __init__(self, engine: Engine, container: str, check: Check) -> None:
        self._engine = engine
        self._container = container
        self._check = check
        self._seen: dict[tuple[str, ...], Node | None] = {}

    def entries(self, paths: Iterable[str]) -> LayerEntries:
        """What was seen on the way to all paths, parents first."""
        for path in paths:
            self._follow(_parts(path))
        return tuple((parts, node) for parts, node in self._seen.items() if node is not None)

    def _follow(self, parts: tuple[str, ...]) -> None:
        waiting = list(reversed(parts))
        done: tuple[str, ...] = ()
        links = 0
        while waiting and links <= _MAX_LINKS:
            part = waiting.pop()
            if part == "..":
                done = done[:-1]
                continue
            here = (*done, part)
            node = self._node(here)
            if node is None:
                return
            if node.kind is Kind.DIRECTORY:
                done = here
            elif node.kind is Kind.SYMLINK:
                links += 1
                done = () if node.target.startswith("/") else done
                waiting += reversed(_parts(node.target))
            else:
                return

    def _node(self, parts: tuple[str, ...]) -> Node | None:
        if parts not in self._seen:
            self._check()
            member = self._engine.path_in_container(self._container, "/" + "/".join(parts))
            self._seen[parts] = None if member is None else node_of(member)
        return self._seen[parts]


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part not in {"", "."})
