"""What happens on a page while the registry changes, and what a hostile registry can do to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from gallery import Gallery
from hostile import SCRIPT, write_hostile
from looking import OpenPage
from registries import RegistryFolder
from web_index import Server, run_server

from registry_tool.domain.live import LIVE_FOLDER
from registry_tool.domain.plan import Action, Plan
from registry_tool.reconcile.effects import utc_now
from registry_tool.reconcile.live import LiveReport

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]


@pytest.fixture
def changing(registry: RegistryFolder) -> Iterator[tuple[RegistryFolder, Server]]:
    """A small registry that a test may change, and its server."""
    with run_server(registry, "--poll", "1") as server:
        yield registry, server


def test_a_push_shows_without_a_reload(
    changing: tuple[RegistryFolder, Server], visit: OpenPage, tmp_path: Path
) -> None:
    folder, server = changing
    page = visit(server, "/models")
    page.evaluate("window.same = true")
    page.locator(".live-dot[data-state=on]").wait_for()
    assert page.locator("#results tbody tr").count() == 1
    # A push from elsewhere: the branch of a bare repository moves just so.
    clone = tmp_path / "clone"
    folder.git("clone", "--quiet", str(folder.path), str(clone))
    other = RegistryFolder(clone, folder.storage)
    other.model("whisper")
    oid = other.commit("Add whisper")
    folder.git("config", "receive.denyCurrentBranch", "ignore")
    other.git("push", "--quiet", "origin", "main")
    page.get_by_role("link", name="whisper", exact=True).wait_for()
    assert page.evaluate("window.same === true")
    assert oid[:12] in page.locator("#revision").inner_text()
    assert page.get_by_role("status").inner_text() == "Updated to the newest revision."


def test_a_refused_revision_is_said(
    changing: tuple[RegistryFolder, Server], visit: OpenPage
) -> None:
    folder, server = changing
    page = visit(server, "/")
    folder.write("manifests/registry.yaml", "kind: nonsense\n")
    folder.commit("Break it")
    page.get_by_role("link", name="is not accepted: see why").wait_for()
    page.get_by_role("link", name="is not accepted: see why").click()
    assert "manifests/registry.yaml:1" in page.locator("#problems").inner_text()


def test_builds_are_watched_while_they_run(
    changing: tuple[RegistryFolder, Server], visit: OpenPage
) -> None:
    folder, server = changing
    subjects = ("release/minilm/1.0.0/none", "release/minilm/1.0.1/none")
    actions = [
        Action(kind="build", subject=subject, change="create", reason="new release", key="a" * 64)
        for subject in subjects
    ]
    page = visit(server, "/builds")
    live = page.locator("#live")
    assert "Nothing is built at the moment" in live.inner_text()
    state = folder.path / ".git" / "registry-tool"
    state.mkdir(exist_ok=True)
    with LiveReport(state, utc_now) as report:
        report.planned(Plan.of("c" * 40, None, actions, []))
        report.began(subjects[0])
        report.line(subjects[0], "Publishing weights of minilm")
        live.get_by_text("1 running, 1 queued").wait_for()
        live.get_by_text("Publishing weights of minilm").wait_for()
        for number in range(1, 60):
            report.line(subjects[0], f"Layer {number} of 60")
        log = live.locator("pre.log")
        log.get_by_text("Layer 59 of 60").wait_for()
        # It stays at its end, until one reads further up.
        place = "log => [log.scrollTop, log.scrollHeight - log.clientHeight - log.scrollTop]"
        top, below = log.evaluate(place)
        assert top > 0
        assert below < 2
        log.evaluate("log => { log.scrollTop = 40 }")
        report.line(subjects[0], "Layer 60 of 60")
        log.get_by_text("Layer 60 of 60").wait_for()
        assert log.evaluate("log => log.scrollTop") == 40
    live.get_by_text("Nothing is built at the moment").wait_for()
    assert list((state / LIVE_FOLDER).iterdir()) == []


def test_an_empty_registry_says_what_to_do(empty_registry: RegistryFolder, visit: OpenPage) -> None:
    empty_registry.commit("Set up")
    with run_server(empty_registry) as server:
        page = visit(server, "/")
        for path in ("/", "/models", "/releases", "/deployments", "/builds", "/artifacts"):
            page.goto(path)
            assert "registry-tool " in page.locator("main .command").first.inner_text(), path


@pytest.fixture
def closed(registry: RegistryFolder) -> Iterator[tuple[Server, str]]:
    """A server that asks for a key, and the key."""
    folder = Gallery(registry.path, registry.storage)
    folder.replace("manifests/registry.yaml", "spec:", "spec:\n  web: {require_api_key: true}")
    folder.commit("Ask for keys")
    key = folder.tool("-q", "api-key", "create", "ci", "--owner", "CI", "--commit").split()[-1]
    with run_server(folder) as server:
        yield server, key


def test_one_logs_in_and_out(closed: tuple[Server, str], visit: OpenPage, tmp_path: Path) -> None:
    server, key = closed
    page = visit(server, "/models/minilm", expected=("status of 401",))
    assert "/login" in page.url
    page.screenshot(path=tmp_path / "login.png")
    page.get_by_label("API key", exact=True).fill("wrong")
    page.get_by_role("button", name="Log in").click()
    assert page.get_by_role("alert").inner_text() == "Invalid API key"
    page.get_by_label("API key", exact=True).fill(key)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/models/minilm")
    assert page.locator("h1").inner_text() == "minilm"
    cookie = page.context.cookies()[0]
    assert cookie["httpOnly"]
    page.get_by_role("button", name="Log out").click()
    page.goto("/models")
    assert "/login" in page.url


SCHEMES = "all => all.map(a => new URL(a.getAttribute('href'), location).protocol)"


def test_a_hostile_registry_runs_nothing(registry: RegistryFolder, visit: OpenPage) -> None:
    os.environ["GIT_AUTHOR_NAME"] = "Mallory <b>x</b>"
    write_hostile(registry)
    script = quote(SCRIPT)
    with run_server(registry) as server:
        page = visit(server, "/")
        for path in (
            "/",
            "/models",
            "/models/everything",
            "/releases",
            "/releases/everything/3.1.4/Q4_K_M",
            "/deployments",
            "/deployments/everywhere/service",
            "/environments/everywhere",
            "/templates/full-template",
            "/builds",
            "/artifacts",
            "/activity",
            "/registry",
            f"/search?q={script}",
            f"/models?q=%22%3E{script}",
            "/compare?older=HEAD~1",
        ):
            page.goto(path)
            for scheme in page.locator("a[href]").evaluate_all(SCHEMES):
                assert scheme in {"http:", "https:"}, path
            assert page.evaluate("window.pwned") is None, path
        page.goto("/activity")
        page.locator("table .name").first.click()
        page.wait_for_url("**/activity/*")
        assert page.locator("h1").inner_text().startswith(SCRIPT)
        assert page.evaluate("window.pwned") is None
