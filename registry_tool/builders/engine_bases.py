"""Base images in an engine: there already, or pulled by digest with the operator's credentials."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from registry_tool.builders.engine import Engine, EngineImage
from registry_tool.builders.interface import Check
from registry_tool.domain.progress import Progress
from registry_tool.domain.references import ImageReference
from registry_tool.errors import EngineProblem, StoreProblem
from registry_tool.oci.descriptors import Descriptor, same_platform
from registry_tool.oci.reading import open_image
from registry_tool.oci.store import ImageStore

_LOCAL = "registry-tool/base"
"""Names in the engine for bases that it has under their id only."""
_PASSING = re.compile(
    r"timeout|timed out|connection re(set|fused)|temporary failure|\beof\b|\b50[0-4]\b|too ?many ?requests",
    re.IGNORECASE,
)
_MOVING = {"Downloading"}


@dataclass(frozen=True, slots=True)
class Base:
    """A base image in the engine."""

    pinned: str
    """As the Dockerfile names it."""
    name: str
    """As the engine finds it without asking a registry."""
    image: EngineImage


def ensure_base(
    engine: Engine, pinned: str, platform: str, progress: Progress, check: Check
) -> Base:
    """The base of that pinned reference, pulled unless the engine has it; raises EngineProblem."""
    reference = ImageReference.parse(pinned)
    digest = reference.digest or ""
    present = _fitting(engine, pinned, platform)
    if present is not None:
        return Base(pinned, pinned, present)
    by_id = _fitting(engine, digest, platform)
    if by_id is not None:
        # Built or imported on that machine: BuildKit takes no ids, so it gets a name.
        tag = digest.removeprefix("sha256:")[:12]
        engine.tag_image(by_id.id, _LOCAL, tag)
        return Base(pinned, f"{_LOCAL}:{tag}", by_id)
    check()
    _pull(engine, reference, platform, progress, check)
    pulled = _fitting(engine, pinned, platform)
    if pulled is None:
        raise EngineProblem(
            f"the base image {pinned} was pulled, and the engine does not have it for {platform}",
            help=f"see whether that digest offers {platform}: docker buildx imagetools inspect {pinned}",
            code="RT611",
        )
    return Base(pinned, pinned, pulled)


def _fitting(engine: Engine, name: str, platform: str) -> EngineImage | None:
    found = engine.find_image(name)
    return found if found and same_platform(found.platform, platform) else None


def _pull(
    engine: Engine, reference: ImageReference, platform: str, progress: Progress, check: Check
) -> None:
    task = f"pull {reference} {platform}"
    progress.start(task, f"Pulling {reference}")
    moved: dict[str, int] = {}
    try:
        for event in engine.pull_events(reference.repository, reference.digest or "", platform):
            check()
            if "error" in event:
                raise _refused(reference, str(event["error"]))
            progress.advance(task, _moved(event, moved))
    finally:
        progress.finish(task)


def _moved(event: dict[str, Any], moved: dict[str, int]) -> int:
    """Bytes that a layer has come further."""
    if event.get("status") not in _MOVING:
        return 0
    layer = str(event.get("id"))
    before = moved.get(layer, 0)
    moved[layer] = max(before, int((event.get("progressDetail") or {}).get("current") or 0))
    return moved[layer] - before


def _refused(reference: ImageReference, words: str) -> EngineProblem:
    return EngineProblem(
        f"the base image {reference} cannot be pulled: {words}",
        help="see that the engine reaches the registry, that the digest is right, and that `docker login` was done"
        " for it; an engine that already has the image under that digest needs no registry",
        code="RT611",
        transient=_PASSING.search(words) is not None,
    )


def layers_in_store(
    store: ImageStore, bases: Iterable[str], platform: str
) -> dict[str, tuple[Descriptor, str]]:
    """Layers of bases as the store has them, by diff id: as they were published, and the repository they are in.

    A host in a base's reference says where it came from, not where it is; that is how native builds find bases, too.
    Where it came from the registry that images go to, it is also looked for in its own place.
    """
    found: dict[str, tuple[Descriptor, str]] = {}
    for base in bases:
        reference = ImageReference.parse(base)
        for repository in _places(store, reference):
            layers = _layers_at(store, repository, reference.digest or "", platform)
            for diff_id, layer in layers.items():
                found.setdefault(diff_id, (layer, repository))
    return found


def _places(store: ImageStore, reference: ImageReference) -> Iterator[str]:
    yield reference.path
    if reference.host and store.name.partition("/")[0] == reference.host:
        yield reference.repository


def _layers_at(
    store: ImageStore, repository: str, digest: str, platform: str
) -> dict[str, Descriptor]:
    try:
        if store.resolve(repository, digest) is None:
            return {}
        view = open_image(store, repository, digest, platform)
    except StoreProblem as problem:
        if problem.transient:
            raise
        return {}  # not a base that can be read there: its layers come from the engine
    return dict(zip(view.config.diff_ids, view.layers, strict=True))
