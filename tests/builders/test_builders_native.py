from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from native_orders import (
    WEIGHTS,
    Entry,
    Workshop,
    directory,
    files_of,
    image_config,
    image_manifest,
    link,
    put_base,
    read_document,
    snapshot,
    unpack,
)

from registry_tool.builders.native import NativeBuilder
from registry_tool.domain.records import ImageRole
from registry_tool.errors import BuildFailed, StoreProblem

IN_IMAGE = {f"models/minilm/{path}": content for path, content in WEIGHTS.items()}
PLAIN = {"etc": directory(), "etc/os": Entry(content=b"base")}


def test_a_release_over_scratch_becomes_three_images(workshop: Workshop) -> None:
    built = workshop.build(workshop.order(files=[("/etc/motd", b"hello", 0o755)]))

    store = workshop.store
    complete = unpack(store, "minilm", "1.0.0")
    assert files_of(complete) == {**IN_IMAGE, "etc/motd": b"hello"}
    assert complete["etc/motd"].mode == 0o755
    assert {complete[path].mode for path in IN_IMAGE} == {0o644}
    assert {(entry.uid, entry.gid) for entry in complete.values()} == {(0, 0)}
    assert files_of(unpack(store, "minilm", "runtime-1.0.0")) == {"etc/motd": b"hello"}
    assert files_of(unpack(store, "minilm", "weights-1.0.0")) == IN_IMAGE
    assert [(image.role, image.reference) for image in built.images] == [
        (ImageRole.COMPLETE, "minilm:1.0.0"),
        (ImageRole.RUNTIME, "minilm:runtime-1.0.0"),
        (ImageRole.WEIGHTS, "minilm:weights-1.0.0"),
    ]
    tags = {tag: descriptor.digest for tag, descriptor in store.tags("minilm").items()}
    assert [tags[image.reference.removeprefix("minilm:")] for image in built.images] == [
        image.digest for image in built.images
    ]


def test_the_quantization_is_part_of_the_tags(workshop: Workshop) -> None:
    order = workshop.order()
    order = replace(order, release=order.release._replace(quantization="Q4_K_M"))

    workshop.build(order)

    assert set(workshop.store.tags("minilm")) == {
        "1.0.0_Q4_K_M",
        "runtime-1.0.0_Q4_K_M",
        "weights-1.0.0_Q4_K_M",
        f"build-{order.key[:12]}",
    }


def test_every_image_names_its_release_and_the_full_build_key(workshop: Workshop) -> None:
    order = workshop.order(labels={"team": "search", "io.registry-tool.model": "forged"})

    workshop.build(order)

    expected = {**order.labels, "io.registry-tool.build-key": order.key}
    for tag in ("1.0.0", "runtime-1.0.0"):
        config = image_config(workshop.store, "minilm", tag)
        assert config["config"]["Labels"] == {"team": "search", **expected}
    weights = image_config(workshop.store, "minilm", "weights-1.0.0")
    assert weights["config"] == {"Labels": expected}


def test_an_image_without_files_still_has_a_layer(workshop: Workshop) -> None:
    workshop.build(workshop.order())

    manifest = image_manifest(workshop.store, "minilm", "runtime-1.0.0")
    assert [entry["size"] for entry in manifest["layers"]] == [1024]
    assert unpack(workshop.store, "minilm", "runtime-1.0.0") == {}


def test_the_size_of_an_image_counts_each_blob_once(workshop: Workshop) -> None:
    built = workshop.build(workshop.order())

    manifest = image_manifest(workshop.store, "minilm", "1.0.0")
    blobs = {entry["digest"]: entry["size"] for entry in [manifest["config"], *manifest["layers"]]}
    document = workshop.store.tags("minilm")["1.0.0"].size
    assert built.images[0].size == document + sum(blobs.values())


def test_two_machines_build_the_same_bytes(tmp_path: Path) -> None:
    stores = []
    for name in ("one", "two"):
        workshop = Workshop(tmp_path / name)
        workshop.fill()
        base = put_base(workshop.store, [PLAIN], Env=["PATH=/bin"])
        order = workshop.order(base=base, env={"A": "1"}, files=[("/etc/motd", b"hello", 0o644)])
        workshop.build(order)
        stores.append(snapshot(workshop.store))

    assert stores[0] == stores[1]


