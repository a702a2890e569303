"""Keys: which change touches which part. The golden values pin the format."""

from __future__ import annotations

from typing import Any

import pytest
from planning_world import World

from registry_tool.domain.digests import canonical_sha256
from registry_tool.domain.subjects import DeploymentId, ReleaseId
from registry_tool.errors import UsageProblem
from registry_tool.planning.keys import (
    Key,
    Keys,
    build_key,
    changed_parts,
    deployment_key,
    image_host,
    labels,
    store_name,
)

MINILM = ReleaseId("minilm", "1.0.0")


def built(world: World) -> Key:
    return build_key(world.desired, MINILM)


def differs(world: World, before: Key) -> tuple[str, ...]:
    now = built(world)
    assert (now.value == before.value) == (now.parts == before.parts)
    return changed_parts(before.parts, now.parts)


def test_a_key_is_the_hash_of_its_parts(world: World) -> None:
    world.locked()
    key = built(world)
    assert key.value == canonical_sha256(dict(key.parts))
    assert list(key.parts) == sorted(key.parts)
    assert set(key.parts) == {
        "base", "builder", "config", "format", "identity", "labels", "layers", "parameters",
        "platforms", "target", "template", "weights",
    }  # fmt: skip


def test_the_format_of_build_keys_does_not_move(world: World) -> None:
    world.model(license="MIT")
    world.template(
        params={"properties": {"port": {"type": "integer", "default": 80}}},
        image={
            "copy": [{"from": "files", "to": "/"}],
            "env": {"MODEL": "{{ model }}"},
            "cmd": ["serve", "{{ params.port }}"],
        },
    )
    world.locked()
    assert built(world).value == GOLDEN_BUILD


def test_the_format_of_deployment_keys_does_not_move(world: World) -> None:
    world.locked()
    deployment = world.deployment(
        replicas=2,
        env={"A": "b"},
        ports=[{"container": 80}],
        healthcheck={"http": "/health", "interval": "1m"},
        resources={"cpus": 0.5, "memory": "1Gi"},
    )
    key = deployment_key(world.desired, deployment, MINILM, "a" * 64)
    assert key.value == GOLDEN_DEPLOYMENT
    assert set(key.parts) == {"build", "format", "image_host", "renderer", "spec", "target"}


# A change of these rebuilds or deploys everything, everywhere: raise the format version with it.
GOLDEN_BUILD = "5806bccddf9c84db658820c1f07eff1e032c6f2e2a28bb949d463ae4878548c7"
GOLDEN_DEPLOYMENT = "f69ba8afa5534046644728c81d845400474df0b45fb35b652cb18b822f7bf8e2"


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"platforms": ["linux/arm64"]}, ("platforms",)),
        ({"template": {"name": "static", "params": {"unused": 1}}}, ("parameters",)),
        ({"template": {"name": "static", "params": {"port": 1}}}, ("parameters", "template")),
        ({"template": {"name": "copy"}}, ("template",)),
    ],
)
def test_parts_of_a_release(world: World, change: Any, parts: tuple[str, ...]) -> None:
    params = {"properties": {"port": {"default": 80}, "unused": {}}}
    image = {"env": {"PORT": "{{ params.port }}"}}
    world.template(params=params, image=image)
    world.template("copy", params=params, image=image)
    world.locked()
    before = built(world)
    world.release(**change)
    assert differs(world, before) == parts


@pytest.mark.parametrize(
    "change",
    [
        {"platforms": ["linux/arm64", "linux/amd64", "linux/arm64"]},
        {"stage": "released", "release_notes": "x", "metadata": {"a": 1}, "labels": {"a": "b"}},
        {"storage_path": "/data/elsewhere", "artifacts": {"include": ["*"]}, "auto_build": False},
        {"yanked": {"reason": "bad"}},
    ],
)
def test_what_is_in_no_part(world: World, change: Any) -> None:
    world.locked(platforms=["linux/amd64", "linux/arm64"])
    before = built(world)
    world.release(**{"platforms": ["linux/amd64", "linux/arm64"], **change})
    assert differs(world, before) == ()


@pytest.mark.parametrize(
    ("spec", "files", "parts"),
    [
        ({"image": {"base": "scratch"}}, {}, ("template",)),
        ({}, {"files/etc/motd": "bye"}, ("template",)),
        ({}, {"files/etc/motd2": "hello"}, ("template",)),
        ({}, {"files/etc/motd": "hello", "unused": "x"}, ()),
        ({"description": "other", "platforms": ["linux/amd64"]}, None, ()),
        ({"probe": ["true"]}, None, ()),
        ({"params": {"properties": {"a": {"default": 1}}}}, None, ()),
        (
            {
                "image": {
                    "base": "registry.example/base@sha256:" + "a" * 64,
                    "copy": [{"from": "files", "to": "/"}],
                }
            },
            None,
            ("base",),
        ),
    ],
)
def test_parts_of_a_template(world: World, spec: Any, files: Any, parts: tuple[str, ...]) -> None:
    world.locked()
    before = built(world)
    world.template(files=files, **spec)
    assert differs(world, before) == parts


