"""The pages of the web index, as people see them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from gallery import Gallery
from looking import PHONE, WIDE, OpenPage
from playwright.sync_api import Page, expect
from web_index import Server

from registry_tool import __version__

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

PATHS = (
    "/",
    "/models",
    "/models/minilm",
    "/models/minilm/compare?release=1.0.0/none&release=1.1.0/none",
    "/releases",
    "/releases/minilm/1.1.0/none",
    "/releases/llama-chat/2.1.0/Q8_0",
    "/releases/resnet50/1.0.0/none",
    "/deployments",
    "/deployments/production/search",
    "/environments/production",
    "/builds",
    "/artifacts",
    "/activity",
    "/compare?older=HEAD~3",
    "/search?q=minilm",
    "/storage",
    "/registry",
    "/templates/weights",
    "/api-keys/ci",
    "/nowhere",
)
MISSING = "status of 404"
COLOURS = """axe.run({runOnly: ["color-contrast"], resultTypes: ["violations"]}).then(
    (found) => found.violations.flatMap((rule) => rule.nodes.map((node) => node.html)))"""
"""What has too little contrast, asked of the rules that are on the page already."""


def name_of(path: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", path.lower()).strip("-") or "dashboard"


def test_every_page_shows(served: Server, visit: OpenPage, tmp_path: Path) -> None:
    """Light, dark and on a phone; the rules of accessibility once, those of colours in both themes."""
    page = visit(served, "/models", expected=(MISSING,), reduced_motion="reduce")
    axe = Axe()
    for path in PATHS:
        page.goto(path)
        assert page.locator("h1").count() == 1, path
        assert __version__ in page.locator("footer").inner_text()
        if path != "/nowhere":
            assert "main@" in page.locator("#revision").inner_text()
        found = axe.run(page)
        assert found.violations_count == 0, f"{path}: {found.generate_report()}"
        _take(page, path, tmp_path / f"{name_of(path)}-light.jpg")
        page.emulate_media(color_scheme="dark")
        assert page.evaluate(COLOURS) == [], f"{path}, dark"
        _take(page, path, tmp_path / f"{name_of(path)}-dark.jpg")
        page.set_viewport_size(PHONE)
        page.emulate_media(color_scheme="light")
        _take(page, path, tmp_path / f"{name_of(path)}-phone.jpg")
        page.set_viewport_size(WIDE)


def _take(page: Page, path: str, picture: Path) -> None:
    wider = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wider <= 0, f"{path} is {wider} pixels wider than the screen"
    page.screenshot(path=picture, full_page=True, type="jpeg", quality=80)


def test_every_link_of_every_page_leads_somewhere(served: Server, visit: OpenPage) -> None:
    page = visit(served, "/")
    seen: set[str] = set()
    waiting = [
        "/",
        "/models/minilm",
        "/releases/minilm/1.1.0/none",
        "/deployments/production/search",
    ]
    waiting += ["/builds", "/activity", "/registry", "/artifacts", "/search?q=minilm"]
    links = "links => links.map(link => link.getAttribute('href'))"
    for path in waiting:
        page.goto(path)
        found = page.locator("a[href^='/']").evaluate_all(links)
        for link in sorted({str(link).partition("#")[0] for link in found} - seen):
            seen.add(link)
            if link.endswith("/download"):
                continue
            response = page.request.get(link, max_redirects=5)
            assert response.status == 200, f"{path} links to {link}: {response.status}"
    assert len(seen) > 60


def test_the_navigation_says_where_one_is(served: Server, visit: OpenPage) -> None:
    page = visit(served)
    for name in (
        "Models",
        "Releases",
        "Deployments",
        "Builds",
        "Artifacts",
        "Activity",
        "Registry",
    ):
        page.get_by_role("navigation", name="Main").get_by_role("link", name=name).click()
        page.wait_for_url(f"**/{name.lower()}")
        current = page.locator("nav [aria-current=page]")
        assert current.inner_text() == name
        assert name.lower() in page.title().lower() or name == "Registry"


def test_one_clicks_from_a_model_to_what_runs(served: Server, visit: OpenPage) -> None:
    page = visit(served, "/models")
    page.get_by_role("link", name="minilm", exact=True).click()
    page.wait_for_url("**/models/minilm")
    page.get_by_role("link", name="1.1.0", exact=True).click()
    page.wait_for_url("**/releases/minilm/1.1.0/none")
    assert "91.4 %" in page.locator(".prose").inner_text()
    page.get_by_role("link", name="staging/search").first.click()
    page.wait_for_url("**/deployments/staging/search")
    page.get_by_role("link", name="Emmy").or_(page.locator(".fields a code").last).first.click()
    page.wait_for_url("**/activity/*")
    assert "Try minilm 1.1.0 and chat on staging" in page.locator("h1").inner_text()
    assert page.locator(".diff .added").filter(has_text="version: 1.1.0").count() == 1


def test_the_log_of_a_failed_build_is_there(served: Server, visit: OpenPage) -> None:
    page = visit(served, "/builds?result=failed")
    page.locator("table .name").first.click()
    page.wait_for_url("**/builds/resnet50/0.9.0/none/*")
    page.locator("pre.log").wait_for()
    assert "model.safetensors" in page.locator("pre.log").inner_text()
    page.go_back()
    assert "result=failed" in page.url


def test_search_finds_over_all_kinds(served: Server, visit: OpenPage) -> None:
    page = visit(served)
    page.keyboard.press("/")
    page.keyboard.type("whisper")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=whisper")
    headings = page.locator("main h2").all_inner_texts()
    assert {"Models", "Releases"} <= set(headings)
    page.get_by_role("link", name="whisper-large", exact=True).first.click()
    page.wait_for_url("**/models/whisper-large")


def test_a_list_is_searched_while_one_types(served: Server, visit: OpenPage) -> None:
    page = visit(served, "/models")
    page.evaluate("window.same = true")
    page.locator("#q").press_sequentially("speech", delay=20)
    page.wait_for_url("**/models?q=speech*")
    rows = page.locator("#results tbody tr")
    expect(page.locator("#results tbody tr")).to_have_count(1)
    assert "whisper-large" in rows.first.inner_text()
    assert page.evaluate("window.same === true")
    assert page.locator("#q").input_value() == "speech"
    assert page.evaluate("document.activeElement.id") == "q"


def test_facets_narrow_and_can_be_taken_back(served: Server, visit: OpenPage) -> None:
    page = visit(served, "/models")
    page.evaluate("window.same = true")
    facet = page.locator(".facet").filter(has_text="Company")
    facet.get_by_role("link", name="Meta").click()
    page.wait_for_url("**/models?company=Meta")
    expect(page.locator("#results tbody tr")).to_have_count(1)
    assert page.evaluate("window.same === true")
    page.locator(".facet").filter(has_text="Company").get_by_role("link", name="OpenAI").click()
    expect(page.locator("#results tbody tr")).to_have_count(2)
    page.get_by_role("link", name="Remove the filter Company: Meta").click()
    expect(page.locator("#results tbody tr")).to_have_count(1)
    assert "whisper-large" in page.locator("#results tbody").inner_text()
    page.go_back()
    expect(page.locator("#results tbody tr")).to_have_count(2)
    page.get_by_role("link", name="Clear all").click()
    expect(page.locator("#results tbody tr")).to_have_count(4)


def test_parameters_are_bounded_as_people_write_them(served: Server, visit: OpenPage) -> None:
    page = visit(served, "/models")
    page.get_by_label("Parameters from").fill("1B")
    page.get_by_role("button", name="Set").click()
    expect(page.locator("#results tbody tr")).to_have_count(2)
    assert "Parameters from 1B" in page.locator(".chosen").inner_text()


def test_headings_sort(served: Server, visit: OpenPage) -> None:
    page = visit(served, "/models")
    page.get_by_role("columnheader", name="Parameters").get_by_role("link").click()
    page.wait_for_url("**/models?sort=-parameter_count")
    expect(page.locator("#results tbody tr .name").first).to_have_text("llama-chat")
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("Parameters")


def test_two_releases_are_compared(served: Server, visit: OpenPage) -> None:
    page = visit(served, "/models/minilm")
    page.get_by_label("Select 1.0.0/none to compare").check()
    page.get_by_label("Select 1.1.0/none to compare").check()
    page.get_by_role("button", name="Compare two selected").click()
    page.wait_for_url("**/models/minilm/compare?*")
    assert "differs" in page.locator("main").inner_text()
    assert "release_notes" in page.locator("main").inner_text()


def test_one_goes_back_in_time_and_stays_there(
    served: Server, gallery: Gallery, visit: OpenPage
) -> None:
    then = gallery.git("rev-parse", "HEAD~9")
    page = visit(served, "/models")
    page.locator("#at").fill(then)
    page.get_by_role("button", name="Go").click()
    page.wait_for_url(f"**/models?at={then}")
    assert then in page.locator("#revision").inner_text()
    assert page.locator("#results tbody tr").count() == 1
    page.get_by_role("link", name="minilm", exact=True).click()
    page.wait_for_url(f"**/models/minilm?at={then}")
    links = page.locator("main a[href^='/']").evaluate_all("all => all.map(link => link.search)")
    assert links
    assert all("at=" in link for link in links)
    page.get_by_role("link", name="Back to the newest").click()
    page.wait_for_url("**/models/minilm")
    assert page.locator("#results tbody tr").count() == 3


def test_an_unknown_revision_is_an_error_page(served: Server, visit: OpenPage) -> None:
    page = visit(served, "/models?at=nothing", expected=(MISSING,))
    assert page.locator("h1").inner_text() == "There is no such page"
    assert "nothing" in page.locator("main").inner_text()


def test_the_theme_follows_the_system_until_one_is_chosen(served: Server, visit: OpenPage) -> None:
    page = visit(served, "/models", color_scheme="dark")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    dark = page.evaluate(ground)
    page.get_by_role("button", name="Light theme").click()
    light = page.evaluate(ground)
    assert light != dark
    page.reload()
    assert page.evaluate(ground) == light
    page.get_by_role("button", name="Dark theme").click()
    assert page.evaluate(ground) == dark


def test_the_keyboard_is_enough(served: Server, visit: OpenPage) -> None:
    page = visit(served, "/models")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    assert skip.evaluate("link => link === document.activeElement")
    assert skip.bounding_box()["y"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"


FOCUS = """() => {
    const at = document.activeElement, mark = at.querySelector(".mark");
    return at.tagName + " " + (mark ? getComputedStyle(mark).stroke : getComputedStyle(at).outlineStyle);
}"""


def test_focus_is_seen_wherever_it_goes(served: Server, visit: OpenPage) -> None:
    page = visit(served, "/")
    page.locator("#main").focus()
    seen = []
    for _ in range(45):
        page.keyboard.press("Tab")
        seen.append(page.evaluate(FOCUS))
    assert [entry for entry in seen if entry.endswith(" none")] == []
    assert any(entry.startswith("a rgb") for entry in seen)


def test_a_command_is_copied(served: Server, visit: OpenPage) -> None:
    page = visit(
        served, "/releases/minilm/1.1.0/none", permissions=["clipboard-read", "clipboard-write"]
    )
    command = page.locator(".command").filter(has_text="registry-tool demote")
    command.get_by_role("button", name="Copy command").click()
    command.get_by_text("Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "registry-tool demote minilm/1.1.0/none"


def test_a_command_is_copied_without_https(served: Server, visit: OpenPage) -> None:
    page = visit(served, "/deployments/production/search", permissions=["clipboard-read"])
    page.evaluate("Object.defineProperty(navigator.clipboard, 'writeText', {value: undefined})")
    command = page.locator(".command").filter(has_text="registry-tool rollback")
    command.get_by_role("button", name="Copy command").click()
    command.get_by_text("Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "registry-tool rollback production/search --to minilm/1.0.0/none"


def test_the_edit_link_leads_to_the_forge(served: Server, visit: OpenPage) -> None:
    page = visit(served, "/deployments/production/search")
    link: Any = page.get_by_role("link", name="Edit the manifest").get_attribute("href")
    assert link.endswith("/edit/main/manifests/deployments/production/search.yaml")


def test_pages_work_without_scripts(served: Server, visit: OpenPage) -> None:
    page = visit(served, "/models", java_script_enabled=False)
    page.locator("#q").fill("speech")
    page.get_by_role("button", name="Search").click()
    page.wait_for_url("**/models?q=speech*")
    assert page.locator("#results tbody tr").count() == 1
    page.goto("/builds?result=failed")
    page.locator("table .name").first.click()
    page.get_by_role("link", name="Show the log").click()
    assert "model.safetensors" in page.locator("pre").inner_text()