def test_the_order_of_variables_and_platforms_changes_nothing(tmp_path: Path) -> None:
    platforms = ("linux/amd64", "linux/arm64")
    digests = []
    for turn in (1, -1):
        workshop = Workshop(tmp_path / str(turn))
        workshop.fill()
        env = dict([("B", "2"), ("A", "1")][::turn])
        built = workshop.build(workshop.order(env=env, platforms=platforms[::turn]))
        digests.append([image.digest for image in built.images])

    assert digests[0] == digests[1]


def test_the_bytes_of_an_image_never_change(tmp_path: Path) -> None:
    """Another digest here means other images for all releases: then the builder needs a new version."""
    workshop = Workshop(tmp_path, files={"model.bin": b"weights"})
    workshop.fill()
    order = workshop.order(files=[("/etc/motd", b"hello", 0o644)], env={"B": "2"}, cmd=["serve"])

    built = workshop.build(replace(order, key="0" * 64))

    assert NativeBuilder().version == 1
    assert [image.digest for image in built.images] == [
        "sha256:eb146de0505cf6e7a884a01ffb58f9c83913e1e0d547f3327278f81cdcbe0139",
        "sha256:49967307560811a52623fb78438946eede1dd9eb50f3bb32fcfdc45367208bc9",
        "sha256:b342e63a54d9a13a8c5cc797fb97f207e349b3974418669fa8dc1dc9be015125",
    ]


def test_a_base_lends_its_layers_files_and_settings(workshop: Workshop) -> None:
    base = put_base(
        workshop.store,
        [PLAIN, {"usr": directory(), "usr/app": Entry(content=b"#!", mode=0o755)}],
        Env=["PATH=/usr/bin", "LANG=C"],
        Entrypoint=["/usr/app"],
        Cmd=["--help"],
        WorkingDir="/srv",
        User="app",
        ExposedPorts={"80/tcp": {}},
        Labels={"base": "yes"},
        StopSignal="SIGINT",
    )

    workshop.build(
        workshop.order(
            base=base,
            files=[("/etc/motd", b"hello", 0o644)],
            env={"LANG": "C.UTF-8", "MODEL": "minilm"},
            expose=["8000"],
        )
    )

    store = workshop.store
    config = image_config(store, "minilm", "1.0.0")
    labels = config["config"].pop("Labels")
    assert labels["base"] == "yes"
    assert config["config"] == {
        "Env": ["PATH=/usr/bin", "LANG=C.UTF-8", "MODEL=minilm"],
        "Entrypoint": ["/usr/app"],
        "Cmd": ["--help"],
        "WorkingDir": "/srv",
        "User": "app",
        "ExposedPorts": {"80/tcp": {}, "8000/tcp": {}},
        "StopSignal": "SIGINT",
    }
    assert config["created"] == "2024-01-01T00:00:00Z"
    below = image_manifest(store, "bases/python", "1.0")["layers"]
    assert image_manifest(store, "minilm", "1.0.0")["layers"][:2] == below
    assert files_of(unpack(store, "minilm", "1.0.0")) == {
        "etc/os": b"base",
        "etc/motd": b"hello",
        "usr/app": b"#!",
        **IN_IMAGE,
    }
    assert files_of(unpack(store, "minilm", "weights-1.0.0")) == IN_IMAGE


@pytest.mark.parametrize(
    "recipe, entrypoint, cmd",
    [
        ({}, ["/app"], ["--help"]),
        ({"cmd": ["--fast"]}, ["/app"], ["--fast"]),
        ({"entrypoint": ["/other"]}, ["/other"], None),
        ({"entrypoint": ["/other"], "cmd": ["-v"]}, ["/other"], ["-v"]),
        ({"entrypoint": []}, None, None),
        ({"cmd": []}, ["/app"], None),
    ],
)
def test_entry_point_and_command_follow_the_rules_of_dockerfiles(
    workshop: Workshop, recipe: dict[str, Any], entrypoint: object, cmd: object
) -> None:
    base = put_base(workshop.store, [PLAIN], Entrypoint=["/app"], Cmd=["--help"])

    workshop.build(workshop.order(base=base, **recipe))

    settings = image_config(workshop.store, "minilm", "1.0.0")["config"]
    assert (settings.get("Entrypoint"), settings.get("Cmd")) == (entrypoint, cmd)


