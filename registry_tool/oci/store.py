"""Where images are kept: one interface, whether a directory or a registry stands behind it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import BinaryIO, Protocol

from registry_tool.oci.descriptors import Descriptor
from registry_tool.oci.tar import Chunk


class ImageStore(Protocol):
    """Blobs, image manifests and tags, in named repositories.

    A repository is the part of an image reference after the store's own name: usually a model's
    name, and a path such as ``bases/python`` for other images. It comes into being with the first
    thing that is written to it. In a registry, ``host[:port]/path`` is any repository of that host.

    All methods may be called from several threads and by several processes at once. They raise
    StoreProblem when the store cannot be used (`transient` where trying again may help), and
    ContentMismatch when content differs from its digest. Writing what is already there does
    nothing, so that an interrupted build can simply be run again.
    """

    @property
    def name(self) -> str:
        """What Build records call this store: ``embedded``, or ``host[:port]/path``."""

    def resolve(self, repository: str, tag_or_digest: str) -> Descriptor | None:
        """The image manifest, index or artifact that is named; None when there is none."""

    def tags(self, repository: str) -> Mapping[str, Descriptor]:
        """All tags of a repository; empty where nothing was written yet."""

    def read_manifest(self, repository: str, digest: str) -> bytes:
        """The document of an image manifest or index, checked against its digest."""

    def write_manifest(self, repository: str, descriptor: Descriptor, data: bytes) -> None:
        """Keep the document of an image manifest or index.

        Everything that it points to must be there already: a registry refuses it otherwise.
        """

    def put_tags(self, repository: str, tags: Mapping[str, Descriptor]) -> None:
        """Point tags to documents that were written; tags that exist move.

        All at once where the store can do that; else in the given order, so that the caller puts
        the tag by which a finished build is found last.
        """

    def check_layers(self, sizes: Sequence[int]) -> None:
        """Raise StoreProblem when layers of these sizes are more, or larger, than the store takes.

        Asked before the first byte is sent, where the limits are known at all.
        """

    def has_blob(self, repository: str, digest: str) -> bool:
        """Whether a layer or config is in the repository, complete."""

    def blob_size(self, repository: str, digest: str) -> int | None:
        """Bytes of a layer or config in the repository; None when it is not there."""

    def mount_blob(self, repository: str, digest: str, source: str | None = None) -> bool:
        """Take a blob from another repository without moving bytes; True when it is there now.

        `source` is a repository that has it, where the caller knows one; some stores find others
        themselves.
        """

    def open_blob(self, repository: str, digest: str) -> BinaryIO:
        """A reader of a blob; the reader of it checks the digest."""

    def write_blob(self, repository: str, digest: str, size: int, chunks: Iterable[Chunk]) -> None:
        """Keep a blob, which is seen when it is complete and has the right size and digest.

        `chunks` are taken one at a time and only when the blob is missing. Memory stays bounded.
        Where they can be iterated again, a store may do so to go on after a broken connection.
        """
