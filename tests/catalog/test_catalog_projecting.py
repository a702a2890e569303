"""Catalogs that follow a repository: what is seen when, and what damage does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from catalog_dump import dump
from projected import Projected

from registry_tool.catalog.files import Catalogs
from registry_tool.catalog.listing import ListQuery
from registry_tool.errors import CatalogProblem, InvalidManifests, RepositoryProblem
from registry_tool.reconcile.projecting import CatalogUpdater


def _ids(projected: Projected, kind: str, **filters: tuple[str, ...]) -> list[str]:
    with projected.shown() as catalog:
        page = catalog.page(ListQuery(kind, filters, limit=1000))
        return [json.loads(item)["id"] for item in page.items]


def _item(projected: Projected, kind: str, key: str) -> Any:
    with projected.shown() as catalog:
        text = catalog.get(kind, key)
    return json.loads(text) if text is not None else None


def test_nothing_is_shown_before_the_first_commit(projected: Projected) -> None:
    projected.folder.git("checkout", "--quiet", "--orphan", "empty")
    assert projected.updater.refresh() is None
    with pytest.raises(CatalogProblem), projected.catalogs.open():
        pass


def test_push_is_visible_in_the_same_file(projected: Projected) -> None:
    assert _ids(projected, "models") == ["minilm"]
    first = projected.file
    projected.folder.model("bert")
    projected.folder.commit("Add bert")
    assert _ids(projected, "models") == ["bert", "minilm"]
    assert projected.file == first
    item = _item(projected, "models", "bert")
    assert item["git"]["commit"]["message"] == "Add bert"
    assert item["git"]["created"] == item["git"]["commit"]


def test_request_sees_one_revision_while_another_is_pushed(projected: Projected) -> None:
    with projected.shown() as catalog:
        before = catalog.pair
        projected.folder.model("bert")
        projected.folder.commit("Add bert")
        after = projected.updater.refresh()
        assert after != before
        assert catalog.pair == before
        assert catalog.page(ListQuery("models")).total == 1
    assert len(_ids(projected, "models")) == 2


def test_rename_keeps_identity_and_beginning(projected: Projected) -> None:
    created = _item(projected, "models", "minilm")["git"]["created"]["oid"]
    projected.folder.git("mv", "manifests/models/minilm.yaml", "manifests/models/elsewhere.yaml")
    renamed = projected.folder.commit("Move it")
    git = _item(projected, "models", "minilm")["git"]
    assert git["path"] == "manifests/models/elsewhere.yaml"
    assert (git["commit"]["oid"], git["created"]["oid"]) == (renamed, created)


def test_merged_change_is_put_down_to_its_author(projected: Projected) -> None:
    path = "manifests/models/minilm.yaml"
    projected.folder.git("checkout", "--quiet", "-b", "side")
    projected.folder.replace(path, "spec:\n", "spec:\n  description: better\n")
    projected.folder.commit("Describe it")
    projected.folder.git("checkout", "--quiet", "main")
    projected.folder.git("merge", "--quiet", "--no-ff", "-m", "Merge side", "side")
    item = _item(projected, "models", "minilm")
    assert item["git"]["commit"]["message"] == "Describe it"
    with projected.shown() as catalog:
        audit = catalog.page(ListQuery("audit", {"about": ("model/minilm",)}))
    assert [json.loads(entry)["message"] for entry in audit.items] == ["Describe it", "Add minilm"]


def test_refused_revision_leaves_the_newest_good_one_in_force(projected: Projected) -> None:
    shown = projected.updater.refresh()
    projected.folder.write("manifests/models/broken.yaml", "kind: [\n")
    broken = projected.folder.commit("Break it")
    assert projected.updater.refresh() == shown
    with projected.shown() as catalog:
        about = catalog.about()
    assert about.tip == broken
    assert [file.path for file in about.refused] == ["manifests/models/broken.yaml"]
    projected.assert_like_fresh(0)
    projected.folder.git("rm", "--quiet", "-f", "manifests/models/broken.yaml")
    repaired = projected.folder.commit("Repair it")
    pair = projected.updater.refresh()
    assert pair is not None
    assert pair.manifests == repaired
    with projected.shown() as catalog:
        assert catalog.about().refused == ()


def test_repository_that_was_never_good_says_why(projected: Projected) -> None:
    projected.folder.git("checkout", "--quiet", "--orphan", "bad")
    projected.folder.git("rm", "--quiet", "-r", "-f", ".")
    projected.folder.write("manifests/models/broken.yaml", "kind: [\n")
    projected.folder.commit("Start badly")
    with pytest.raises(InvalidManifests):
        projected.updater.refresh()


def test_invalid_manifest_is_named_and_left_out(projected: Projected) -> None:
    path = "manifests/models/minilm.yaml"
    projected.folder.replace(path, "spec:\n", "spec:\n  colour: red\n")
    projected.folder.commit("Colour it")
    with projected.shown() as catalog:
        (file,) = catalog.about().invalid
        assert (file.path, file.subject) == (path, "model/minilm")
        assert [problem.code for problem in file.problems] == ["RT101"]
        assert catalog.page(ListQuery("models")).total == 0
        assert catalog.page(ListQuery("releases")).total == 1


@pytest.mark.parametrize(
    "damage", ["delete", "truncate", "overwrite", "empty", "pointer", "folder"]
)
def test_damaged_catalog_is_made_anew(projected: Projected, damage: str) -> None:
    assert _ids(projected, "models") == ["minilm"]
    file = projected.file
    match damage:
        case "delete":
            file.unlink()
        case "truncate":
            os.truncate(file, file.stat().st_size // 2)
        case "overwrite":
            file.write_bytes(b"rubbish" * 10_000)
        case "empty":
            file.write_bytes(b"")
        case "pointer":
            file.with_name("current").write_text("../../elsewhere")
        case "folder":
            for path in file.parent.rglob("*"):
                if path.is_file():
                    path.unlink()
    # Another process has nothing of it in memory.
    catalogs = Catalogs(file.parent)
    updater = CatalogUpdater(projected.repository, catalogs, projected.cache)
    projected.folder.model("bert")
    projected.folder.commit("Add bert")
    # Damage deep inside a file is found by whoever reads it first, and gone at the next look.
    for _ in range(3):
        with suppress(CatalogProblem):
            updater.refresh()
            with catalogs.open() as catalog:
                page = catalog.page(ListQuery("models", facets=("tags",)))
                assert page.total == 2
                catalog.search("bert")
            break
    else:
        pytest.fail("it was not made anew")
    catalogs.close()
    assert _ids(projected, "models") == ["bert", "minilm"]


def test_catalog_of_another_version_is_made_anew(
    projected: Projected, monkeypatch: pytest.MonkeyPatch
) -> None:
    projected.updater.refresh()
    first = projected.file
    monkeypatch.setattr("registry_tool.catalog.meta.SCHEMA_VERSION", "next")
    projected.updater.refresh()
    assert projected.file != first


@pytest.mark.parametrize("failpoint", ["catalog-built", "catalog-changed"])
def test_killed_update_shows_no_half_state(projected: Projected, failpoint: str) -> None:
    if failpoint == "catalog-changed":
        projected.updater.refresh()
    projected.folder.model("bert")
    projected.folder.commit("Add bert")
    program = (
        "import sys; from pathlib import Path\n"
        "from registry_tool.catalog.files import Catalogs\n"
        "from registry_tool.reconcile.projecting import CatalogUpdater\n"
        "from registry_tool.repository.repository import Repository\n"
        "CatalogUpdater(Repository.open(Path(sys.argv[1])), Catalogs(Path(sys.argv[2]))).refresh()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, projected.folder.path, projected.directory / "catalog"],
        env={**os.environ, "REGISTRY_TOOL_FAILPOINT": failpoint},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    current = projected.catalogs.current()
    assert (current is None) == (failpoint == "catalog-built")
    assert _ids(projected, "models") == ["bert", "minilm"]
    projected.assert_like_fresh(0)
    assert not [path for path in projected.file.parent.iterdir() if path.name.startswith(".")]


def test_branch_may_move_back(projected: Projected) -> None:
    projected.updater.refresh()
    projected.folder.model("bert")
    projected.folder.commit("Add bert")
    projected.updater.refresh()
    projected.folder.git("reset", "--quiet", "--hard", "HEAD~1")
    assert _ids(projected, "models") == ["minilm"]
    assert len(_ids(projected, "audit")) == 1
    projected.assert_like_fresh(0)


def test_unrelated_history_is_a_new_catalog(projected: Projected) -> None:
    projected.updater.refresh()
    first = projected.file
    projected.folder.git("checkout", "--quiet", "--orphan", "other")
    projected.folder.commit("Begin again")
    projected.folder.git("branch", "-M", "other", "main")
    assert _ids(projected, "models") == ["minilm"]
    assert projected.file != first
    assert len(_ids(projected, "audit")) == 1


# --- other revisions -----------------------------------------------------------------------------


def _past(projected: Projected, count: int) -> list[str]:
    oids = [projected.folder.git("rev-parse", "HEAD")]
    for number in range(count):
        projected.folder.model(f"model-{number}")
        oids.append(projected.folder.commit(f"Add {number}"))
    projected.updater.refresh()
    return oids


def test_any_revision_is_shown_as_it_was(projected: Projected, tmp_path: Path) -> None:
    oids = _past(projected, 3)
    for number, oid in ((1, oids[1]), (0, oids[0]), (2, "HEAD~1")):
        pair = projected.updater.at(oid)
        with projected.catalogs.open(pair) as catalog:
            assert catalog.page(ListQuery("models")).total == 1 + number
            assert catalog.page(ListQuery("audit")).total == 1 + number
        path = projected.directory / "catalog" / "at" / f"{pair.key}.sqlite"
        projected.folder.git("branch", "-f", "past", oids[number])
        catalogs = Catalogs(tmp_path / f"past-{number}")
        CatalogUpdater(projected.repository, catalogs, projected.cache, branch="past").refresh()
        name = (tmp_path / f"past-{number}" / "current").read_text()
        mine, other = dump(path), dump(tmp_path / f"past-{number}" / name)
        assert {**mine, "meta": []} == {**other, "meta": []}
        catalogs.close()


def test_tip_by_its_name_is_the_current_catalog(projected: Projected) -> None:
    _past(projected, 1)
    current = projected.catalogs.current()
    assert projected.updater.at("main") == current
    assert current is not None
    assert projected.updater.at(current.key).key == current.key
    assert not list((projected.directory / "catalog" / "at").glob("*.sqlite"))


def test_catalogs_of_other_revisions_are_bounded(projected: Projected) -> None:
    oids = _past(projected, 6)
    pairs = [projected.updater.at(oid) for oid in oids[:-1]]
    assert len(list((projected.directory / "catalog" / "at").glob("*.sqlite"))) == 3
    with projected.catalogs.open(projected.updater.at(oids[0])) as catalog:
        assert catalog.pair.key == pairs[0].key


def test_unknown_revision_is_refused(projected: Projected) -> None:
    projected.updater.refresh()
    for revision in (
        "nothing",
        "0" * 40,
        "--all",
        "",
        "main:manifests",
        "a\0b",
        f"{'0' * 40}-none",
    ):
        with pytest.raises(RepositoryProblem):
            projected.updater.at(revision)


def test_comparison_names_what_manifests_say_differently(projected: Projected) -> None:
    before = projected.folder.git("rev-parse", "HEAD")
    path = "manifests/releases/minilm/1.0.0/none.yaml"
    projected.folder.replace(path, "candidate", "released")
    projected.folder.model("bert")
    projected.folder.git("rm", "--quiet", "manifests/deployments/staging/search.yaml")
    projected.folder.git("mv", "manifests/models/minilm.yaml", "manifests/models/moved.yaml")
    projected.folder.commit("Change things")
    projected.updater.refresh()
    old = projected.updater.at(before)
    with projected.catalogs.open(old) as one, projected.catalogs.open() as other:
        found = list(one.differences(other))
    assert [(each.kind, each.key, each.change) for each in found] == [
        ("models", "bert", "created"),
        ("releases", "minilm/1.0.0/none", "updated"),
        ("deployments", "staging/search", "deleted"),
    ]
    assert [(field.field, field.old, field.new) for field in found[1].fields] == [
        ("stage", '"candidate"', '"released"')
    ]


def test_many_threads_read_while_one_updates(projected: Projected) -> None:
    projected.updater.refresh()
    problems: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                with projected.catalogs.open() as catalog:
                    total = catalog.page(ListQuery("models", facets=("tags",))).total
                    assert catalog.about().counts["models"] == total
                    assert catalog.about().counts["audit"] == total
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(8):
        projected.folder.model(f"model-{number}")
        projected.folder.commit(f"Add {number}")
        projected.updater.refresh()
    done.set()
    for thread in threads:
        thread.join()
    assert not problems