@pytest.mark.parametrize("history", [True, False])
def test_the_history_tells_of_each_layer(workshop: Workshop, history: bool) -> None:
    base = put_base(workshop.store, [PLAIN], history=history)

    workshop.build(workshop.order(base=base, files=[("/etc/motd", b"hello", 0o644)]))

    for tag in ("1.0.0", "runtime-1.0.0", "weights-1.0.0"):
        config = image_config(workshop.store, "minilm", tag)
        assert len(config["history"]) == len(config["rootfs"]["diff_ids"])


def test_a_host_in_a_base_says_only_where_it_comes_from(workshop: Workshop) -> None:
    base = put_base(workshop.store, [PLAIN])

    workshop.build(workshop.order(base=f"registry.example/{base}"))

    assert "etc/os" in unpack(workshop.store, "minilm", "1.0.0")


def test_an_image_of_this_tool_can_be_a_base(workshop: Workshop) -> None:
    """Its locked files are base now: they stay in the runtime image, and are no weights of this release."""
    below = workshop.build(workshop.order(files=[("/a", b"a", 0o644)], entrypoint=["/run"]))
    order = workshop.order(
        model="tuned",
        target="/models/tuned",
        base=f"minilm@{below.images[0].digest}",
        files=[("/b", b"b", 0o644)],
    )

    built = workshop.build(order)

    store, tuned = workshop.store, {f"models/tuned/{path}" for path in WEIGHTS}
    assert [layer.source for layer in built.layers] == ["base", "base", "template", "weights"]
    assert set(files_of(unpack(store, "tuned", "1.0.0"))) == {"a", "b", *IN_IMAGE, *tuned}
    assert set(files_of(unpack(store, "tuned", "runtime-1.0.0"))) == {"a", "b", *IN_IMAGE}
    assert set(files_of(unpack(store, "tuned", "weights-1.0.0"))) == tuned
    labels = image_config(store, "tuned", "1.0.0")["config"]["Labels"]
    assert labels["io.registry-tool.build-key"] == order.key
    assert workshop.build(order).adopted


@pytest.mark.parametrize("isolated", [False, True])
def test_directories_of_the_base_keep_mode_and_owner(workshop: Workshop, isolated: bool) -> None:
    odd = {
        "models": directory(0o2775, 1000, 1001),
        "models/minilm": directory(0o700, 1000, 1000),
        "srv": directory(0o1777),
        "etc": directory(),
    }
    base = put_base(workshop.store, [odd])

    files = [("/srv/app/main", b"x", 0o644), ("/etc/motd", b"y", 0o644)]
    workshop.build(workshop.order(base=base, files=files))

    tree = unpack(workshop.store, "minilm", "1.0.0", isolated=isolated)
    assert {path: tree[path] for path in odd} == odd
    assert files_of(tree) == {**IN_IMAGE, "srv/app/main": b"x", "etc/motd": b"y"}
    runtime = unpack(workshop.store, "minilm", "runtime-1.0.0", isolated=isolated)
    assert {path: runtime[path] for path in odd} == odd
    assert set(files_of(runtime)) == {"srv/app/main", "etc/motd"}


def test_plain_directories_need_no_layer(workshop: Workshop) -> None:
    base = put_base(workshop.store, [{"models": directory(), "srv": directory(0o700)}])

    built = workshop.build(workshop.order(base=base, files=[("/models/readme", b"x", 0o644)]))

    assert [layer.source for layer in built.layers] == ["base", "template", "weights"]


def test_restated_directories_are_not_counted_as_bytes(workshop: Workshop) -> None:
    base = put_base(workshop.store, [{"models": directory(0o700)}])
    order = workshop.order(base=base)

    built = workshop.build(order)

    assert [layer.source for layer in built.layers] == ["base", "weights", "template"]
    assert built.bytes.upload == sum(layer.size for layer in order.lock.layers)
    assert built.bytes.reuse == 0


