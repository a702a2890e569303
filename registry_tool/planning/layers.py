"""How many bytes builds will write, known beforehand from locks, templates and recorded layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from registry_tool.domain.plan import Action
from registry_tool.domain.records import BytesMoved
from registry_tool.domain.subjects import ReleaseId, parse_release
from registry_tool.planning.state import State


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


def with_bytes(state: State, builds: Sequence[Action]) -> list[Action]:
    """The build actions with their bytes; each may reuse what the ones before it write."""
    stored = state.stored_layers()
    counted = []
    for action in builds:
        upload = reuse = 0
        for digest, size in dict(planned_layers(state, parse_release(action.subject))).items():
            if digest in stored:
                reuse += size
            else:
                upload += size
                stored.add(digest)
        moved = BytesMoved(upload=upload, reuse=reuse)
        counted.append(action.model_copy(update={"bytes": moved}))
    return counted
