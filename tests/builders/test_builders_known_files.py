"""What is believed without reading, and what is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from registry_tool.builders.known_files import KnownFiles, is_same_object
from registry_tool.domain.release import (
    ArtifactLock,
    ArtifactLockSpec,
    LockedFile,
    LockedLayer,
    Role,
)
from registry_tool.storage.stored_file import StoredFile

PLACE = "s3://models/minilm"


class Memory:
    """A cache that loses nothing."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def get_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        return {key: self.kept[key] for key in keys if key in self.kept}

    def put_many(self, items: Mapping[str, bytes]) -> None:
        self.kept.update(items)


def locked(
    path: str, digit: str, etag: str | None = None, version: str | None = None
) -> LockedFile:
    return LockedFile(
        path=path, role=Role.WEIGHTS, size=5, sha256=digit * 64, etag=etag, version_id=version
    )


def lock(*files: LockedFile, target: str = "/models/minilm") -> ArtifactLock:
    layer = LockedLayer(
        digest="sha256:" + "e" * 64, size=2048, files=tuple(file.path for file in files)
    )
    return ArtifactLock(
        api_version="registry-tool/v1",
        kind="ArtifactLock",
        spec=ArtifactLockSpec(
            model="minilm",
            version="1.0.0",
            target=target,
            set_digest="f" * 64,
            files=files,
            layers=(layer,),
        ),
    )


@pytest.mark.parametrize(
    ("etag", "version", "stored", "same"),
    [
        ("aa", None, StoredFile("a", 5, "aa"), True),
        ("aa", None, StoredFile("a", 6, "aa"), False),
        ("aa", None, StoredFile("a", 5, "bb"), False),
        ("aa", "1", StoredFile("a", 5, "aa", "1"), True),
        ("aa", "1", StoredFile("a", 5, "aa", "2"), True),  # the same bytes, uploaded again
        ("aa", "1", StoredFile("a", 5, "bb", "2"), False),
        (None, None, StoredFile("a", 5), False),  # local files say nothing of their content
        ("aa", None, StoredFile("a", 5), False),
        (None, None, StoredFile("a", 5, "aa"), False),
    ],
)
def test_an_object_is_the_locked_one_when_its_size_and_its_tag_or_version_say_so(
    etag: str | None, version: str | None, stored: StoredFile, same: bool
) -> None:
    assert is_same_object(locked("a", "1", etag, version), stored) is same


def test_the_first_lock_has_the_last_word() -> None:
    known = KnownFiles([lock(locked("a", "1", "aa")), lock(locked("a", "2", "aa"))])
    assert known.sha256(PLACE, [StoredFile("a", 5, "aa")]) == {"a": "1" * 64}


def test_a_layer_is_known_by_its_files_their_content_and_the_target() -> None:
    known = KnownFiles([lock(locked("a", "1"), locked("b", "2"))])
    digests = {"a": "1" * 64, "b": "2" * 64}
    assert known.layer("/models/minilm", ["a", "b"], digests) == known.locks[0].spec.layers[0]
    assert known.layer("/elsewhere", ["a", "b"], digests) is None
    assert known.layer("/models/minilm", ["a"], digests) is None
    assert known.layer("/models/minilm", ["a", "b"], digests | {"b": "3" * 64}) is None
    assert known.layer("/models/minilm", ["a", "b"], {"a": "1" * 64}) is None


def test_local_files_are_remembered_by_place_and_state() -> None:
    known = KnownFiles(cache=Memory())
    files = [StoredFile("a", 5, fingerprint="state 1"), StoredFile("young", 5)]
    known.remember("/models/", files, {"a": "1" * 64, "young": "2" * 64})
    assert known.sha256("/models", files) == {"a": "1" * 64}
    assert known.sha256("/other", files) == {}
    assert known.sha256("/models", [StoredFile("a", 5, fingerprint="state 2")]) == {}
    assert KnownFiles().sha256("/models", files) == {}