@pytest.mark.parametrize("isolated", [False, True])
def test_files_go_where_links_of_the_base_lead(workshop: Workshop, isolated: bool) -> None:
    base = put_base(
        workshop.store,
        [
            {"usr": directory(), "usr/lib": directory(0o750), "lib": link("usr/lib")},
            {"opt": link("/lib/../lib")},
        ],
    )

    files = [("/lib/a.so", b"a", 0o644), ("/opt/new/b.so", b"b", 0o644)]
    workshop.build(workshop.order(base=base, files=files))

    tree = unpack(workshop.store, "minilm", "1.0.0", isolated=isolated)
    assert tree["lib"] == link("usr/lib")
    assert tree["usr/lib"].mode == 0o750
    assert files_of(tree) == {"usr/lib/a.so": b"a", "usr/lib/new/b.so": b"b", **IN_IMAGE}


def test_locked_files_behind_a_link_are_refused_with_the_way_out(workshop: Workshop) -> None:
    base = put_base(workshop.store, [{"data": directory(), "models": link("data/models")}])

    with pytest.raises(BuildFailed) as caught:
        workshop.build(workshop.order(base=base))

    assert "/models/minilm" in caught.value.message
    assert caught.value.help == (
        "set `target: /data/models/minilm` in the template, then run `registry-tool lock`"
    )
    assert workshop.store.tags("minilm") == {}

    workshop.build(workshop.order(base=base, target="/data/models/minilm"))
    tree = unpack(workshop.store, "minilm", "1.0.0", isolated=True)
    assert tree["models"] == link("data/models")
    assert set(files_of(tree)) == {f"data/{path}" for path in IN_IMAGE}


def test_a_link_inside_the_target_is_refused_too(workshop: Workshop) -> None:
    tree = {"models": directory(), "models/minilm": directory(), "models/minilm/nested": link("/x")}
    base = put_base(workshop.store, [tree])

    with pytest.raises(BuildFailed, match=r"/models/minilm/nested/a\.txt would end up at /x/a"):
        workshop.build(workshop.order(base=base))


@pytest.mark.parametrize(
    "tree, files, named",
    [
        ({"app": directory()}, [("/app", b"x", 0o644)], ["/app", "a directory"]),
        (
            {"usr": directory(), "lib": link("usr")},
            [("/lib", b"x", 0o644)],
            ["/lib", "a directory"],
        ),
        ({"app": Entry()}, [("/app/x", b"x", 0o644)], ["/app/x", "/app is a file"]),
        ({"models": Entry()}, [], ["/models/minilm", "/models is a file"]),
        (
            {"models/minilm/config.json": directory()},
            [],
            ["/models/minilm/config.json", "a directory"],
        ),
        ({"a": link("b"), "b": link("a")}, [("/a/x", b"x", 0o644)], ["/a/x", "circle"]),
        ({}, [("/models/minilm/config.json", b"x", 0o644)], ["/models/minilm/config.json twice"]),
        ({}, [("/models", b"x", 0o644)], ["/models/minilm/config.json below /models"]),
    ],
)
def test_nothing_of_one_kind_takes_the_place_of_another(
    workshop: Workshop,
    tree: dict[str, Entry],
    files: list[tuple[str, bytes, int]],
    named: list[str],
) -> None:
    base = put_base(workshop.store, [tree])

    with pytest.raises(BuildFailed) as caught:
        workshop.build(workshop.order(base=base, files=files))

    assert all(part in caught.value.message for part in named), caught.value.message
    assert caught.value.help
    assert f"base for linux/amd64: {base}" in caught.value.log
    assert workshop.store.tags("minilm") == {}


def test_a_file_may_replace_a_file_or_a_link_to_one(workshop: Workshop) -> None:
    tree = {"etc": directory(), "etc/os": Entry(content=b"old"), "etc/alias": link("os")}
    base = put_base(workshop.store, [tree])

    files = [("/etc/os", b"new", 0o600), ("/etc/alias", b"own", 0o644)]
    workshop.build(workshop.order(base=base, files=files))

    result = unpack(workshop.store, "minilm", "runtime-1.0.0")
    assert files_of(result) == {"etc/os": b"new", "etc/alias": b"own"}
    assert result["etc/os"].mode == 0o600


