"""The pages inside the test process: what they say, and what hostile manifests can do to them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser

import pytest
from registries import RegistryFolder, add_minilm, empty_repository
from starlette.testclient import TestClient
from web_index import Index, apply_to, open_index

SCRIPT = "<script>alert(1)</script>"
LISTS = ("/models", "/releases", "/deployments", "/builds", "/artifacts", "/activity", "/registry")


def page(index: Index, path: str, status: int = 200) -> str:
    response = index.client.get(path)
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    return response.text


@pytest.mark.parametrize("path", ["/", *LISTS, "/search?q=minilm", "/compare"])
def test_pages_name_version_and_revision(shared: Index, path: str) -> None:
    text = page(shared, path)
    oid = shared.get("/stats")["revision"].rpartition(":")[2]
    assert f"main@{oid[:12]}" in text
    assert f"registry-tool {shared.context.version}" in text


@pytest.mark.parametrize("path", ["/", *LISTS, "/models/minilm", "/releases/minilm/1.0.0/none"])
def test_nothing_is_inline_and_nothing_comes_from_elsewhere(shared: Index, path: str) -> None:
    text = page(shared, path)
    assert not re.search(r"<script(?! src=\"/static/)", text)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", text)
    for address in re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"([^\"]+)\"", text):
        assert address.startswith("/static/"), address


def test_a_page_that_is_known_is_not_sent_again(shared: Index) -> None:
    first = shared.client.get("/models")
    again = shared.client.get("/models", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304


def test_every_link_keeps_the_revision(shared: Index, shared_folder: RegistryFolder) -> None:
    oid = shared_folder.git("rev-parse", "HEAD~1")
    for path in ("/", *LISTS, "/models/minilm", "/releases/minilm/1.0.0/none"):
        text = page(shared, f"{path}?at={oid}")
        main = text[text.index("<main") : text.index("</main>")]
        for link in re.findall(r"<a [^>]*href=\"(/[^\"]*)\"", main):
            assert f"at={oid}" in unescape(link), f"{path}: {link}"


def test_a_short_version_leads_to_the_canonical_page(shared: Index) -> None:
    for path in ("/releases/minilm/1.0.0", "/releases/minilm/v1.0/none"):
        response = shared.client.get(path)
        assert response.status_code == 308
        assert response.headers["location"] == "/releases/minilm/1.0.0/none"


@pytest.mark.parametrize(
    "path, status, said",
    [
        ("/models/nothing", 404, 'there is no model "nothing"'),
        ("/releases/minilm/9.9.9/none", 404, 'there is no release "minilm/9.9.9/none"'),
        ("/releases/minilm/x/none", 404, ""),
        ("/deployments/staging/nothing", 404, "there is no deployment"),
        ("/builds/minilm/1.0.0/none/000009-000000000000", 404, "there is no build"),
        ("/activity/nothing", 404, "there is no commit"),
        ("/models?at=nothing", 404, "nothing"),
        ("/compare?older=nothing", 404, "nothing"),
        ("/models?sort=nothing", 422, "nothing"),
        ("/models?cursor=nothing", 422, ""),
        ("/models?parameter_count_min=many", 422, '"many" is not a number such as 7B'),
        ("/models?at=" + "x" * 301, 422, "at most 300"),
        ("/nowhere", 404, "There is no such page"),
    ],
)
def test_errors_are_pages_that_say_what_is_wrong(
    shared: Index, path: str, status: int, said: str
) -> None:
    assert said in unescape(page(shared, path, status))


def test_an_error_page_leads_on(shared: Index) -> None:
    for path in ("/nowhere", "/models?at=nothing"):
        text = page(shared, path, 404)
        assert '<nav class="nav"' in text
        assert 'role="search"' in text


def test_the_way_from_commit_to_deployment_is_told(
    shared: Index, shared_folder: RegistryFolder
) -> None:
    text = page(shared, "/releases/minilm/1.0.0/none")
    (build,) = shared.get("/builds")["items"]
    for part in (
        build["key"],
        build["images"][0]["digest"],
        shared_folder.git("rev-parse", "HEAD~1"),
    ):
        assert part in text
    assert 'href="/deployments/staging/search"' in text
    for step in ("Declared", "Locked", "Built", "Image", "Delegated in"):
        assert f"<b>{step}" in text


def test_commands_and_the_edit_link_change_what_is_shown(
    index: Index, applied: RegistryFolder
) -> None:
    applied.replace(
        "manifests/registry.yaml", "spec:", "spec:\n  web: {edit_url: 'https://e.org/{path}'}"
    )
    applied.commit("Name the forge")
    index.refresh()
    text = page(index, "/releases/minilm/1.0.0/none")
    assert 'data-copy="registry-tool promote minilm/1.0.0/none"' in text
    assert 'href="https://e.org/manifests/releases/minilm/1.0.0/none.yaml"' in text
    assert 'data-copy="registry-tool rollback staging/search --to RELEASE"' in page(
        index, "/deployments/staging/search"
    )


def test_the_image_can_be_pulled_by_the_command_that_is_shown(shared: Index) -> None:
    text = page(shared, "/releases/minilm/1.0.0/none")
    assert 'data-copy="docker pull localhost:8000/minilm:1.0.0"' in text


def test_the_log_of_a_build_can_be_read(shared: Index) -> None:
    (build,) = shared.get("/builds")["items"]
    assert build["key"] in page(shared, f"/{build['id']}/log")


def test_a_commit_shows_its_diff(index: Index, applied: RegistryFolder) -> None:
    applied.replace("manifests/environments/staging.yaml", "spec: {}", "spec: {allow_empty: true}")
    oid = applied.commit("Allow nothing")
    index.refresh()
    text = page(index, f"/activity/{oid}")
    assert '<span class="removed">− spec: {}</span>' in text
    assert '<span class="added">+ spec: {allow_empty: true}</span>' in text


def test_two_revisions_are_compared(index: Index, applied: RegistryFolder) -> None:
    applied.replace("manifests/environments/staging.yaml", "spec: {}", "spec: {allow_empty: true}")
    applied.commit("Allow nothing")
    index.refresh()
    text = page(index, "/compare?older=HEAD~1")
    assert "allow_empty" in text
    assert 'href="/environments/staging"' in text
    assert "The manifests are the same" in page(index, "/compare?older=HEAD")


def test_what_came_and_went_between_two_revisions_is_listed(
    index: Index, applied: RegistryFolder
) -> None:
    applied.environment("canary")
    oid = applied.commit("Add an environment")
    applied.git("rm", "-q", "manifests/environments/canary.yaml")
    applied.commit("Remove it again")
    index.refresh()
    came = page(index, f"/compare?older=HEAD~2&newer={oid}")
    assert re.search(r"<h2>Created</h2>.*/environments/canary\?at=", came, re.DOTALL)
    went = page(index, f"/compare?older={oid}")
    link = re.search(r'<h2>Deleted</h2>.*href="([^"]+)">canary', went, re.DOTALL)
    assert link is not None
    assert "canary" in page(index, link[1])
    assert f'<option value="{oid[:12]}">Add an environment, ' in went


class Tags(HTMLParser):
    """What a page could run, or fetch from elsewhere, apart from its own scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.dangers: list[str] = []
        self.count = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.count += 1
        values = dict(attrs)
        if tag in {"img", "iframe", "object", "embed", "style", "base"}:
            self.dangers.append(tag)
        if tag == "script" and not (values.get("src") or "").startswith("/static/"):
            self.dangers.append("script")
        self.dangers += [name for name in values if name.startswith(("on", "style", "hx-on"))]
        for name in ("href", "src", "action"):
            address = (values.get(name) or "/").strip().lower()
            if not address.startswith(("/", "#", "http://", "https://")):
                self.dangers.append(address)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """Script, odd links, long notes and strange characters wherever a manifest takes text."""
    with pytest.MonkeyPatch.context() as environment:
        for role in ("AUTHOR", "COMMITTER"):
            environment.setenv(f"GIT_{role}_NAME", "Ada Lovelace")
            environment.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
        applied = apply_to(add_minilm(empty_repository(tmp_path_factory.mktemp("hostile"))))
        model = applied.path / "manifests/models/minilm.yaml"
        text = f'"{SCRIPT}\\u202E\\u200B\\" onclick=\\"alert(1)"'
        lines = [
            f"  {name}: {text}" for name in ("description", "company", "base_model", "license")
        ]
        lines += [f"  tags: [{text}]", f"  metadata: {{? {text} : {text}}}"]
        model.write_text(model.read_text() + "\n".join(lines) + "\n")
        release = applied.path / "manifests/releases/minilm/1.0.0/none.yaml"
        release.write_text(
            release.read_text()
            + f"  yanked: {{reason: {text}}}\n  release_notes: |\n    {SCRIPT}\n"
            + "    [a](javascript:alert(1)) [b](data:text/html,x) ![c](http://e.org/x.png)\n"
        )
        applied.commit(f"{SCRIPT} in a subject\n\n{SCRIPT} in a body")
    with open_index(applied.path) as index:
        yield index


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/models",
        "/models/minilm",
        "/releases",
        "/releases/minilm/1.0.0/none",
        "/activity",
        "/search?q=script",
        "/search?q=%3Cscript%3Ealert(1)%3C/script%3E",
        "/models?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
        "/models?company=%3Cscript%3Ealert(1)%3C/script%3E",
        "/compare?older=HEAD~1",
        "/compare?older=HEAD~1&newer=HEAD%22%3E%3Cscript%3E",
        "/%3Cscript%3Ealert(1)%3C/script%3E",
    ],
)
def test_hostile_text_stays_text(hostile: Index, path: str) -> None:
    text = hostile.client.get(path).text
    found = Tags(text)
    assert found.count > 20
    assert found.dangers == []
    assert "\u202e" not in text
    assert "\u200b" not in text


