"""Layers: their bytes, as other programs read them."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from registry_tool.domain.digests import digest_of
from registry_tool.domain.storage import locked_path_problem
from registry_tool.errors import ContentMismatch
from registry_tool.oci.tar import Member, layer_chunks, layer_size, member_path

paths = st.text(min_size=1, max_size=160).filter(lambda path: locked_path_problem(path) is None)
contents = st.dictionaries(paths, st.binary(max_size=1500), max_size=8)


def layer(files: Mapping[str, bytes], buffer_size: int = 1 << 20) -> bytes:
    members = [Member(path, len(data)) for path, data in files.items()]
    chunks = layer_chunks(
        members, lambda member: io.BytesIO(files[member.path]), buffer_size=buffer_size
    )
    data = b"".join(bytes(chunk) for chunk in chunks)
    assert layer_size(members) == len(data)
    return data


def python_tar(files: Mapping[str, bytes]) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, data in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return output.getvalue()


@given(contents, st.integers(1, 4000))
@example({"a" * 100: b"x", "b" * 101: b"y", "d/" * 60 + "c": b"z", "é": b"", "日本/語": b"1"}, 512)
def test_any_files_come_out_of_python_as_they_went_in(
    files: dict[str, bytes], buffer_size: int
) -> None:
    data = layer(files, buffer_size)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = archive.getmembers()
        assert [member.name for member in members] == list(files)
        for member in members:
            content = archive.extractfile(member)
            assert content is not None
            assert content.read() == files[member.name]
            facts = (member.mode, member.uid, member.gid, member.mtime, member.uname, member.type)
            assert facts == (0o644, 0, 0, 0, "", tarfile.REGTYPE)


@given(contents)
def test_the_bytes_are_those_of_the_standard_library_up_to_its_final_padding(
    files: dict[str, bytes],
) -> None:
    data, other = layer(files), python_tar(files)
    assert other.startswith(data)
    assert not other[len(data) :].strip(b"\0")


def test_the_format_is_pinned_to_the_byte() -> None:
    # Locks name digests of layers: a change here would change the digest of every weight.
    data = layer({"models/minilm/config.json": b"{}", "models/minilm/modèle.bin": b"weights"})
    assert digest_of(data) == (
        "sha256:5a2dad661a1461c5beb33ba0905e000fe2d3523751c7b8d337e239fd923330f5"
    )


@pytest.mark.skipif(shutil.which("tar") is None, reason="tar is not installed")
def test_gnu_tar_extracts_it(tmp_path: Path) -> None:
    files = {
        "models/minilm/config.json": b"{}",
        "models/minilm/" + "long-" * 40 + "/model.bin": bytes(range(256)) * 9,
        "models/minilm/modèle-日本.bin": b"weights",
        "models/minilm/empty": b"",
    }
    (tmp_path / "layer.tar").write_bytes(layer(files))
    (tmp_path / "out").mkdir()
    command = ["tar", "-C", tmp_path / "out", "-xf", tmp_path / "layer.tar"]
    result = subprocess.run(command, capture_output=True, check=True)
    assert result.stderr == b""
    for path, data in files.items():
        assert (tmp_path / "out" / path).read_bytes() == data


class Zeros(io.RawIOBase):
    """A file of zeros that takes no space."""

    def __init__(self, size: int) -> None:
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        count = min(len(buffer), self._left)
        self._left -= count
        return count


def test_files_of_8_gib_have_their_size_in_a_pax_header() -> None:
    members = [Member("just-below", (8 << 30) - 1), Member("big", 8 << 30)]
    for member in members:
        expected = tarfile.TarInfo(member.path)
        expected.size = member.size
        header = expected.tobuf(tarfile.PAX_FORMAT)
        assert layer_size([member]) == len(header) + member.size + -member.size % 512 + 1024
        first = next(layer_chunks([member], lambda _: Zeros(1), buffer_size=len(header)))
        assert bytes(first) == header


def test_all_chunks_but_the_last_are_full_and_each_outlives_the_next() -> None:
    files = {"a": b"a" * 3000, "b": b"b" * 3000}
    members = [Member(path, len(data)) for path, data in files.items()]
    chunks = layer_chunks(members, lambda m: io.BytesIO(files[m.path]), buffer_size=1024)
    data = b""
    last = next(chunks)
    for chunk in chunks:
        assert len(last) == 1024
        data += bytes(last)  # after the next one was asked for
        last = chunk
    assert data + bytes(last) == layer(files)


@pytest.mark.parametrize(
    ("size", "seen"), [(4, "read more than 4"), (6, "read 5"), (0, "read more than 0")]
)
def test_a_file_of_another_size_is_named_before_the_last_chunk(size: int, seen: str) -> None:
    received = []
    chunks = layer_chunks(
        [Member("m/a.bin", size)], lambda _: io.BytesIO(b"12345"), buffer_size=100
    )
    with pytest.raises(ContentMismatch, match=rf"m/a\.bin: expected {size} bytes, {seen}"):
        received.extend(len(chunk) for chunk in chunks)
    assert 0 < sum(received) < layer_size([Member("m/a.bin", size)])


def test_files_are_opened_one_at_a_time_and_closed_also_when_the_reader_gives_up() -> None:
    opened: list[BinaryIO] = []

    def opening(_: Member) -> BinaryIO:
        assert all(file.closed for file in opened)
        opened.append(io.BytesIO(bytes(1000)))
        return opened[-1]

    members = [Member(name, 1000) for name in "abc"]
    list(layer_chunks(members, opening))
    assert len(opened) == 3
    chunks = layer_chunks(members, opening, buffer_size=600)
    next(chunks)
    chunks.close()
    assert len(opened) == 4
    assert all(file.closed for file in opened)


def test_no_files_make_an_empty_archive() -> None:
    assert layer({}) == bytes(1024)


@pytest.mark.parametrize("target", ["/models/minilm", "/models/minilm/", "models/minilm"])
def test_members_are_relative_to_the_root(target: str) -> None:
    assert member_path(target, "onnx/model.onnx") == "models/minilm/onnx/model.onnx"


def test_other_modes_are_kept() -> None:
    member = Member("run", 0, 0o755)
    open_file: Callable[[Member], BinaryIO] = lambda _: io.BytesIO()  # noqa: E731
    data = b"".join(bytes(chunk) for chunk in layer_chunks([member], open_file))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert archive.getmember("run").mode == 0o755
