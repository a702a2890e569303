"""What is planned, what is not, and the reasons."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_world import HEAD, World, sha256

from registry_tool.builders.native_layers import files_layer
from registry_tool.domain.desired import Located
from registry_tool.domain.plan import Plan
from registry_tool.domain.recorded import Recorded
from registry_tool.planning.keys import Keys, build_key
from registry_tool.planning.planner import plan
from registry_tool.planning.simulating import recorded_after

MINILM = "release/minilm/1.0.0/none"
SEARCH = "deployment/staging/search"


def planned(world: World, **options: Any) -> Plan:
    return plan(world.desired, world.recorded, head=HEAD, **options)


def actions(made: Plan) -> dict[str, tuple[str, str, str]]:
    return {action.subject: (action.kind, action.change, action.reason) for action in made.actions}


def reasons(made: Plan) -> dict[str, str]:
    return {entry.subject: entry.reason for entry in made.skipped}


# --- builds --------------------------------------------------------------------------------------


def test_a_locked_release_is_built(world: World) -> None:
    world.locked()
    made = planned(world)
    assert actions(made) == {MINILM: ("build", "create", "no build of this release yet")}
    assert made.summary.build == 1
    assert made.base is None
    assert made.actions[0].changed == ()


def test_a_built_release_is_up_to_date(world: World) -> None:
    world.locked()
    world.built()
    made = planned(world)
    assert (made.actions, made.skipped) == ((), ())


def test_a_release_without_lock_is_skipped(world: World) -> None:
    world.release()
    assert reasons(planned(world)) == {MINILM: "not locked"}


def test_other_weights_are_named(world: World) -> None:
    world.locked()
    world.built()
    world.lock(weights="other")
    made = planned(world)
    assert actions(made) == {MINILM: ("build", "update", "weights changed")}
    assert made.actions[0].changed == ("weights",)


def test_packing_alone_is_named_layers(world: World) -> None:
    world.locked()
    world.built()
    whole = [{"digest": "sha256:" + "9" * 64, "size": 8704, "files": ["config.json", "model.bin"]}]
    world.lock(layers=whole)
    assert planned(world).actions[0].changed == ("layers",)


def test_a_template_change_rebuilds_its_candidates_and_freezes_its_releases(world: World) -> None:
    world.template("other")
    world.locked("1.0.0")
    world.locked("1.1.0", stage="released")
    world.locked("1.2.0", template={"name": "other"})
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        world.built(version)
    world.template(files={"files/etc/motd": "hello again"})
    made = planned(world)
    assert actions(made) == {MINILM: ("build", "update", "template changed")}
    assert reasons(made) == {
        "release/minilm/1.1.0/none": "frozen: template changed after the release; "
        "ship a new version"
    }


def test_a_license_freezes_releases_and_rebuilds_candidates(world: World) -> None:
    world.locked("1.0.0")
    world.locked("1.1.0", stage="released")
    world.built("1.0.0")
    world.built("1.1.0")
    world.model(license="MIT")
    made = planned(world)
    assert made.actions[0].changed == ("labels",)
    assert "labels changed after the release" in reasons(made)["release/minilm/1.1.0/none"]


def test_a_released_release_that_was_never_built_is_built(world: World) -> None:
    world.locked(stage="released")
    assert MINILM in actions(planned(world))


def test_other_content_than_the_release_declares_is_never_frozen(world: World) -> None:
    world.locked(stage="released")
    world.built()
    world.lock(weights="other")
    assert actions(planned(world))[MINILM][2] == "weights changed"


def test_promotion_notes_tags_and_labels_rebuild_nothing(world: World) -> None:
    world.locked()
    world.built()
    world.release(stage="released", release_notes="# New", metadata={"a": 1}, labels={"team": "x"})
    world.model(description="text", tags=["a"], metadata={"b": 2}, labels={"team": "y"})
    assert planned(world).actions == ()


def test_a_moved_manifest_plans_nothing(world: World) -> None:
    world.locked()
    world.built()
    deployment = world.deployment()
    world.ran(deployment)
    before = planned(world)
    for folder in (world.models, world.releases, world.locks, world.deployments):
        for key, entry in folder.items():
            folder[key] = Located(
                entry.manifest, f"manifests/elsewhere/{entry.oid}.yaml", entry.oid
            )
    assert planned(world) == before
    assert before.actions == ()


def test_a_file_that_no_recipe_takes_plans_nothing(world: World) -> None:
    world.locked()
    world.built()
    world.template(files={"files/etc/motd": "hello", "README.md": "read me"})
    assert planned(world).actions == ()


def test_an_older_build_is_adopted(world: World) -> None:
    world.locked()
    key = world.built()
    world.lock(weights="other")
    world.built()
    world.lock()
    made = planned(world)
    assert actions(made)[MINILM][2] == f"weights changed back; adopts build-{key[:12]}"
    assert made.actions[0].bytes.upload == 2048, "only the files of the template are new"


def test_builds_count_for_their_store_only(world: World) -> None:
    world.locked()
    world.built()
    world.registry_spec["images"] = {"repository": "registry.example/team"}
    assert actions(planned(world))[MINILM][2] == "no build in registry.example/team yet"


def test_a_pruned_build_is_made_again(world: World) -> None:
    world.locked()
    world.built()
    world.built(result="pruned")
    assert actions(planned(world))[MINILM] == ("build", "create", "its image was pruned")


def test_pruning_an_old_build_keeps_the_new_one(world: World) -> None:
    world.locked()
    old = world.built()
    world.lock(weights="other")
    world.built()
    world.built(result="pruned", key=old)
    assert planned(world).actions == ()


def test_a_failed_key_is_not_tried_again(world: World) -> None:
    world.locked()
    world.built(result="failed", error="step 1\nmodel.bin differs from the lock\nhelp: lock again")
    assert reasons(planned(world)) == {
        MINILM: "failed: model.bin differs from the lock; registry-tool retry " + MINILM
    }
    world.lock(weights="other")
    assert MINILM in actions(planned(world))


def test_a_request_retries_a_failed_key_once(world: World) -> None:
    world.locked()
    key = world.built(result="failed", error="no space")
    world.requested(MINILM, key, after=1)
    assert actions(planned(world))[MINILM][2] == "requested by Ada"
    world.built(result="failed", error="no space")
    assert reasons(planned(world))[MINILM].startswith("failed: no space")


def test_a_request_for_another_key_has_no_effect(world: World) -> None:
    world.locked()
    world.built(result="failed", error="no space")
    world.requested(MINILM, "a" * 64, after=1)
    assert planned(world).actions == ()


def test_without_auto_build_a_request_is_needed(world: World) -> None:
    world.locked(auto_build=False)
    made = planned(world)
    assert reasons(made) == {MINILM: "auto_build is off"}
    key = world.built(result="failed")
    world.recorded = Recorded()
    world.requested(MINILM, key, after=0, action="build")
    assert actions(planned(world))[MINILM][2] == "requested by Ada"


def test_a_request_cannot_thaw_a_frozen_release(world: World) -> None:
    world.locked(stage="released")
    world.built()
    world.template(files={"files/etc/motd": "hello again"})
    release = next(iter(world.releases))
    world.requested(MINILM, build_key(world.desired, release).value, after=1, action="build")
    assert reasons(planned(world))[MINILM].startswith("frozen:")


def test_yanked_and_deprecated_releases_are_not_built_for_nobody(world: World) -> None:
    world.locked("1.0.0", yanked={"reason": "broken"})
    world.locked("1.1.0", stage="deprecated")
    made = planned(world)
    assert made.actions == ()
    assert reasons(made) == {MINILM: "yanked: broken"}


def test_a_yanked_release_that_runs_is_built(world: World) -> None:
    world.locked(yanked={"reason": "broken"})
    world.deployment()
    assert MINILM in actions(planned(world))


def test_a_template_that_does_not_render_is_no_reason_to_lose_an_image(world: World) -> None:
    world.locked(stage="released")
    deployment = world.deployment()
    world.built()
    world.template(image={"base": "scratch", "env": {"A": "{{ company }}"}})
    made = planned(world)
    assert "frozen: the template no longer renders" in reasons(made)[MINILM]
    assert made.actions == ()
    assert reasons(made)[deployment.subject].startswith("invalid:")


def test_a_candidate_whose_template_does_not_render_is_invalid(world: World) -> None:
    world.locked()
    world.template(image={"base": "scratch", "env": {"A": "{{ company }}"}})
    assert reasons(planned(world)) == {MINILM: 'invalid: "company" has no value here'}


def test_the_docker_builder_can_be_forced(world: World) -> None:
    world.locked()
    world.built()
    world.registry_spec["builds"] = {"builder": "docker"}
    assert planned(world).actions[0].changed == ("builder",)


# --- bytes ---------------------------------------------------------------------------------------


def test_shared_weights_are_not_uploaded_twice(world: World) -> None:
    world.locked("1.0.0")
    world.built("1.0.0")
    world.locked("1.0.1")
    made = planned(world).actions[0].bytes
    assert (made.upload, made.reuse) == (2048, 2048 + 6656), "the template's files are not recorded"


def test_later_builds_of_a_plan_reuse_what_earlier_ones_write(world: World) -> None:
    world.locked("1.0.0")
    world.locked("1.0.1")
    first, second = (action.bytes for action in planned(world).actions)
    assert (first.upload, first.reuse) == (2048 + 6656 + 2048, 0)
    assert (second.upload, second.reuse) == (0, 2048 + 6656 + 2048)


def test_the_plan_knows_the_layer_of_the_templates_files(world: World) -> None:
    release = world.locked()
    layer = files_layer(Keys(world.desired).rendered(release).files)
    assert layer is not None
    world.built(
        layers=[
            {"digest": layer.digest, "size": layer.size, "source": "template", "uploaded": True}
        ]
    )
    world.lock(weights="other")
    assert planned(world).actions[0].bytes.reuse == layer.size


def test_what_a_dockerfile_consumes_is_not_put_into_the_image(world: World) -> None:
    world.template(dockerfile={}, files={"Dockerfile.j2": "FROM scratch\nCOPY wheels/ /\n"})
    release = world.locked()
    spec = world.locks[release].manifest.spec.model_dump(mode="json")
    wheel = {"path": "a.whl", "role": "wheel", "size": 9, "sha256": sha256("wheel")}
    layer = {"digest": f"sha256:{sha256('wheels')}", "size": 3072, "files": ["a.whl"]}
    world.lock(release, files=[wheel, *spec["files"]], layers=[*spec["layers"], layer])
    assert planned(world).actions[0].bytes.upload == 2048 + 6656


def test_layers_of_pruned_builds_are_gone(world: World) -> None:
    world.locked("1.0.0")
    world.built("1.0.0")
    world.built("1.0.0", result="pruned")
    world.locked("1.0.1")
    assert planned(world).actions[0].bytes.reuse == 0


# --- deployments ---------------------------------------------------------------------------------


def test_a_deployment_follows_its_build_in_one_plan(world: World) -> None:
    world.locked()
    world.deployment()
    made = planned(world)
    assert [action.kind for action in made.actions] == ["build", "deploy"]
    assert actions(made)[SEARCH] == ("deploy", "create", "not deployed yet")


def test_what_runs_is_up_to_date(world: World) -> None:
    world.locked()
    world.built()
    world.ran(world.deployment())
    made = planned(world)
    assert (made.actions, made.skipped) == ((), ())


def test_a_new_release_replaces_the_old_one(world: World) -> None:
    world.locked("1.0.0")
    world.locked("1.0.1")
    world.built("1.0.0")
    world.built("1.0.1")
    world.ran(world.deployment())
    world.deployment(version="1.0.1", replicas=2)
    made = planned(world)
    assert actions(made)[SEARCH] == (
        "deploy",
        "update",
        "release minilm/1.0.0/none is replaced by minilm/1.0.1/none; spec changed",
    )
    assert made.actions[0].changed == ("build", "spec")


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"replicas": 2}, "spec"),
        ({"env": {"A": "b"}}, "spec"),
        ({"healthcheck": {"command": ["true"], "interval": "1m"}}, "spec"),
        ({"strategy": {"type": "recreate"}}, "spec"),
    ],
)
def test_a_changed_deployment_names_the_part(world: World, change: Any, part: str) -> None:
    world.locked()
    world.built()
    world.ran(world.deployment())
    world.deployment(**change)
    made = planned(world)
    assert made.actions[0].changed == (part,)
    assert made.actions[0].reason == f"{part} changed"


def test_another_target_or_host_deploys_again(world: World) -> None:
    world.locked()
    world.built()
    world.ran(world.deployment())
    world.environment(target={"network": "backend"})
    world.registry_spec["images"] = {"served_at": "registry.example:8000"}
    assert planned(world).actions[0].changed == ("image_host", "target")


def test_a_suspended_deployment_is_left_alone(world: World) -> None:
    world.locked()
    world.built()
    world.ran(world.deployment())
    world.deployment(suspend=True)
    assert planned(world).skipped == (), "it is what was asked for"
    world.deployment(suspend=True, replicas=3)
    made = planned(world)
    assert (made.actions, reasons(made)) == ((), {SEARCH: "suspended"})


@pytest.mark.parametrize(("result", "word"), [("failed", "failed"), ("rolled_back", "rolled back")])
def test_a_failed_deployment_waits_for_a_change_or_a_request(
    world: World, result: str, word: str
) -> None:
    world.locked()
    world.built()
    deployment = world.deployment()
    key = world.ran(deployment, result, error="unhealthy")
    assert reasons(planned(world)) == {SEARCH: f"{word}: unhealthy; registry-tool retry {SEARCH}"}
    world.requested(SEARCH, key, after=1)
    assert actions(planned(world))[SEARCH] == ("deploy", "create", "requested by Ada")


def test_after_a_roll_back_the_old_declaration_runs(world: World) -> None:
    world.locked()
    world.built()
    deployment = world.deployment()
    world.ran(deployment)
    world.deployment(replicas=2)
    world.ran(deployment, "rolled_back", error="unhealthy")
    world.deployment()
    assert planned(world).actions == ()


def test_after_a_failure_the_old_declaration_is_deployed_again(world: World) -> None:
    world.locked()
    world.built()
    deployment = world.deployment()
    world.ran(deployment)
    world.deployment(replicas=2)
    world.ran(deployment, "failed", error="unhealthy")
    world.deployment()
    assert actions(planned(world))[SEARCH] == ("deploy", "update", "the last deployment failed")


def test_a_frozen_release_is_deployed_as_it_was_built(world: World) -> None:
    world.locked(stage="released")
    world.built()
    world.ran(world.deployment())
    world.template(files={"files/etc/motd": "hello again"})
    assert planned(world).actions == ()


def test_a_deployment_waits_for_an_image_that_cannot_be_had(world: World) -> None:
    world.locked()
    world.deployment()
    world.built(result="failed", error="no space")
    assert reasons(planned(world))[SEARCH].startswith(f"{MINILM} cannot be had: failed: no space")


def test_tracking_takes_the_best_release(world: World) -> None:
    world.locked("1.0.0", stage="released")
    world.locked("1.2.0", stage="released")
    world.locked("1.3.0", stage="released", yanked={"reason": "broken"})
    world.locked("1.4.0")
    world.locked("2.0.0", stage="released")
    for version in ("1.0.0", "1.2.0", "1.3.0", "1.4.0", "2.0.0"):
        world.built(version)
    deployment = world.deployment(track={"version": "^1.0"})
    world.ran(deployment, version="1.0.0")
    made = planned(world)
    assert actions(made)[SEARCH][2] == (
        "release minilm/1.0.0/none is replaced by minilm/1.2.0/none"
    )
    world.ran(deployment, version="1.2.0")
    assert planned(world).actions == ()


def test_a_deleted_deployment_is_removed(world: World) -> None:
    world.locked()
    world.built()
    deployment = world.deployment()
    key = world.ran(deployment)
    world.ran(world.deployment("other"))
    del world.deployments[deployment]
    made = planned(world)
    assert actions(made) == {SEARCH: ("undeploy", "delete", "no longer declared")}
    assert made.actions[0].key == key
    world.ran(world.deployment(), "removed")
    del world.deployments[deployment]
    assert planned(world).actions == ()


def test_the_last_deployment_stays_unless_the_environment_may_be_empty(world: World) -> None:
    world.locked()
    world.built()
    deployment = world.deployment()
    world.ran(deployment)
    world.deployments.clear()
    assert reasons(planned(world)) == {SEARCH: "would empty the environment; set allow_empty"}
    world.environment(allow_empty=True)
    assert SEARCH in actions(planned(world))


def test_a_deleted_environment_removes_nothing(world: World) -> None:
    world.locked()
    world.built()
    world.ran(world.deployment())
    world.deployments.clear()
    world.environments.clear()
    assert reasons(planned(world))[SEARCH].startswith("environment/staging was deleted")


# --- holding -------------------------------------------------------------------------------------


def test_held_subjects_and_their_dependants_stay_as_they_are(world: World) -> None:
    world.locked()
    world.built()
    deployment = world.deployment()
    world.ran(deployment)
    world.deployment(replicas=2)
    world.model("other")
    world.locked("1.0.0", model="other")
    made = planned(world, held=frozenset({"model/minilm"}))
    assert set(actions(made)) == {"release/other/1.0.0/none"}
    assert set(reasons(made)) == {MINILM, SEARCH}
    assert all(reason.startswith("invalid:") for reason in reasons(made).values())


@pytest.mark.parametrize("held", [SEARCH, "environment/staging"])
def test_a_deployment_that_cannot_be_read_is_not_removed(world: World, held: str) -> None:
    world.locked()
    world.built()
    world.ran(world.deployment())
    world.deployments.clear()
    world.environment(allow_empty=True)
    made = planned(world, held=frozenset({held}))
    assert made.actions == ()
    assert reasons(made)[SEARCH].startswith("invalid:")


@pytest.mark.parametrize("folder", ["models", "templates", "releases", "environments", "locks"])
def test_a_reference_that_leads_nowhere_stops_only_what_has_it(world: World, folder: str) -> None:
    world.locked("1.0.0")
    world.deployment()
    world.environment("other")
    world.model("other")
    world.template("other")
    getattr(world, folder).clear()
    world.model("fine")
    world.template("fine")
    world.locked("1.0.0", model="fine", template={"name": "fine"})
    world.environment("fine")
    world.deployment("fine", "fine", model="fine")
    made = planned(world)
    assert {"release/fine/1.0.0/none", "deployment/fine/fine"} <= actions(made).keys()
    assert SEARCH in reasons(made)


def test_a_tracker_does_not_fall_back_from_a_release_that_cannot_be_read(world: World) -> None:
    world.locked("1.0.0", stage="released")
    world.locked("1.1.0", stage="released")
    world.built("1.0.0")
    world.built("1.1.0")
    world.ran(world.deployment(track={}), version="1.1.0")
    unreadable = next(release for release in world.releases if release.version == "1.1.0")
    del world.releases[unreadable]
    assert planned(world, held=frozenset({unreadable.subject})).actions == ()


# --- properties ----------------------------------------------------------------------------------


def populated(world: World) -> None:
    world.template("other", files={"files/a": "a"})
    world.environment("production", promote_from="staging")
    world.locked("1.0.0", stage="released")
    world.locked("1.1.0", template={"name": "other"}, weights="new")
    world.locked("1.2.0", weights="newer", stage="deprecated")
    world.release("1.3.0")
    world.deployment("search")
    world.deployment("search", "production", version="1.1.0")
    world.deployment("tracker", track={"version": "*"})


def test_equal_states_give_equal_bytes_in_any_order(world: World) -> None:
    populated(world)
    expected = planned(world).to_json()
    shuffle = random.Random(7)
    for _ in range(5):
        for folder in (world.releases, world.locks, world.deployments, world.templates):
            entries = list(folder.items())
            shuffle.shuffle(entries)
            folder.clear()
            folder.update(entries)
        assert planned(world).to_json() == expected


def test_the_shape_of_a_plan_does_not_move(world: World) -> None:
    world.locked("1.0.0")
    world.built("1.0.0")
    world.lock("1.0.0", weights="other")
    world.release("1.1.0")
    gone = world.deployment("gone")
    removed = world.ran(gone)
    del world.deployments[gone]
    world.deployment("search")
    made = json.loads(planned(world).to_json())
    build, deploy = made["actions"][0]["key"], made["actions"][1]["key"]
    assert made == {
        "format_version": 1,
        "head": HEAD,
        "base": None,
        "actions": [
            {
                "kind": "build",
                "subject": MINILM,
                "change": "update",
                "reason": "weights changed",
                "changed": ["weights"],
                "key": build,
                "bytes": {"upload": 6656 + 2048, "reuse": 2048},
            },
            {
                "kind": "deploy",
                "subject": SEARCH,
                "change": "create",
                "reason": "not deployed yet",
                "changed": [],
                "key": deploy,
                "bytes": {"upload": 0, "reuse": 0},
            },
            {
                "kind": "undeploy",
                "subject": "deployment/staging/gone",
                "change": "delete",
                "reason": "no longer declared",
                "changed": [],
                "key": removed,
                "bytes": {"upload": 0, "reuse": 0},
            },
        ],
        "skipped": [{"subject": "release/minilm/1.1.0/none", "reason": "not locked"}],
        "summary": {"build": 1, "deploy": 1, "undeploy": 1},
    }


def test_a_carried_out_plan_leaves_nothing_to_do(world: World) -> None:
    populated(world)
    first = planned(world)
    assert first.summary.build == 2
    after = recorded_after(world.desired, world.recorded, first)
    second = plan(world.desired, after, head=HEAD)
    assert second.actions == ()
    world.deployments.clear()
    world.environment(allow_empty=True)
    third = plan(world.desired, after, head=HEAD)
    assert third.summary.undeploy == 2
    final = plan(world.desired, recorded_after(world.desired, after, third), head=HEAD)
    assert final.actions == ()


@st.composite
def changes(draw: st.DrawFn) -> list[tuple[str, Any]]:
    version = st.sampled_from(["1.0.0", "1.1.0", "2.0.0"])
    one = st.one_of(
        st.tuples(st.just("weights"), st.tuples(version, st.sampled_from(["a", "b"]))),
        st.tuples(
            st.just("stage"),
            st.tuples(version, st.sampled_from(["candidate", "released", "deprecated"])),
        ),
        st.tuples(st.just("template"), st.sampled_from(["x", "y"])),
        st.tuples(st.just("deploy"), version),
        st.tuples(st.just("remove"), st.none()),
        st.tuples(st.just("apply"), st.none()),
        st.tuples(st.just("fail"), version),
    )
    return draw(st.lists(one, max_size=12))


def apply_change(world: World, change: tuple[str, Any]) -> None:
    what, value = change
    if what == "weights":
        world.locked(value[0], weights=value[1])
    elif what == "stage":
        world.locked(value[0], stage=value[1])
    elif what == "template":
        world.template(files={"files/etc/motd": value})
    elif what == "deploy":
        world.locked(value)
        world.deployment(version=value)
    elif what == "remove":
        world.deployments.clear()
    elif what == "fail":
        world.locked(value)
        world.built(value, result="failed", error="no")
    else:
        world.recorded = recorded_after(world.desired, world.recorded, planned(world))


@settings(max_examples=60, deadline=None)
@given(changes())
def test_every_history_settles_after_one_plan(history: list[tuple[str, Any]]) -> None:
    world = World()
    world.model()
    world.template()
    world.environment(allow_empty=True)
    for change in history:
        apply_change(world, change)
    first = planned(world)
    assert first.to_json() == planned(world).to_json()
    assert len({action.subject for action in first.actions}) == len(first.actions)
    settled = recorded_after(world.desired, world.recorded, first)
    assert plan(world.desired, settled, head=HEAD).actions == ()
    assert replace(settled, builds={}, deployments={}) == replace(
        world.recorded, builds={}, deployments={}
    )
