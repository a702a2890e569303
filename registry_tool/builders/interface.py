"""What a builder is: an order goes in, published images come out.

A builder never reads manifests, Git or the clock, and decides nothing: everything that reaches the image is in the
order, and the order is named by its key. Effects go through the store and the storage that are handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from registry_tool.domain.progress import Progress
from registry_tool.domain.records import BuiltImage, BuiltLayer, BytesMoved
from registry_tool.domain.release import ArtifactLockSpec, LockedLayer
from registry_tool.domain.subjects import ReleaseId

if TYPE_CHECKING:
    from registry_tool.builders.templates import RenderedTemplate
    from registry_tool.oci.store import ImageStore
    from registry_tool.storage.storage import Storage

Check = Callable[[], None]
"""Called before every effect, also from worker threads: raises LeaseLost, or whatever else ends the build early."""


@dataclass(frozen=True, slots=True)
class BuildOrder:
    """Everything that reaches the image, and where the bytes of its locked files are."""

    release: ReleaseId
    lock: ArtifactLockSpec
    template: RenderedTemplate
    key: str
    """The full build key."""
    key_parts: Mapping[str, str]
    labels: Mapping[str, str]
    """The OCI labels that follow from the release's identity; they win over those of base and template."""
    platforms: tuple[str, ...]
    """``os/architecture[/variant]``, one image manifest each; sorted, since the key knows no order."""
    location: str
    """The storage path of the locked files."""
    timeout: timedelta
    """How long engines are given; the native builder is ended by the check."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """By layer digest, a repository of the store that is known to have it: it can be mounted from there."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "platforms", tuple(sorted(set(self.platforms))))

    @property
    def payload(self) -> tuple[LockedLayer, ...]:
        """The locked layers that are put into the image as they are."""
        return self.template.payload(self.lock)


@dataclass(frozen=True, slots=True)
class BuiltRelease:
    """What a build left in the store."""

    images: tuple[BuiltImage, ...]
    """Complete, runtime and weights, in this order."""
    layers: tuple[BuiltLayer, ...]
    """Of the complete image (of its first platform, then what only other platforms have)."""
    bytes: BytesMoved
    """Of weight layers and of the natively built layer of copied files, as a plan predicts them."""
    log: str
    """What was done, for people; without secrets of the build itself."""
    adopted: bool = False
    """Whether the finished image was found in the store."""


class Builder(Protocol):
    """Makes the images of one release and publishes them."""

    @property
    def name(self) -> str:
        """Part of the build key and of the record."""

    @property
    def version(self) -> int:
        """Part of the build key: raised when equal orders would give other images than before."""

    def build(
        self,
        order: BuildOrder,
        store: ImageStore,
        storage: Storage,
        progress: Progress,
        check: Check,
    ) -> BuiltRelease:
        """Publish the images of an order, all tags at once, or none.

        An order that was already carried out in this store is adopted. Raises BuildFailed or ContentMismatch when the
        build cannot succeed, EnvironmentProblem when store or storage cannot be used, and whatever `check` raises.
        """