def test_pinned_bases_of_a_dockerfile_are_a_part(world: World) -> None:
    def template(digit: str) -> None:
        bases = [{"name": "py", "reference": "python:3.11", "digest": "sha256:" + digit * 64}]
        world.template(
            dockerfile={"bases": bases}, files={"Dockerfile.j2": "FROM {{ bases.py }}\n"}
        )

    world.locked()
    template("a")
    before = built(world)
    template("b")
    assert differs(world, before) == ("base", "template")


def test_a_default_is_seen_where_it_is_used(world: World) -> None:
    def template(port: int) -> None:
        world.template(
            params={"properties": {"port": {"default": port}}},
            image={"env": {"PORT": "{{ params.port }}"}},
        )

    template(80)
    world.locked()
    before = built(world)
    template(81)
    assert differs(world, before) == ("template",)


def test_parts_of_a_lock(world: World) -> None:
    world.locked()
    before = built(world)
    world.lock(weights="other")
    assert differs(world, before) == ("weights",)
    world.lock(target="/opt/minilm")
    assert differs(world, before) == ("target",)
    files = [
        {"path": "config.json", "role": "other", "size": 10, "sha256": "a" * 64},
        {"path": "model.bin", "role": "weights", "size": 5000, "sha256": "b" * 64},
    ]
    world.lock(files=files)
    assert differs(world, before) == ("config", "other", "weights")


def test_the_set_digest_and_where_bytes_came_from_are_no_parts(world: World) -> None:
    world.locked()
    before = built(world)
    lock = world.locks[MINILM].manifest.spec
    files = [
        {**file.model_dump(mode="json"), "etag": "e", "media_type": "a/b"} for file in lock.files
    ]
    world.lock(files=files, set_digest="f" * 64)
    assert differs(world, before) == ()
    assert labels(world.desired, MINILM)["io.registry-tool.set-digest"] == "f" * 64


def test_labels_carry_identity_and_license(world: World) -> None:
    world.locked()
    assert labels(world.desired, MINILM) == {
        "io.registry-tool.model": "minilm",
        "io.registry-tool.quantization": "none",
        "io.registry-tool.set-digest": world.locks[MINILM].manifest.spec.set_digest,
        "io.registry-tool.version": "1.0.0",
        "org.opencontainers.image.title": "minilm",
        "org.opencontainers.image.version": "1.0.0",
    }
    before = built(world)
    world.model(license="MIT", company="ACME", description="text", tags=["a"])
    assert differs(world, before) == ("labels",)
    assert labels(world.desired, MINILM)["org.opencontainers.image.licenses"] == "MIT"


def test_a_release_without_lock_has_no_key(world: World) -> None:
    world.release()
    with pytest.raises(UsageProblem) as caught:
        built(world)
    assert "registry-tool lock minilm/1.0.0/none" in (caught.value.help or "")


def test_keys_do_not_depend_on_what_was_asked_before(world: World) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        world.locked(version, weights=version)
    world.template(image={"labels": {"v": "{{ version }}", "m": "{{ model }}"}})
    keys = Keys(world.desired)
    together = {release: keys.build(release) for release in reversed(list(world.releases))}
    assert together == {release: build_key(world.desired, release) for release in world.releases}


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"suspend": True}, ()),
        ({"replicas": 2}, ("spec",)),
        ({"command": []}, ("spec",)),
        ({"labels": {"a": "b"}}, ()),
        ({"healthcheck": {"command": ["true"]}}, ("spec",)),
        ({"healthcheck": {"http": "/"}}, ("spec",)),
    ],
)
def test_parts_of_a_deployment(world: World, change: Any, parts: tuple[str, ...]) -> None:
    world.locked()
    world.template(probe=["ask", "{{ port }}", "{{ path }}"])
    ports = [{"container": 80}]
    deployment = world.deployment(ports=ports)
    before = deployment_key(world.desired, deployment, MINILM, "a" * 64)
    world.deployment(**{"ports": ports, **change})
    now = deployment_key(world.desired, deployment, MINILM, "a" * 64)
    assert changed_parts(before.parts, now.parts) == parts


def test_naming_and_tracking_a_release_are_the_same(world: World) -> None:
    world.locked(stage="released")
    deployment = world.deployment()
    before = deployment_key(world.desired, deployment, MINILM, "a" * 64)
    world.deployment(track={"version": "*"})
    assert deployment_key(world.desired, deployment, MINILM, "a" * 64) == before


def test_the_probe_and_the_build_are_parts_of_a_deployment(world: World) -> None:
    world.locked()
    deployment = world.deployment(ports=[{"container": 80}])
    before = deployment_key(world.desired, deployment, MINILM, "a" * 64)
    world.template(probe=["ask", "{{ port }}"])
    now = deployment_key(world.desired, deployment, MINILM, "b" * 64)
    assert changed_parts(before.parts, now.parts) == ("build", "spec")


def test_stores_and_hosts(world: World) -> None:
    registry = world.desired.registry.manifest
    assert (store_name(registry), image_host(registry)) == ("embedded", "localhost:8000")
    world.registry_spec["images"] = {"repository": "registry.example/team"}
    registry = world.desired.registry.manifest
    assert (store_name(registry), image_host(registry)) == ("registry.example/team",) * 2


def test_an_unknown_deployment_has_no_key(world: World) -> None:
    with pytest.raises(KeyError):
        deployment_key(world.desired, DeploymentId("staging", "nobody"), MINILM, "a" * 64)
