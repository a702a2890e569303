"""Locks: computed from storage, checked against it, streamed from it."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from registry_tool.builders.locking import (
    Mismatch,
    MismatchKind,
    compute_lock,
    set_digest,
    stream_layer,
    verify_files,
)
from registry_tool.domain.digests import digest_of
from registry_tool.domain.progress import Silent
from registry_tool.domain.release import (
    ArtifactGlobs,
    ArtifactLock,
    Release,
    ReleaseSpec,
    Role,
    TemplateUse,
)
from registry_tool.errors import ActionFailed, ContentMismatch, StorageProblem
from registry_tool.oci import packing
from registry_tool.oci.layout import LayoutStore
from registry_tool.storage.storage import Storage

TARGET = "/models/minilm"


class Counter(Silent):
    """Progress that adds up what it is told."""

    def __init__(self) -> None:
        self.total: int | None = None
        self.done = 0
        self.finished = 0
        self.messages: list[str] = []
        self._lock = threading.Lock()

    def start(self, task: str, description: str, total: int | None = None) -> None:
        self.total = total

    def advance(self, task: str, count: int) -> None:
        with self._lock:
            self.done += count

    def finish(self, task: str) -> None:
        self.finished += 1

    def message(self, text: str) -> None:
        self.messages.append(text)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "minilm"
    contents = {
        "config.json": b"{}",
        "model.safetensors": bytes(range(256)) * 1000,
        "onnx/modèle.onnx": b"onnx",
        "vocab.txt": b"",
        "modeling.py": b"pass\n",
        "README.md": b"# MiniLM\n",
    }
    for path, data in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage([str(tmp_path)])


def release(*exclude: str, include: tuple[str, ...] = ("**",)) -> Release:
    return Release(
        api_version="registry-tool/v1",
        kind="Release",
        spec=ReleaseSpec(
            model="minilm",
            version="1.0.0",
            template=TemplateUse(name="static"),
            artifacts=ArtifactGlobs(include=include, exclude=exclude),
        ),
    )


def lock_of(folder: Path, *exclude: str, jobs: int = 2) -> ArtifactLock:
    storage = Storage([str(folder.parent)])
    return compute_lock(release(*exclude), TARGET, storage, str(folder), Silent(), jobs=jobs)


def test_a_lock_says_what_the_files_are(files: Path, storage: Storage) -> None:
    progress = Counter()
    lock = compute_lock(release("*.md"), TARGET, storage, str(files), progress, jobs=2)
    spec = lock.spec
    assert (spec.model, spec.version, spec.quantization) == ("minilm", "1.0.0", "none")
    assert {file.path: file.role for file in spec.files} == {
        "config.json": Role.CONFIG,
        "model.safetensors": Role.WEIGHTS,
        "modeling.py": Role.CODE,
        "onnx/modèle.onnx": Role.WEIGHTS,
        "vocab.txt": Role.TOKENIZER,
    }
    for file in spec.files:
        data = (files / file.path).read_bytes()
        assert (file.size, file.sha256) == (len(data), hashlib.sha256(data).hexdigest())
        assert file.etag is file.version_id is None
    assert [file.path for file in spec.files] == sorted(file.path for file in spec.files)
    assert progress.total == progress.done == sum(file.size for file in spec.files)
    assert progress.finished == 1
    assert "1 of 6 files do not match spec.artifacts: ignored" in progress.messages


def test_layers_are_archives_of_all_files_below_the_target(files: Path, tmp_path: Path) -> None:
    lock = lock_of(files)
    store = LayoutStore(tmp_path / "store")
    storage = Storage([str(tmp_path)])
    found = {}
    for layer in lock.spec.layers:
        chunks = stream_layer(lock, layer, storage, str(files), Silent())
        store.write_blob("minilm", layer.digest, layer.size, chunks)
        with tarfile.open(store.blob_path("minilm", layer.digest)) as archive:
            assert [m.name for m in archive] == [f"models/minilm/{path}" for path in layer.files]
            for path, member in zip(layer.files, archive, strict=True):
                content = archive.extractfile(member)
                assert content is not None
                found[path] = content.read()
    assert found == {file.path: (files / file.path).read_bytes() for file in lock.spec.files}
    context = [layer for layer in lock.spec.layers if "modeling.py" in layer.files]
    assert context[0].files == ("modeling.py",)


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_the_set_digest_is_what_sha256sum_computes(files: Path) -> None:
    lock = lock_of(files)
    command = "find . -type f -printf '%P\\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"
    result = subprocess.run(["sh", "-c", command], cwd=files, capture_output=True, check=True)
    assert result.stdout.decode().split()[0] == lock.spec.set_digest == set_digest(lock.spec.files)


def test_equal_files_give_equal_locks_wherever_they_are(files: Path, tmp_path: Path) -> None:
    names = [path.relative_to(files) for path in files.rglob("*") if path.is_file()]
    random.Random(7).shuffle(names)
    for name in names:
        (tmp_path / "copy" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "copy" / name).write_bytes((files / name).read_bytes())
    assert lock_of(files, jobs=1) == lock_of(tmp_path / "copy", jobs=4)


small_files = st.dictionaries(
    st.text("abc", min_size=1, max_size=3).map(lambda name: f"{name}/{name}.bin"),
    st.binary(max_size=3000),
    min_size=1,
    max_size=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(small_files, st.sampled_from([1000, 5000, 64 << 20]))
def test_any_files_can_be_locked_verified_and_streamed(
    tmp_path: Path, contents: dict[str, bytes], alone: int
) -> None:
    folder = tmp_path / "any"
    shutil.rmtree(folder, ignore_errors=True)
    for path, data in contents.items():
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_bytes(data)
    storage = Storage([str(tmp_path)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "ALONE_SIZE", alone)
        lock = lock_of(folder)
    for layer in lock.spec.layers:
        chunks = stream_layer(lock, layer, storage, str(folder), Silent())
        data = b"".join(bytes(chunk) for chunk in chunks)
        assert (digest_of(data), len(data)) == (layer.digest, layer.size)
    assert verify_files(lock, storage, str(folder), Silent(), True) == []


def test_globs_that_match_nothing_are_named(files: Path, storage: Storage) -> None:
    chosen = release("onnx/", include=("*.gguf", "*.bin"))
    with pytest.raises(ActionFailed) as caught:
        compute_lock(chosen, TARGET, storage, str(files), Silent(), jobs=1)
    assert caught.value.message == (
        f"release/minilm/1.0.0/none: none of the 6 files below {files} matches"
        ' "*.gguf", "*.bin" and not "onnx/"'
    )
    assert "spec.artifacts" in (caught.value.help or "")


@pytest.mark.parametrize("name", [".wh.model", "a\\b.bin", "new\nline", os.fsdecode(b"\xff.bin")])
def test_a_name_that_cannot_be_locked_is_named_unless_it_is_excluded(
    files: Path, name: str
) -> None:
    (files / name).write_bytes(b"x")
    with pytest.raises(StorageProblem, match="cannot be locked") as caught:
        lock_of(files)
    assert caught.value.code == "RT506"
    assert repr(name) in caught.value.message
    excluded = "[!a-zA-Z]*" if name[0] not in "an" else f"{name[0]}*"
    assert name not in {file.path for file in lock_of(files, excluded, "*b.bin").spec.files}


def test_what_cannot_be_read_does_not_matter_where_it_is_excluded(files: Path) -> None:
    (files / "dangling.bin").symlink_to("nowhere")
    os.mkfifo(files / "pipe.tmp")
    with pytest.raises(StorageProblem):
        lock_of(files)
    assert lock_of(files, "dangling.bin", "*.tmp") == lock_of(files, "dangling.*", "pipe.*")


def test_a_file_that_changes_size_while_it_is_locked_is_named(
    files: Path, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open = Storage.open

    def growing(self: Storage, location: str, path: str, **options: object) -> object:
        if path == "config.json":
            (files / path).write_bytes(b"{} and more")
        return real_open(self, location, path, **options)

    monkeypatch.setattr(Storage, "open", growing)
    with pytest.raises(ContentMismatch, match=r"config\.json: expected 2 bytes, read more than 2"):
        compute_lock(release(), TARGET, storage, str(files), Silent(), jobs=2)


def test_an_error_in_one_layer_stops_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "ALONE_SIZE", 1000)
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(50):
        (folder / f"{number:02}.bin").write_bytes(bytes(2000 + number))
    opened = []
    real_open = Storage.open

    def failing(self: Storage, location: str, path: str, **options: object) -> object:
        opened.append(path)
        if path == "49.bin":  # the largest comes first
            raise StorageProblem("the mount is gone")
        return real_open(self, location, path, **options)

    monkeypatch.setattr(Storage, "open", failing)
    with pytest.raises(StorageProblem, match="the mount is gone"):
        lock_of(folder, jobs=1)
    assert opened == ["49.bin"]


Change = Callable[[Path], object]


@pytest.mark.parametrize(
    ("change", "shallow", "deep"),
    [
        (lambda path: path.unlink(), MismatchKind.MISSING, MismatchKind.MISSING),
        (lambda path: path.write_bytes(b"x"), MismatchKind.SIZE, MismatchKind.SIZE),
        (lambda path: path.write_bytes(b"[]"), None, MismatchKind.SHA256),
        (lambda path: path.touch(), None, None),
    ],
)
def test_verifying_names_the_file_that_differs(
    files: Path,
    storage: Storage,
    change: Change,
    shallow: MismatchKind | None,
    deep: MismatchKind | None,
) -> None:
    lock = lock_of(files)
    change(files / "config.json")
    (files / "unlocked.bin").write_bytes(b"does not matter")
    for kind, is_deep in ((shallow, False), (deep, True)):
        found = verify_files(lock, storage, str(files), Silent(), is_deep, jobs=2)
        assert [(mismatch.path, mismatch.kind) for mismatch in found] == (
            [("config.json", kind)] if kind else []
        )


def test_verifying_deeply_reads_all_bytes_and_shallowly_none(files: Path, storage: Storage) -> None:
    lock = lock_of(files)
    for deep, expected in ((False, 0), (True, sum(file.size for file in lock.spec.files))):
        progress = Counter()
        assert verify_files(lock, storage, str(files), progress, deep) == []
        assert progress.done == expected


def test_an_object_that_was_replaced_is_noticed_without_reading_it(
    files: Path, storage: Storage
) -> None:
    lock = lock_of(files)
    changed = [file.model_copy(update={"etag": "old"}) for file in lock.spec.files]
    spec = lock.spec.model_copy(update={"files": tuple(changed)})
    lock = lock.model_copy(update={"spec": spec})
    assert verify_files(lock, storage, str(files), Silent()) == []  # local files have no etags
    real_find = storage.find
    storage.find = lambda *arguments: replace(real_find(*arguments), etag="new")
    found = verify_files(lock, storage, str(files), Silent())
    assert found[0] == Mismatch("README.md", MismatchKind.ETAG, "old", "new")
    assert str(found[0]) == "README.md: etag is new, and the lock says old"
    assert verify_files(lock, storage, str(files), Silent(), True) == []


def test_a_locked_file_behind_a_dangling_link_is_named(files: Path, storage: Storage) -> None:
    lock = lock_of(files)
    (files / "elsewhere").symlink_to("nowhere")
    assert verify_files(lock, storage, str(files), Silent()) == []
    shutil.rmtree(files / "onnx")
    (files / "onnx").symlink_to("nowhere")
    (files / "config.json").unlink()
    (files / "config.json").symlink_to("nowhere")
    (files / "vocab.txt").unlink()
    os.mkfifo(files / "vocab.txt")
    for deep in (False, True):
        found = verify_files(lock, storage, str(files), Silent(), deep)
        assert [str(mismatch) for mismatch in found] == [
            f"config.json is a symbolic link to {files}/nowhere, which does not exist",
            "onnx/modèle.onnx is missing",
            "vocab.txt is a named pipe, not a regular file",
        ]
        assert found[0].kind is MismatchKind.UNUSABLE


def test_a_location_that_is_gone_is_not_taken_for_missing_files(
    files: Path, storage: Storage
) -> None:
    lock = lock_of(files)
    shutil.rmtree(files)
    with pytest.raises(StorageProblem, match="minilm does not exist"):
        verify_files(lock, storage, str(files), Silent())


@pytest.mark.parametrize("content", [b"[]", b"{", b"{} ", b""])
def test_streaming_a_file_that_differs_names_it_before_the_end(
    files: Path, storage: Storage, tmp_path: Path, content: bytes
) -> None:
    lock = lock_of(files)
    layer = next(layer for layer in lock.spec.layers if "config.json" in layer.files)
    (files / "config.json").write_bytes(content)
    store = LayoutStore(tmp_path / "store")
    chunks = stream_layer(lock, layer, storage, str(files), Silent())
    with pytest.raises(ContentMismatch, match=r"config\.json") as caught:
        store.write_blob("minilm", layer.digest, layer.size, chunks)
    assert not store.has_blob("minilm", layer.digest)
    if len(content) == 2:
        expected = next(file.sha256 for file in lock.spec.files if file.path == "config.json")
        assert expected in caught.value.message
        assert hashlib.sha256(content).hexdigest() in caught.value.message
        assert caught.value.code == "RT507"


def test_streaming_names_a_file_that_is_gone(files: Path, storage: Storage) -> None:
    lock = lock_of(files)
    (files / "config.json").unlink()
    layer = next(layer for layer in lock.spec.layers if "config.json" in layer.files)
    with pytest.raises(StorageProblem, match=r"config\.json does not exist"):
        list(stream_layer(lock, layer, storage, str(files), Silent()))


_STORY = """
from pathlib import Path
from registry_tool.builders.locking import compute_lock, stream_layer, verify_files
from registry_tool.domain.progress import Silent
from registry_tool.domain.release import Release
from registry_tool.oci.layout import LayoutStore
from registry_tool.storage.storage import Storage