def test_what_the_base_deleted_is_not_in_the_way(workshop: Workshop) -> None:
    base = put_base(
        workshop.store,
        [
            {"models": Entry(content=b"file"), "app": directory(0o700), "app/old": directory()},
            {".wh.models": Entry(), "app/.wh..wh..opq": Entry()},
        ],
    )

    workshop.build(workshop.order(base=base, files=[("/app/old", b"file now", 0o644)]))

    tree = unpack(workshop.store, "minilm", "1.0.0")
    assert files_of(tree) == {**IN_IMAGE, "app/old": b"file now"}
    assert tree["app"].mode == 0o700


def test_a_missing_base_says_how_to_copy_it(workshop: Workshop) -> None:
    digest = "sha256:" + "0" * 64

    with pytest.raises(StoreProblem) as caught:
        workshop.build(workshop.order(base=f"registry.example/bases/python:3.12@{digest}"))

    assert f"bases/python:3.12@{digest} is not in the store" in caught.value.message
    assert caught.value.help == (
        "copy it there: skopeo copy --all --preserve-digests"
        f" docker://registry.example/bases/python@{digest}"
        f" oci:{workshop.store.root}/bases/python:3.12"
    )


def test_a_base_for_another_platform_is_refused(workshop: Workshop) -> None:
    base = put_base(workshop.store, [PLAIN], platform="linux/arm64")

    with pytest.raises(StoreProblem, match="linux/amd64, only for linux/arm64"):
        workshop.build(workshop.order(base=base))


def test_a_base_whose_layer_is_gone_is_refused(workshop: Workshop) -> None:
    base = put_base(workshop.store, [PLAIN])
    layers = image_manifest(workshop.store, "bases/python", "1.0")["layers"]
    workshop.store.blob_path("bases/python", layers[0]["digest"]).unlink()

    with pytest.raises(StoreProblem, match=r"bases/python.* has no blob"):
        workshop.build(workshop.order(base=base))


def test_too_many_layers_are_refused(workshop: Workshop) -> None:
    base = put_base(workshop.store, [{f"f{number}": Entry()} for number in range(119)])

    built = workshop.build(workshop.order(base=base))
    assert len(built.layers) == 120

    with pytest.raises(BuildFailed, match="121 layers, and 120 is the limit"):
        workshop.build(workshop.order(base=base, files=[("/one-more", b"", 0o644)]))


def test_several_platforms_share_the_weights_behind_an_index(workshop: Workshop) -> None:
    order = workshop.order(platforms=("linux/arm64", "linux/amd64"))

    built = workshop.build(order)

    store = workshop.store
    for tag in ("1.0.0", "runtime-1.0.0", "weights-1.0.0"):
        index = image_manifest(store, "minilm", tag)
        platforms = [entry["platform"] for entry in index["manifests"]]
        assert platforms == [
            {"os": "linux", "architecture": "amd64"},
            {"os": "linux", "architecture": "arm64"},
        ]
        layers = []
        for entry in index["manifests"]:
            manifest = read_document(store, "minilm", entry["digest"])
            config = read_document(store, "minilm", manifest["config"]["digest"])
            assert config["architecture"] == entry["platform"]["architecture"]
            layers.append(manifest["layers"])
        assert layers[0] == layers[1]
    assert [layer.digest for layer in built.layers] == [layer.digest for layer in order.lock.layers]
    assert built.bytes.upload == sum(layer.size for layer in order.lock.layers)


def test_a_dockerfile_is_not_built_natively(workshop: Workshop) -> None:
    order = workshop.order()
    order = replace(order, template=replace(order.template, image=None, dockerfile="FROM scratch"))

    with pytest.raises(BuildFailed, match="needs an engine"):
        workshop.build(order)


def test_the_log_tells_what_was_done(workshop: Workshop) -> None:
    order = workshop.order(files=[("/etc/motd", b"hello", 0o644)])

    log = workshop.build(order).log

    assert log.splitlines()[:3] == [
        "release/minilm/1.0.0/none with template test",
        f"build key {order.key}",
        "base for linux/amd64: scratch",
    ]
    assert f"{order.lock.layers[0].digest}, {order.lock.layers[0].size} bytes, written" in log
    assert "complete: minilm:1.0.0@sha256:" in log
