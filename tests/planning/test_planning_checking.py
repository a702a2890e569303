"""Every check across manifests: its code, its place, and the fix that it offers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_world import HEAD, World, sha256

from registry_tool.domain.desired import Desired
from registry_tool.domain.diagnostics import CODES, Finding, Severity
from registry_tool.domain.subjects import ReleaseId
from registry_tool.planning.checking import check
from registry_tool.planning.holding import dependants
from registry_tool.planning.planner import plan

RELEASE = "manifests/releases/minilm/1.0.0/none.yaml"
LOCK = "manifests/releases/minilm/1.0.0/none.lock.yaml"
SEARCH = "manifests/deployments/staging/search.yaml"
STAGING = "manifests/environments/staging.yaml"
TEMPLATE = "build_templates/static/template.yaml"


def found(world: World, base: Desired | None = None, **options: Any) -> list[Finding]:
    findings = check(world.desired, base, **options)
    assert all(finding.code in CODES for finding in findings)
    return findings


def only(world: World, base: Desired | None = None, **options: Any) -> Finding:
    findings = found(world, base, **options)
    assert len(findings) == 1, findings
    return findings[0]


def is_at(finding: Finding, code: str, path: str, *pointer: str | int) -> bool:
    return (finding.code, finding.path, finding.pointer) == (code, path, pointer)


def deployed(world: World, **spec: Any) -> Desired:
    """A release that is locked, built and deployed; gives this state as a base."""
    world.locked(**spec)
    world.deployment()
    return world.desired


def test_a_good_registry_has_no_findings(world: World) -> None:
    base = deployed(world, stage="released")
    assert found(world) == []
    assert found(world, base) == []


# --- references ----------------------------------------------------------------------------------


def test_an_unknown_model_is_told_with_the_nearest_name(world: World) -> None:
    release = world.release(model="minilmm")
    finding = only(world)
    assert is_at(finding, "RT214", f"manifests/releases/{release}.yaml", "spec", "model")
    assert finding.message == 'unknown model "minilmm"'
    assert finding.help == 'did you mean "minilm"?'
    assert finding.subject == release.subject


def test_an_unknown_template(world: World) -> None:
    world.release(template={"name": "statik"})
    finding = only(world)
    assert is_at(finding, "RT211", RELEASE, "spec", "template", "name")
    assert finding.help == 'did you mean "static"?'


def test_a_lock_without_release(world: World) -> None:
    world.lock()
    assert is_at(only(world), "RT213", LOCK, "spec", "model")


def test_an_unknown_release_is_told_with_its_quantizations(world: World) -> None:
    world.locked(quantization="awq")
    world.deployment()
    finding = only(world)
    assert is_at(finding, "RT210", SEARCH, "spec", "version")
    assert finding.help == "set spec.quantization: it has awq"
    world.deployment(quantization="awk")
    finding = only(world)
    assert is_at(finding, "RT210", SEARCH, "spec", "quantization")
    assert finding.help == 'did you mean "awq"?'


def test_an_unknown_version(world: World) -> None:
    world.locked("1.0.0")
    world.deployment(version="1.0.1")
    finding = only(world)
    assert is_at(finding, "RT210", SEARCH, "spec", "version")
    assert finding.message == 'unknown release "minilm/1.0.1/none"'
    assert finding.help == 'did you mean "minilm/1.0.0/none"?'


def test_a_deployment_of_an_unknown_model_is_told_once(world: World) -> None:
    world.deployment(model="other")
    assert is_at(only(world), "RT214", SEARCH, "spec", "model")


def test_an_unknown_environment(world: World) -> None:
    world.locked()
    world.deployment(environment="stagin")
    path = "manifests/deployments/stagin/search.yaml"
    assert is_at(only(world), "RT212", path, "spec", "environment")


def test_an_unknown_source_of_promotion(world: World) -> None:
    world.environment("integration")
    world.environment(promote_from="testing")
    finding = only(world)
    assert is_at(finding, "RT212", STAGING, "spec", "promote_from")
    assert finding.help == "there are integration", "and never the environment itself"


@pytest.mark.parametrize("members", [["staging"], ["a", "b"], ["a", "b", "c"]])
def test_a_circle_of_promotions_is_told_at_each_member(world: World, members: list[str]) -> None:
    for name, source in zip(members, [*members[1:], members[0]], strict=True):
        world.environment(name, promote_from=source)
    world.environment("outside", promote_from=members[0])
    findings = found(world)
    assert [finding.code for finding in findings] == ["RT215"] * len(members)
    assert findings[0].pointer == ("spec", "promote_from")
    assert findings[0].message.endswith(" from ".join([members[0], *members[1:], members[0]]))


def test_nothing_satisfies_a_track(world: World) -> None:
    world.locked("1.0.0")
    world.locked("1.1.0", stage="released", yanked={"reason": "bad"})
    world.deployment(track={"version": "^1.0"})
    finding = only(world)
    assert is_at(finding, "RT216", SEARCH, "spec", "track")
    assert finding.help == "there are 1.0.0 (candidate), 1.1.0 (released, yanked)"


def test_a_track_that_a_release_with_errors_might_satisfy_is_not_told(world: World) -> None:
    world.deployment(track={"version": "^1.0"})
    assert only(world).code == "RT216"
    assert found(world, held={"release/minilm/1.0.0/none"}) == []
    assert only(world, held={"release/minilm/1.0.0/awq"}).code == "RT216"


def test_many_unknown_names_are_told_and_soon_without_suggestions(world: World) -> None:
    for number in range(150):
        world.release(f"1.{number}.0", model=f"minilm{number}")
    findings = found(world)
    assert len(findings) == 150
    suggested = [one for one in findings if one.help == 'did you mean "minilm"?']
    assert len(suggested) == 100


def test_references_to_manifests_with_errors_are_not_told_again(world: World) -> None:
    world.locked()
    world.deployment()
    world.models.clear()
    world.templates.clear()
    paths = {"model/minilm": "manifests/models/minilm.yaml", "template/static": TEMPLATE}
    assert found(world, paths=paths) == []
    assert {finding.code for finding in found(world)} == {"RT211", "RT214"}


@pytest.mark.parametrize(
    ("folder", "path", "pointer"),
    [
        ("models", RELEASE, ("spec", "model")),
        ("models", SEARCH, ("spec", "model")),
        ("templates", RELEASE, ("spec", "template", "name")),
        ("environments", SEARCH, ("spec", "environment")),
        ("releases", SEARCH, ("spec", "version")),
        ("releases", LOCK, ("spec", "model")),
    ],
)
def test_a_deletion_is_told_at_the_referrer(
    world: World, folder: str, path: str, pointer: tuple[str, ...]
) -> None:
    base = deployed(world)
    gone = next(iter(getattr(base, folder).values()))
    getattr(world, folder).clear()
    finding = next(one for one in found(world, base) if one.path == path)
    assert (finding.code, finding.pointer) == ("RT217", pointer)
    assert "this change deletes" in finding.message
    if path != LOCK:
        assert str(getattr(gone, "located", gone).path) in (finding.help or "")


# --- locks ---------------------------------------------------------------------------------------


def test_a_locked_file_outside_the_globs(world: World) -> None:
    world.locked(artifacts={"include": ["*.bin"]})
    finding = only(world)
    assert is_at(finding, "RT503", LOCK, "spec", "files", 0, "path")
    assert finding.related[0].path == RELEASE
    world.locked(artifacts={"exclude": ["model.*"]})
    assert is_at(only(world), "RT503", LOCK, "spec", "files", 1, "path")


def test_a_wrong_set_digest(world: World) -> None:
    world.release()
    world.lock(set_digest="a" * 64)
    finding = only(world)
    assert is_at(finding, "RT504", LOCK, "spec", "set_digest")
    assert "run `registry-tool lock minilm/1.0.0/none`" in (finding.help or "")


def layer(size: int, *files: str) -> dict[str, Any]:
    return {"digest": "sha256:" + sha256("".join(files)), "size": size, "files": list(files)}


@pytest.mark.parametrize(
    ("layers", "pointer"),
    [
        ([layer(9000, "config.json")], ("spec", "files", 1, "path")),
        (
            [layer(9000, "config.json", "model.bin"), layer(9000, "model.bin")],
            ("spec", "layers", 0, "files", 1),
        ),
        (
            [layer(9000, "config.json", "model.bin", "other")],
            ("spec", "layers", 0, "files", 2),
        ),
        ([layer(5009, "config.json", "model.bin")], ("spec", "layers", 0, "size")),
    ],
)
def test_layers_and_files_that_disagree(
    world: World, layers: Any, pointer: tuple[str | int, ...]
) -> None:
    world.release()
    world.lock(layers=layers)
    assert is_at(only(world), "RT505", LOCK, *pointer)


@pytest.mark.parametrize(
    ("paths", "wrong"),
    [(["a", "a"], 1), (["b", "a"], 1), (["a", "a/b"], 1), (["a", "a-b", "a/b/c"], 2)],
)
def test_locked_paths_that_stand_in_each_others_way(
    world: World, paths: list[str], wrong: int
) -> None:
    world.release()
    files = [{"path": p, "role": "other", "size": 1, "sha256": sha256(p)} for p in paths]
    distinct = list(dict.fromkeys(paths))
    world.lock(files=files, layers=[layer(9000, *distinct)])
    assert is_at(only(world), "RT506", LOCK, "spec", "files", wrong, "path")


def test_a_lock_for_another_directory(world: World) -> None:
    world.locked()
    world.template(target="/opt/{{ model }}")
    finding = only(world)
    assert is_at(finding, "RT509", LOCK, "spec", "target")
    assert "/opt/minilm" in finding.message
    assert finding.related[0].pointer == ("spec", "target")


def test_a_released_lock_keeps_its_directory(world: World) -> None:
    world.locked(stage="released")
    world.template(target="/opt/{{ model }}")
    assert found(world) == []


# --- deployments ---------------------------------------------------------------------------------


def test_a_deployed_release_needs_a_lock(world: World) -> None:
    world.release()
    world.deployment()
    finding = only(world)
    assert is_at(finding, "RT502", SEARCH, "spec", "version")
    assert finding.help == "run `registry-tool lock minilm/1.0.0/none` and commit the lock"
    assert found(world, held=frozenset({"release/minilm/1.0.0/none"})) == []


def test_a_stage_that_the_environment_does_not_accept(world: World) -> None:
    deployed(world)
    world.environment(accepts=["released"])
    finding = only(world)
    assert is_at(finding, "RT302", SEARCH, "spec", "version")
    assert "registry-tool stage minilm/1.0.0/none released" in (finding.help or "")
    assert [place.path for place in finding.related] == [STAGING, RELEASE]


def test_deprecating_what_runs_is_a_warning(world: World) -> None:
    base = deployed(world, stage="released")
    world.locked(stage="deprecated")
    finding = only(world, base)
    assert is_at(finding, "RT302", SEARCH, "spec", "version")
    assert finding.severity is Severity.WARNING
    assert only(world).severity is Severity.ERROR, "deploying it newly is not allowed"


def test_a_tracked_stage_is_told_at_the_track(world: World) -> None:
    world.locked()
    world.deployment(track={"stage": "candidate"})
    world.environment(accepts=["released"])
    assert is_at(only(world), "RT302", SEARCH, "spec", "track", "stage")


def test_naming_a_yanked_release_anew_is_an_error(world: World) -> None:
    world.locked(yanked={"reason": "broken"})
    base = world.desired
    world.deployment()
    finding = only(world, base)
    assert is_at(finding, "RT303", SEARCH, "spec", "version")
    assert "broken" in finding.message


def test_naming_a_release_that_gets_yanked_is_a_warning(world: World) -> None:
    base = deployed(world)
    world.locked(yanked={"reason": "broken"})
    finding = only(world, base)
    assert is_at(finding, "RT304", SEARCH, "spec", "version")
    assert finding.severity is Severity.WARNING
    assert finding.help == "run `registry-tool rollback staging/search`"


@pytest.mark.parametrize(
    ("target", "modes"),
    [
        ("compose", {"baked"}),
        ("docker", {"baked", "mounted"}),
        ("swarm", {"baked"}),
        ("kubernetes", {"baked", "image"}),
    ],
)
def test_weights_modes_by_target(world: World, target: str, modes: set[str]) -> None:
    world.environment(target={"type": target})
    for mode in ("baked", "mounted", "image"):
        deployed(world)
        world.deployment(weights=mode)
        if mode in modes:
            assert found(world) == []
        else:
            assert is_at(only(world), "RT310", SEARCH, "spec", "weights")


def test_host_ports_clash_at_the_newcomer(world: World) -> None:
    world.locked()
    world.deployment("zebra", ports=[{"container": 80, "host": 8080}])
    base = world.desired
    world.deployment("aardvark", ports=[{"container": 1}, {"container": 80, "host": 8080}])
    finding = only(world, base)
    path = "manifests/deployments/staging/aardvark.yaml"
    assert is_at(finding, "RT308", path, "spec", "ports", 1, "host")
    assert finding.related[0].path == "manifests/deployments/staging/zebra.yaml"
    assert only(world).path == "manifests/deployments/staging/zebra.yaml"


def test_equal_host_ports_elsewhere_do_not_clash(world: World) -> None:
    world.locked()
    world.environment("production")
    ports = [{"container": 80, "host": 8080}]
    world.deployment("one", ports=ports)
    world.deployment("one", "production", ports=ports)
    world.deployment("two", ports=[{"container": 80, "host": 8080, "protocol": "udp"}])
    world.deployment("three", ports=[{"container": 80}])
    world.deployment("four", ports=[{"container": 80}])
    assert found(world) == []


@pytest.mark.parametrize("target", ["compose", "docker", "swarm", "kubernetes"])
def test_replicas_share_host_ports_on_some_targets(world: World, target: str) -> None:
    world.locked()
    world.environment(target={"type": target})
    world.deployment(replicas=2, ports=[{"container": 80, "host": 8080}])
    if target in {"swarm", "kubernetes"}:
        assert found(world) == []
    else:
        assert is_at(only(world), "RT309", SEARCH, "spec", "ports", 0, "host")


def test_host_paths_need_permission(world: World) -> None:
    world.locked()
    volumes = [{"source": "cache", "target": "/a"}, {"source": "/srv", "target": "/b"}]
    world.deployment(volumes=volumes)
    assert is_at(only(world), "RT311", SEARCH, "spec", "volumes", 1, "source")
    world.environment(allow_host_paths=True)
    assert found(world) == []


@pytest.mark.parametrize("target", ["compose", "docker", "swarm", "kubernetes"])
def test_http_health_checks_need_somebody_who_asks(world: World, target: str) -> None:
    world.locked()
    world.environment(target={"type": target})
    world.deployment(ports=[{"container": 80}], healthcheck={"http": "/health"})
    if target in {"docker", "kubernetes"}:
        assert found(world) == []
    else:
        assert is_at(only(world), "RT312", SEARCH, "spec", "healthcheck", "http")
    world.template(probe=["wget", "http://localhost:{{ port }}{{ path }}"])
    assert found(world) == []


def test_http_health_checks_need_a_port(world: World) -> None:
    world.locked()
    world.template(probe=["wget", "http://localhost:{{ port }}{{ path }}"])
    world.deployment(healthcheck={"http": "/health"})
    assert is_at(only(world), "RT312", SEARCH, "spec", "healthcheck", "http")
    world.deployment(healthcheck={"http": "/health", "port": 80})
    assert found(world) == []


# --- environments --------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", ["0 18 * * 8", "0 0 30 2 *", "0 0 0 1 1 *", "x * * * * "])
def test_a_freeze_that_never_comes(world: World, schedule: str) -> None:
    world.environment(freeze=[{"schedule": schedule, "duration": "1h"}])
    assert is_at(only(world), "RT313", STAGING, "spec", "freeze", 0, "schedule")


def test_a_soak_without_source(world: World) -> None:
    world.environment(soak="1d")
    assert is_at(only(world), "RT313", STAGING, "spec", "soak")


# --- policy --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/database", "/", "s3://data/x", "/data2/minilm", "file:///dat/x"]
)
def test_storage_paths_lie_under_allowed_prefixes(world: World, path: str) -> None:
    world.model(storage_path=path)
    world.locked(storage_path=path)
    findings = found(world)
    assert [finding.code for finding in findings] == ["RT501", "RT501"]
    assert {finding.path for finding in findings} == {RELEASE, "manifests/models/minilm.yaml"}
    assert {finding.pointer for finding in findings} == {("spec", "storage_path")}


def test_allowed_storage_paths(world: World) -> None:
    world.registry_spec["storage"] = {"allowed": ["/data/", "s3://bucket/models"]}
    for path in ("/data", "/data//a/", "file:///data/a", "s3://bucket/models/a"):
        world.model(storage_path=path)
        assert found(world) == []


def test_licenses_are_those_of_the_policy(world: World) -> None:
    world.registry_spec["policy"] = {"licenses": ["MIT", "Apache-2.0"]}
    path = "manifests/models/minilm.yaml"
    assert is_at(only(world), "RT305", path, "spec", "license")
    world.model(license="GPL-3.0")
    finding = only(world)
    assert finding.message == 'the license "GPL-3.0" is not allowed'
    assert finding.help == "allowed are MIT, Apache-2.0"
    world.model(license="MIT")
    assert found(world) == []


def test_required_labels(world: World) -> None:
    deployed(world)
    world.registry_spec["policy"] = {"required_labels": ["team"]}
    findings = found(world)
    assert {finding.path for finding in findings} == {
        RELEASE,
        SEARCH,
        "manifests/models/minilm.yaml",
    }
    assert {(finding.code, finding.pointer) for finding in findings} == {
        ("RT306", ("metadata", "labels"))
    }
    world.model(labels={"team": "search"})
    world.release(labels={"team": "search"})
    world.deployment(labels={"team": "search"})
    assert found(world) == []


def test_base_images_are_those_of_the_policy(world: World) -> None:
    world.locked()
    world.registry_spec["policy"] = {"base_images": ["registry.example/base"]}
    digest = "sha256:" + "a" * 64
    assert found(world) == [], "scratch is nobody's"
    world.template(image={"base": f"registry.example/basement/python@{digest}"})
    assert is_at(only(world), "RT307", TEMPLATE, "spec", "image", "base")
    world.template(image={"base": f"registry.example/base/python@{digest}"})
    assert found(world) == []
    bases = [{"name": "py", "reference": "docker.io/library/python", "digest": digest}]
    world.template(dockerfile={"bases": bases}, files={"Dockerfile.j2": "FROM {{ bases.py }}\n"})
    finding = only(world)
    assert is_at(finding, "RT307", TEMPLATE, "spec", "dockerfile", "bases", 0, "reference")


# --- templates -----------------------------------------------------------------------------------


def test_a_broken_template_is_told_once(world: World) -> None:
    world.locked("1.0.0")
    world.locked("1.1.0")
    world.template(image={"base": "scratch", "env": {"A": "{{ modle }}"}})
    finding = only(world)
    assert is_at(finding, "RT401", TEMPLATE, "spec", "image", "env", "A")
    assert finding.subject == "template/static"
    assert finding.help == 'did you mean "model"?'


def test_a_template_that_fails_for_one_release_holds_that_release(world: World) -> None:
    world.model("other", company="ACME")
    world.locked()
    world.locked(model="other")
    world.template(image={"base": "scratch", "env": {"A": "{{ company }}"}})
    finding = only(world)
    assert is_at(finding, "RT401", TEMPLATE, "spec", "image", "env", "A")
    assert finding.subject == "release/minilm/1.0.0/none"
    assert finding.related[0].path == RELEASE


def test_wrong_parameters_are_told_in_the_release(world: World) -> None:
    properties = {"port": {"type": "integer"}, "name": {"type": "string"}}
    world.template(params={"properties": properties})
    world.release(template={"name": "static", "params": {"port": "x", "nam": "y"}})
    first, second = found(world)
    assert is_at(first, "RT402", RELEASE, "spec", "template", "params", "nam")
    assert first.on_key
    assert is_at(second, "RT402", RELEASE, "spec", "template", "params", "port")


def test_a_platform_that_the_template_cannot_build(world: World) -> None:
    world.template(platforms=["linux/amd64"])
    world.locked(platforms=["linux/amd64", "linux/arm64"])
    assert is_at(only(world), "RT408", RELEASE, "spec", "platforms", 1)


def test_a_template_may_leave_its_releases_behind(world: World) -> None:
    base = deployed(world, stage="released")
    world.template(params={"required": ["port"], "properties": {"port": {"type": "integer"}}})
    finding = only(world, base)
    assert (finding.code, finding.severity) == ("RT402", Severity.WARNING)
    assert only(world).severity is Severity.ERROR, "without a base it might be new"


# --- immutability --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "pointer", "before"),
    [
        ({"template": {"name": "other"}}, ("template", "name"), '"static"'),
        (
            {"template": {"name": "static", "params": {"a": 1}}},
            ("template", "params", "a"),
            "was not set",
        ),
        ({"storage_path": "/data/x"}, ("storage_path",), "was not set"),
        ({"artifacts": {"include": ["*"]}}, ("artifacts", "include"), "['**']"),
        ({"artifacts": {"exclude": ["*.md"]}}, ("artifacts", "exclude"), "[]"),
        ({"platforms": ["linux/arm64"]}, ("platforms",), "['linux/amd64']"),
    ],
)
def test_a_released_release_does_not_change(
    world: World, change: Any, pointer: tuple[str, ...], before: str
) -> None:
    world.template("other")
    world.template(params={"additionalProperties": True})
    world.locked(stage="released")
    base = world.desired
    for stage in ("released", "candidate", "deprecated"):
        world.release(stage=stage, **change)
        finding = only(world, base)
        assert is_at(finding, "RT301", RELEASE, "spec", *pointer)
        assert before in finding.message


def test_what_may_change_after_the_release(world: World) -> None:
    base = deployed(world, stage="released")
    for change in (
        {"stage": "candidate"},
        {"release_notes": "more"},
        {"metadata": {"a": 1}},
        {"auto_build": False},
    ):
        world.release(**{"stage": "released", **change})
        assert found(world, base) == []


def test_candidates_change_freely(world: World) -> None:
    world.locked()
    base = world.desired
    world.locked(weights="other", stage="released", artifacts={"include": ["*"]})
    assert found(world, base) == []


def test_changed_weights_of_a_release_are_told_at_their_line(world: World) -> None:
    world.locked(stage="released")
    base = world.desired
    world.lock(weights="other")
    finding = only(world, base)
    assert is_at(finding, "RT301", LOCK, "spec", "files", 1, "sha256")
    assert sha256("weights") in finding.message
    assert finding.subject == "release/minilm/1.0.0/none"


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"target": "/opt/minilm"}, ("spec", "target")),
        (
            {"layers": [layer(9000, "config.json", "model.bin")]},
            ("spec", "layers", 0, "digest"),
        ),
    ],
)
def test_the_rest_of_a_released_lock_does_not_change_either(
    world: World, changes: Any, pointer: tuple[str | int, ...]
) -> None:
    world.locked(stage="released")
    base = world.desired
    world.lock(**changes)
    assert is_at(only(world, base), "RT301", LOCK, *pointer)


def test_files_added_to_and_removed_from_a_released_lock(world: World) -> None:
    world.locked(stage="released")
    base = world.desired
    files = [{"path": "new.bin", "role": "weights", "size": 1, "sha256": sha256("n")}]
    world.lock(files=files, layers=[layer(9000, "new.bin")])
    findings = found(world, base)
    assert [finding.pointer for finding in findings] == [
        ("spec", "files"),
        ("spec", "files"),
        ("spec", "files", 0, "path"),
    ]


def test_where_the_bytes_were_read_from_may_change(world: World) -> None:
    world.locked(stage="released")
    base = world.desired
    release = ReleaseId("minilm", "1.0.0")
    lock = world.locks[release].manifest.spec
    files = [
        {**file.model_dump(mode="json"), "etag": "new", "version_id": "2"} for file in lock.files
    ]
    world.lock(files=files)
    assert world.locks[release].oid != base.locks[release].oid
    assert found(world, base) == []


def test_the_lock_of_a_release_cannot_be_deleted(world: World) -> None:
    world.locked(stage="released")
    base = world.desired
    world.locks.clear()
    assert is_at(only(world, base), "RT301", RELEASE, "spec", "stage")
    assert found(world, base, held={"release/minilm/1.0.0/none"}) == []


def test_a_release_is_deprecated_or_yanked_before_it_is_deleted(world: World) -> None:
    release = world.locked(stage="released")
    base = world.desired
    del world.releases[release], world.locks[release]
    finding = only(world, base)
    assert is_at(finding, "RT301", RELEASE)
    assert "registry-tool stage minilm/1.0.0/none deprecated" in (finding.help or "")
    for kept in ({"stage": "deprecated"}, {"stage": "released", "yanked": {"reason": "bad"}}):
        world.locked(**kept)
        base = world.desired
        del world.releases[release], world.locks[release]
        assert found(world, base) == []
    assert found(world, base, held={release.subject}) == []


# --- order ---------------------------------------------------------------------------------------


def test_findings_have_a_stable_order(world: World) -> None:
    world.release("1.0.0", model="a")
    world.release("1.1.0", model="b", template={"name": "c"})
    world.deployment(environment="nowhere")
    world.environment(promote_from="elsewhere", soak="1d")
    expected = found(world)
    assert len(expected) == 6
    for folder in (world.releases, world.environments, world.deployments):
        entries = list(folder.items())[::-1]
        folder.clear()
        folder.update(entries)
    assert found(world) == expected
    assert [finding.path for finding in expected] == sorted(finding.path for finding in expected)


FOLDERS = ("models", "releases", "locks", "environments", "deployments", "templates")


def large() -> World:
    """A world in which most things refer to something."""
    world = World()
    for name in ("minilm", "other"):
        world.model(name)
        world.template(name)
        for version in ("1.0.0", "1.1.0"):
            world.locked(version, model=name, template={"name": name}, stage="released")
    for name, source in (("staging", None), ("production", "staging")):
        world.environment(name, promote_from=source)
        world.deployment("search", name)
        world.deployment("other", name, model="other", track={"version": "^1.0"})
    return world


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_is_missing_holds_what_needs_it(data: st.DataObject) -> None:
    world = large()
    base = world.desired
    for folder in FOLDERS:
        entries = getattr(world, folder)
        for key in data.draw(st.lists(st.sampled_from(sorted(entries)), unique=True, max_size=2)):
            del entries[key]
    findings = found(world, base)
    errors = {
        finding.subject
        for finding in findings
        if finding.severity is Severity.ERROR and finding.subject is not None
    }
    held = dependants(world.desired, errors)
    made = plan(world.desired, world.recorded, head=HEAD, held=frozenset(errors))
    assert not held & {action.subject for action in made.actions}
    invalid = {entry.subject for entry in made.skipped if entry.reason.startswith("invalid")}
    assert invalid <= held, "what cannot be planned is told by a check"
