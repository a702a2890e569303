"""Packing: which files share a layer."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from registry_tool.domain.release import Role
from registry_tool.oci.packing import ALONE_SIZE, MAX_LAYERS, is_context, pack

MIB = 1 << 20
GIB = 1 << 30
W, C, T = Role.WEIGHTS, Role.CODE, Role.TOKENIZER

sizes = st.one_of(st.integers(0, 100), st.integers(0, 200 * MIB), st.integers(0, 20 * GIB))
some_files = st.dictionaries(
    st.text("abc/", min_size=1, max_size=6), st.tuples(sizes, st.sampled_from(Role)), max_size=200
).map(lambda files: [(path, size, role) for path, (size, role) in files.items()])


@given(some_files, st.randoms(use_true_random=False))
def test_every_file_is_in_one_layer_and_order_does_not_matter(
    files: list[tuple[str, int, Role]], chance: random.Random
) -> None:
    layers = pack(files)
    assert sorted(path for layer in layers for path in layer) == sorted(path for path, *_ in files)
    assert len(layers) <= MAX_LAYERS
    assert all(layer == sorted(layer) and layer for layer in layers)
    roles = {path: role for path, _, role in files}
    kinds = [{is_context(roles[path]) for path in layer} for layer in layers]
    assert all(len(kind) == 1 for kind in kinds)
    assert [kind.pop() for kind in kinds] == sorted(is_context(roles[layer[0]]) for layer in layers)
    shuffled = list(files)
    chance.shuffle(shuffled)
    assert pack(shuffled) == layers


@given(some_files)
def test_big_files_are_alone_while_the_count_allows(files: list[tuple[str, int, Role]]) -> None:
    layers = pack(files)
    size = {path: size for path, size, _ in files}
    if len(layers) < MAX_LAYERS:
        for layer in layers:
            assert len(layer) == 1 or all(size[path] < ALONE_SIZE for path in layer)


def test_small_files_share_layers_of_64_mib() -> None:
    files = [(f"part-{number:02}.bin", 20 * MIB, W) for number in range(7)]
    assert [len(layer) for layer in pack(files)] == [3, 3, 1]


def test_small_files_come_together_across_big_ones() -> None:
    files = [("a.json", 1, T), ("model.bin", GIB, W), ("z.json", 1, T), ("m.py", 1, C)]
    assert pack(files) == [["a.json", "z.json"], ["model.bin"], ["m.py"]]


def test_an_edit_of_code_leaves_all_other_layers_alone() -> None:
    before = [("model.bin", GIB, W), ("small.bin", 9, W), ("a.py", 10, C), ("b.py", 10, C)]
    after = [("model.bin", GIB, W), ("small.bin", 9, W), ("a.py", 99 * MIB, C), ("c.py", 1, C)]
    assert pack(before)[:2] == pack(after)[:2] == [["model.bin"], ["small.bin"]]


def test_a_model_of_163_shards_fits_with_even_layers() -> None:
    shards = [(f"model-{number:05}-of-00163.safetensors", 4 * GIB, W) for number in range(1, 164)]
    layers = pack([*shards, ("config.json", 1, Role.CONFIG), ("modeling.py", 1, C)])
    assert len(layers) == MAX_LAYERS
    counts = sorted(len(layer) for layer in layers if layer[0].endswith("safetensors"))
    assert set(counts) == {2, 3}
    assert ["modeling.py"] in layers


def test_thousands_of_middling_files_fit() -> None:
    files = [(f"{number:05}.bin", 30 * MIB, W) for number in range(10_000)]
    files += [(f"wheels/{number}.whl", 100 * MIB, Role.WHEEL) for number in range(200)]
    files += [(f"{number}.gguf", 5 * GIB, W) for number in range(3)]
    assert len(pack(files)) <= MAX_LAYERS


def test_big_files_of_both_kinds_share_the_count() -> None:
    files = [(f"wheels/{number:03}.whl", 100 * MIB, Role.WHEEL) for number in range(2)]
    files += [(f"{number:03}.gguf", 5 * GIB, W) for number in range(100)]
    layers = pack(files)
    assert len(layers) == MAX_LAYERS
    assert sum(layer[0].endswith("whl") for layer in layers) in {1, 2}


def test_nothing_packs_into_nothing() -> None:
    assert pack([]) == []
