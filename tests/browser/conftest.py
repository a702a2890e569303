"""Chromium on a served registry. A page that writes to the console or asks another host fails its test."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from gallery import Gallery, make_gallery
from playwright.sync_api import Browser, Page, sync_playwright

# The server that these tests look at is started as those of the index are.
sys.path.insert(0, str(Path(__file__).parent.parent / "web"))

from looking import ARGUMENTS, WIDE, OpenPage, Watch, find_chromium
from web_index import Server, run_server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = find_chromium()
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def _outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The isolation that every test has, for what a whole module shares."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("GIT_", "REGISTRY_TOOL_", "RT_SECRET_", "XDG_")):
                patch.delenv(name)
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "Ada Lovelace")
            patch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
        yield


@pytest.fixture(scope="module")
def gallery(_outside: None, tmp_path_factory: pytest.TempPathFactory) -> Gallery:
    """A registry that no test changes."""
    folder = tmp_path_factory.mktemp("gallery")
    return make_gallery(folder / "registry", folder / "storage")


@pytest.fixture(scope="module")
def served(gallery: Gallery) -> Iterator[Server]:
    with run_server(gallery) as server:
        yield server


@pytest.fixture
def visit(browser: Browser) -> Iterator[OpenPage]:
    """Opens a page on a server. At the end of the test no page may have complained.

    `expected` are parts of complaints that belong to the test.
    """
    with contextlib.ExitStack() as stack:
        watches: list[tuple[Watch, tuple[str, ...]]] = []

        def open_page(
            server: Server, path: str = "/", *, expected: tuple[str, ...] = (), **options: object
        ) -> Page:
            context = browser.new_context(**{"viewport": WIDE, "base_url": server.url, **options})
            stack.callback(context.close)
            context.set_default_timeout(10_000)
            page = context.new_page()
            watches.append((Watch(page, server.url), expected))
            page.goto(path)
            return page

        yield open_page
        found = [
            complaint
            for watch, expected in watches
            for complaint in watch.complaints
            if not any(part in complaint for part in expected)
        ]
        assert found == []
