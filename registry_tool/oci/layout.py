"""The embedded store: OCI image layouts in directories, which skopeo and others read as they are.

    <root>/<repository>/oci-layout, index.json, blobs/sha256/<hex>   one layout for each repository
    <root>/.blobs/<hex>      every blob once more, as a hard link: what another repository mounts
    <root>/.partial/         blobs that are being written
    <root>/.lock             held while index.json changes

A blob is written under `.partial`, brought to the disk, and then linked to its places, so that a
name stands for complete content whenever the process or the machine stops. Tags are one file,
replaced as a whole.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO

from registry_tool import failpoints
from registry_tool.domain.digests import digest_of
from registry_tool.domain.references import ImageReference
from registry_tool.errors import ContentMismatch, StoreProblem
from registry_tool.oci.descriptors import (
    IMAGE_INDEX,
    IMAGE_MANIFEST,
    REF_NAME,
    Descriptor,
    is_digest,
)
from registry_tool.oci.image import ImageIndex, parse_object
from registry_tool.oci.partial_files import (
    link,
    partial_file,
    settle,
    settle_directory,
    sweep,
    write_all,
)
from registry_tool.oci.tar import Chunk

_RESERVED = frozenset({"blobs", "index.json", "oci-layout"})
_MARKER = b'{"imageLayoutVersion":"1.0.0"}'
_MANIFEST_LIMIT = 4 << 20
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)


class LayoutStore:
    """An `ImageStore` in a directory; a `read_only` one does not even create `root`."""

    name = "embedded"

    def __init__(self, root: Path, *, read_only: bool = False) -> None:
        self.root = root
        self.read_only = read_only
        self._swept = False

    def repositories(self) -> list[str]:
        """All repositories, sorted."""
        found = []
        for folder, names, files in os.walk(self.root):
            path = Path(folder)
            hidden = _RESERVED if path != self.root else frozenset[str]()
            names[:] = [name for name in names if name[0] != "." and name not in hidden]
            if "oci-layout" in files and path != self.root:
                found.append(path.relative_to(self.root).as_posix())
        return sorted(found)

    def resolve(self, repository: str, tag_or_digest: str) -> Descriptor | None:
        """See `ImageStore`; a digest need not be tagged."""
        if not is_digest(tag_or_digest):
            return self.tags(repository).get(tag_or_digest)
        for descriptor in self._index(repository).manifests:
            if descriptor.digest == tag_or_digest:
                return descriptor.annotated(_without_name(descriptor))
        return self._untagged(repository, tag_or_digest)

    def tags(self, repository: str) -> dict[str, Descriptor]:
        return {
            descriptor.annotations[REF_NAME]: descriptor.annotated(_without_name(descriptor))
            for descriptor in self._index(repository).manifests
            if REF_NAME in descriptor.annotations
        }

    def read_manifest(self, repository: str, digest: str) -> bytes:
        with self.open_blob(repository, digest) as file:
            data = file.read(_MANIFEST_LIMIT + 1)
        if digest_of(data) != digest:
            raise ContentMismatch(
                f"{self.blob_path(repository, digest)} does not have the digest in its name",
                help="the disk or somebody changed it: remove it, and build again",
            )
        return data

    def write_manifest(self, repository: str, descriptor: Descriptor, data: bytes) -> None:
        self.write_blob(repository, descriptor.digest, descriptor.size, [data])

    def put_tags(self, repository: str, tags: Mapping[str, Descriptor]) -> None:
        for tag, descriptor in tags.items():
            if not _TAG.fullmatch(tag):
                raise StoreProblem(f'"{tag}" cannot be an image tag', code="RT608")
            if not self.has_blob(repository, descriptor.digest):
                raise StoreProblem(
                    f"{repository}:{tag} cannot point to {descriptor.digest}, which is not there",
                    code="RT608",
                )
        with self._writing(repository) as layout, self._lock():
            kept = [
                entry
                for entry in self._index(repository).manifests
                if entry.annotations.get(REF_NAME) not in tags
            ]
            named = [
                entry.annotated({**entry.annotations, REF_NAME: tag}) for tag, entry in tags.items()
            ]
            ordered = sorted(kept + named, key=lambda entry: entry.annotations.get(REF_NAME, ""))
            self._replace(layout / "index.json", ImageIndex(tuple(ordered)).to_bytes())
        failpoints.reach("image-tagged")

    def check_layers(self, sizes: Sequence[int]) -> None:
        """See `ImageStore`: a directory has no limits of its own."""

    def has_blob(self, repository: str, digest: str) -> bool:
        return self.blob_size(repository, digest) is not None

    def blob_size(self, repository: str, digest: str) -> int | None:
        try:
            found = self.blob_path(repository, digest).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as problem:
            raise self._translated(problem) from problem
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def blob_path(self, repository: str, digest: str) -> Path:
        """Where a blob is, or would be."""
        if not is_digest(digest):
            raise StoreProblem(f'"{digest}" is not a sha256 digest', code="RT608")
        return self._layout(repository) / "blobs" / "sha256" / digest.removeprefix("sha256:")

    def mount_blob(self, repository: str, digest: str, source: str | None = None) -> bool:
        if self.has_blob(repository, digest):
            return True
        place, shared = self.blob_path(repository, digest), self._shared(digest)
        with self._writing(repository):
            if source is not None and not shared.is_file():
                # Other programs write layouts too, and know nothing of the shared links.
                link(self.blob_path(source, digest), shared)
            return link(shared, place)

    def open_blob(self, repository: str, digest: str) -> BinaryIO:
        place = self.blob_path(repository, digest)
        try:
            return place.open("rb")
        except FileNotFoundError as problem:
            raise StoreProblem(
                f"{repository} in {self.root} has no blob {digest}",
                code="RT608",
                help="build the release again, or copy the image into the store",
            ) from problem
        except OSError as problem:
            raise self._translated(problem) from problem

    def write_blob(self, repository: str, digest: str, size: int, chunks: Iterable[Chunk]) -> None:
        if self.mount_blob(repository, digest):
            return
        place, shared = self.blob_path(repository, digest), self._shared(digest)
        with self._writing(repository):
            with partial_file(self.root / ".partial") as (partial, file):
                self._fill(file, f"{repository}@{digest}", digest, size, chunks)
                settle(file, for_good=True)
                # Through the shared name, so that two writers of one blob end up with one file.
                if not (link(partial, shared) and link(shared, place)):
                    partial.replace(place)
            settle_directory(place.parent)
        failpoints.reach("blob-written")

    def _fill(
        self, file: IO[bytes], subject: str, digest: str, size: int, chunks: Iterable[Chunk]
    ) -> None:
        """Hash and write at the same time; the next chunk is prepared meanwhile."""
        hashed = hashlib.sha256()
        written = 0
        with ThreadPoolExecutor(2, thread_name_prefix="blob") as pool:
            last: list[Future[object]] = []
            for chunk in chunks:
                for done in last:
                    done.result()
                last = [pool.submit(hashed.update, chunk), pool.submit(write_all, file, chunk)]
                written += len(chunk)
                if written > size:
                    break
            for done in last:
                done.result()
        seen = f"sha256:{hashed.hexdigest()}"
        if (written, seen) != (size, digest):
            got = f"{written} with digest {seen}"
            raise ContentMismatch(
                f"{subject}: expected {size} bytes, got {'more' if written > size else got}",
                help="the source was changed; lock the release again",
            )

    def _index(self, repository: str) -> ImageIndex:
        path = self._layout(repository) / "index.json"
        try:
            return ImageIndex.parse(path.read_bytes(), str(path))
        except FileNotFoundError:
            return ImageIndex(())
        except OSError as problem:
            raise self._translated(problem) from problem

    def _untagged(self, repository: str, digest: str) -> Descriptor | None:
        place = self.blob_path(repository, digest)
        if not place.is_file() or place.stat().st_size > _MANIFEST_LIMIT:
            return None
        data = self.read_manifest(repository, digest)
        with suppress(StoreProblem):
            document = parse_object(data, str(place))
            guess = {"manifests": IMAGE_INDEX, "layers": IMAGE_MANIFEST}
            for member, media_type in guess.items():
                if isinstance(document.get(member), list):
                    return Descriptor(document.get("mediaType") or media_type, digest, len(data))
        return None

    def _layout(self, repository: str) -> Path:
        try:
            reference = ImageReference.parse(repository)
        except ValueError as problem:
            raise StoreProblem(f'"{repository}" cannot be a repository', code="RT608") from problem
        parts = repository.split("/")
        if str(reference) != repository or reference.host or reference.tag or reference.digest:
            raise StoreProblem(f'"{repository}" cannot be a repository', code="RT608")
        if _RESERVED.intersection(parts[1:]):
            raise StoreProblem(
                f'"{repository}" cannot be a repository of an embedded store: a layout has files of'
                " that name",
                code="RT608",
                help="choose another name",
            )
        return self.root.joinpath(*parts)

    def _shared(self, digest: str) -> Path:
        return self.root / ".blobs" / digest.removeprefix("sha256:")

    @contextmanager
    def _writing(self, repository: str) -> Iterator[Path]:
        """Make sure that the layout is there; failures of the file system become StoreProblem."""
        if self.read_only:
            raise StoreProblem(f"{self.root} is open for reading only", code="RT608")
        layout = self._layout(repository)
        try:
            self._prepare(layout)
            yield layout
        except OSError as problem:
            raise self._translated(problem) from problem

    def _prepare(self, layout: Path) -> None:
        if not self._swept:
            for name in (".partial", ".blobs"):
                (self.root / name).mkdir(parents=True, exist_ok=True)
            sweep(self.root / ".partial")
            self._swept = True
        if (layout / "oci-layout").is_file():
            return
        (layout / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        with self._lock():
            if not (layout / "index.json").exists():
                self._replace(layout / "index.json", ImageIndex(()).to_bytes())
            self._replace(layout / "oci-layout", _MARKER)

    def _replace(self, place: Path, data: bytes) -> None:
        with partial_file(self.root / ".partial") as (partial, file):
            write_all(file, data)
            settle(file, for_good=False)
            partial.replace(place)
        settle_directory(place.parent)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with (self.root / ".lock").open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _translated(self, problem: OSError) -> StoreProblem:
        full = problem.errno in {errno.ENOSPC, errno.EDQUOT}
        denied = isinstance(problem, PermissionError) or problem.errno == errno.EROFS
        words = problem.strerror or str(problem)
        place = problem.filename or self.root
        return StoreProblem(
            f"the image store {self.root} cannot be used: {words} ({place})",
            code="RT608",
            help="free some space, and run again" if full else None,
            transient=not full and not denied,
        )


def _without_name(descriptor: Descriptor) -> dict[str, str]:
    return {key: value for key, value in descriptor.annotations.items() if key != REF_NAME}
