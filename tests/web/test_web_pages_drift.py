"""Drift on pages: what was seen of branches and engines when somebody looked last."""

from __future__ import annotations

from html import unescape

import pytest
from registries import RegistryFolder
from web_index import Index

from registry_tool.cli.main import run
from registry_tool.reconcile.observations import read_observed


def look(folder: RegistryFolder) -> None:
    assert run(["--repo", str(folder.path), "-q", "status"]) == 0


def said(index: Index, path: str) -> str:
    response = index.client.get(path)
    assert response.status_code == 200
    return " ".join(unescape(response.text).split())


def test_without_a_look_pages_speak_of_records(index: Index) -> None:
    assert "What runs is by the records." in said(index, "/deployments")
    assert "registry-tool status" in said(index, "/deployments")


def test_a_look_that_saw_nothing_is_named(index: Index, applied: RegistryFolder) -> None:
    look(applied)
    text = said(index, "/deployments")
    assert "were looked at <time" in text
    assert "no drift." in text


def test_drift_is_on_dashboard_matrix_and_deployment(
    index: Index, applied: RegistryFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = applied.git("rev-parse", "HEAD^{tree}")
    commit = applied.git("commit-tree", tree, "-m", "By hand", "-p", "deploy/staging")
    applied.git("update-ref", "refs/heads/deploy/staging", commit)
    look(applied)
    assert "drift: " in capsys.readouterr().out
    for path in ("/", "/deployments", "/deployments/staging/search"):
        assert '<span class="badge warn">drift</span>' in said(index, path), path
    assert "1 deployment with drift" in said(index, "/deployments")
    assert "what is there is not what the records say" in said(index, "/deployments/staging/search")


def test_what_an_apply_repaired_is_drift_no_more(index: Index, applied: RegistryFolder) -> None:
    tree = applied.git("rev-parse", "HEAD^{tree}")
    commit = applied.git("commit-tree", tree, "-m", "By hand", "-p", "deploy/staging")
    applied.git("update-ref", "refs/heads/deploy/staging", commit)
    look(applied)
    assert "1 deployment with drift" in said(index, "/deployments")
    assert run(["--repo", str(applied.path), "-q", "apply"]) == 0
    index.refresh()
    assert "with drift" not in said(index, "/deployments")


def test_a_look_from_before_the_newest_records_counts_no_more(
    index: Index, applied: RegistryFolder
) -> None:
    look(applied)
    kept = applied.path / ".git/registry-tool/observed.json"
    seen = kept.read_bytes()
    applied.deployment("staging", "other", "minilm", "1.0.0")
    applied.commit("Deploy another one")
    assert run(["--repo", str(applied.path), "-q", "apply"]) == 0
    assert not kept.exists()
    # As after a look that took longer than the apply.
    kept.write_bytes(seen)
    index.refresh()
    text = said(index, "/deployments")
    assert "were last looked at" in text
    assert "with other records than these" in text


def test_what_another_version_kept_is_ignored(index: Index, applied: RegistryFolder) -> None:
    look(applied)
    kept = applied.path / ".git/registry-tool/observed.json"
    kept.write_text('{"format_version": 99}')
    assert read_observed(kept.parent) is None
    assert "What runs is by the records." in said(index, "/deployments")
