"""How many bytes builds will write, known beforehand from locks, templates and recorded layers."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence

from registry_tool.domain.plan import Action
from registry_tool.domain.records import BytesMoved
from registry_tool.domain.subjects import ReleaseId
from registry_tool.planning.state import State

Layers = tuple[tuple[str, int], ...]
"""Digest and size of layers."""


def planned_layers(state: State, release_id: ReleaseId) -> Iterator[tuple[str, int]]:
    """Digest and size of the layers that a release's build adds to its base.

    What an engine builds is not known before it is built, and neither is what the files of a
    template become on a base whose directories are symbolic links.
    """
    rendered = state.keys.rendered(release_id)
    for layer in rendered.payload(state.desired.locks[release_id].manifest.spec):
        yield layer.digest, layer.size
    files = rendered.files_layer
    if files is not None:
        yield files.digest, files.size


def with_bytes(
    actions: Sequence[Action], layers: Mapping[str, Layers], stored: Container[str]
) -> Iterator[Action]:
    """The actions, builds with their bytes; each may reuse what the ones before it write.

    `layers` are those of each build, by its subject; `stored` are digests that the store has.
    """
    written: set[str] = set()
    for action in actions:
        if action.kind != "build":
            yield action
            continue
        upload = reuse = 0
        for digest, size in layers[action.subject]:
            if digest in stored or digest in written:
                reuse += size
            else:
                upload += size
                written.add(digest)
        moved = BytesMoved(upload=upload, reuse=reuse)
        yield action.model_copy(update={"bytes": moved})
