"""Script in every text field of every kind stays text, on every page."""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape
from urllib.parse import quote

import pytest
from hostile import HOSTILE, LOCKED, SCRIPT, SHORT, write_hostile
from registries import REGISTRY, RegistryFolder
from test_web_pages import Tags
from test_web_pages_fields import PAGES
from web_index import Index, open_index

LISTS = ("/", "/models", "/releases", "/deployments", "/builds", "/artifacts", "/activity")
OTHERS = ("/registry", "/storage", "/compare?older=HEAD~1", f"/search?q={quote(SCRIPT)}")
PARTS = ("/releases/everything/3.1.4/Q4_K_M/gates", "/builds/live")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    folder = tmp_path_factory.mktemp("hostile")
    registry = RegistryFolder(folder / "registry", folder / "storage")
    registry.path.mkdir()
    registry.git("init", "--quiet", "--initial-branch=main")
    with pytest.MonkeyPatch.context() as patch:
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", f"Mallory {SHORT.replace('<', '&lt;')} \u202e")
            patch.setenv(f"GIT_{role}_EMAIL", "mallory@example.org")
        registry.write("manifests/registry.yaml", REGISTRY.format(storage=registry.storage))
        registry.commit("Begin")
        assert write_hostile(registry) > 60
    with open_index(registry.path) as index:
        yield index


@pytest.mark.parametrize("path", dict.fromkeys([*LISTS, *OTHERS, *PARTS, *PAGES.values()]))
def test_script_stays_text(hostile: Index, path: str) -> None:
    response = hostile.client.get(path)
    assert response.status_code == 200
    found = Tags(response.text)
    assert found.count > 20
    assert found.dangers == []
    assert "\u202e" not in response.text
    assert "\u200b" not in response.text


def test_every_commit_can_be_looked_at(hostile: Index) -> None:
    for item in hostile.get("/audit")["items"]:
        response = hostile.client.get(f"/activity/{item['oid']}")
        assert response.status_code == 200
        assert Tags(response.text).dangers == []


def test_all_of_it_can_be_read(hostile: Index) -> None:
    shown = HOSTILE.replace("\u202e", "\\u202e").replace("\u202c", "\\u202c")
    shown = shown.replace("\u200b", "\\u200b")
    for path in ("/models/everything", "/templates/full-template", "/registry"):
        assert shown in unescape(hostile.client.get(path).text), path
    assert LOCKED in unescape(hostile.client.get("/artifacts").text)


def test_the_api_has_it_as_it_is(hostile: Index) -> None:
    assert hostile.get("/models/everything")["description"] == HOSTILE