def test_hostile_text_can_be_read(hostile: Index) -> None:
    text = page(hostile, "/models/minilm")
    assert f"{SCRIPT}\\u202e\\u200b" in unescape(text)


def test_very_long_notes_are_shown_as_they_are(applied: RegistryFolder) -> None:
    release = applied.path / "manifests/releases/minilm/1.0.0/none.yaml"
    notes = "".join(f"    [{'x' * 100}\n" for _ in range(9000))
    release.write_text(f"{release.read_text()}  release_notes: |\n{notes}")
    applied.commit("Write a book")
    with open_index(applied.path) as index:
        text = page(index, "/releases/minilm/1.0.0/none")
    assert '<pre class="pre-wrap">[xxx' in text


def test_addresses_keep_the_prefix_of_a_proxy(shared: Index) -> None:
    behind = TestClient(shared.client.app, root_path="/registry")
    text = behind.get("/registry/models").text
    found = re.findall(r"(?:href|src|action|hx-get|data-events)=\"(/[^\"]*)\"", text)
    assert len(found) > 20
    for address in found:
        assert address.startswith("/registry/"), address


def test_an_empty_registry_says_what_to_do(empty_registry: RegistryFolder) -> None:
    empty_registry.commit("Set up")
    with open_index(empty_registry.path) as index:
        for path in ("/", "/models", "/releases", "/deployments", "/builds", "/artifacts"):
            assert 'data-copy="registry-tool ' in page(index, path), path