folder = Path({folder!r})
storage = Storage([str(folder.parent)])
store = LayoutStore(folder.parent / "store")
release = Release.model_validate_json({release!r})
lock = compute_lock(release, {target!r}, storage, str(folder), Silent(), jobs=2)
for layer in lock.spec.layers:
    chunks = stream_layer(lock, layer, storage, str(folder), Silent())
    store.write_blob("m", layer.digest, layer.size, chunks)
assert verify_files(lock, storage, str(folder), Silent(), True, jobs=2) == []
# Unlike ru_maxrss this knows nothing of the process that started this one.
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(int(status["VmHWM"].split()[0]) >> 10)
"""


def run_story(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    script = _STORY.format(
        folder=str(folder), release=release().model_dump_json(by_alias=True), target=TARGET
    )
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_memory_stays_bounded(tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    for name in ("a.bin", "b.bin"):
        with (tmp_path / "big" / name).open("wb") as file:
            file.truncate(100 << 20)
    result = run_story(tmp_path / "big")
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) < 100  # MiB: less than one file has


def test_a_kill_while_a_layer_streams_leaves_no_layer(files: Path, tmp_path: Path) -> None:
    result = run_story(files, REGISTRY_TOOL_FAILPOINT="layer-streaming:2")
    assert result.returncode == -signal.SIGKILL
    store = LayoutStore(tmp_path / "store")
    layers = lock_of(files).spec.layers
    assert [store.has_blob("m", layer.digest) for layer in layers] == [True, False]
    assert run_story(files).returncode == 0
    assert all(store.has_blob("m", layer.digest) for layer in layers)
    assert list((tmp_path / "store" / ".partial").iterdir()) == []
