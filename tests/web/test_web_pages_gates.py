"""Gates on pages: what an environment asks for, and whether a deployment has it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from registries import RegistryFolder, add_minilm, empty_repository
from web_index import Index, apply_to, open_index

GATES = """\
  promote_from: staging
  soak: 2d
  accepts: [released]
  approvals: {count: 1, from: [grace@example.org]}
  freeze:
    - {schedule: 0 18 * * 5, duration: 60h, timezone: Europe/Berlin, reason: weekend}
"""
APPROVED = "Promote search\n\nApproved-by: Grace Hopper <grace@example.org>"
MONDAY = datetime(2040, 1, 2, 12, tzinfo=UTC)
SATURDAY = datetime(2040, 1, 7, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> RegistryFolder:
    """minilm runs in staging; production wants it behind gates, and has an approval of the wrong person."""
    with pytest.MonkeyPatch.context() as patch:
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "Ada Lovelace")
            patch.setenv(f"GIT_{role}_EMAIL", "ada@example.org")
        folder = apply_to(add_minilm(empty_repository(tmp_path_factory.mktemp("gated"))))
        folder.environment("production")
        folder.replace("manifests/environments/production.yaml", "spec: {}", f"spec:\n{GATES}")
        folder.replace("manifests/releases/minilm/1.0.0/none.yaml", "candidate", "released")
        folder.deployment("production", "search", "minilm", "1.0.0")
        folder.environment("canary")
        folder.replace(
            "manifests/environments/canary.yaml",
            "spec: {}",
            "spec: {promote_from: staging, approvals: {count: 1}}",
        )
        folder.environment("strict")
        folder.replace(
            "manifests/environments/strict.yaml", "spec: {}", "spec: {accepts: [candidate]}"
        )
        folder.commit("Deploy search\n\nApproved-by: Ada Lovelace <ada@example.org>")
        folder.replace(
            "manifests/deployments/production/search.yaml", "spec:", "spec:\n  replicas: 1"
        )
        folder.commit(APPROVED)
    return folder


def index_at(folder: RegistryFolder, now: datetime) -> Iterator[Index]:
    with open_index(folder.path, clock=lambda: now) as index:
        yield index


@pytest.fixture(scope="module")
def monday(gated: RegistryFolder) -> Iterator[Index]:
    yield from index_at(gated, MONDAY)


def gates(index: Index, path: str) -> dict[str, str]:
    """What is said of each gate on a page, by its name in lower case."""
    text = index.client.get(path).text
    listed = re.search(r'<ul class="gates">(.*?)</ul>', text, re.DOTALL)
    assert listed, text
    entries = re.findall(r"<li>(.*?)</li>", listed[1], re.DOTALL)
    plain = [" ".join(unescape(re.sub(r"<[^>]+>", " ", entry)).split()) for entry in entries]
    return {entry.split()[0].lower(): entry for entry in plain}


def test_gates_that_are_satisfied_say_why(monday: Index, gated: RegistryFolder) -> None:
    found = gates(monday, "/deployments/production/search")
    assert found["accepts"] == "Accepts released satisfied It is released"
    assert "from staging, at least 2d satisfied It ran in staging for" in found["promotion"]
    assert "1 of grace@example.org satisfied" in found["approvals"]
    assert "1 of 1: grace@example.org" in found["approvals"]
    assert gated.git("rev-parse", "--short=12", "HEAD") in found["approvals"]
    assert found["freeze"].endswith("weekend satisfied Open now")


def test_a_freeze_tells_when_it_ends(gated: RegistryFolder) -> None:
    for index in index_at(gated, SATURDAY):
        found = gates(index, "/deployments/production/search")
        assert "waiting Closed until 2040-01-09 05:00 UTC" in found["freeze"]
        for path in ("/", "/deployments"):
            assert "closed until 2040-01-09 05:00 UTC" in index.client.get(path).text, path


def test_a_soak_tells_when_it_opens(monday: Index, gated: RegistryFolder) -> None:
    (record,) = monday.get("/deployment-records")["items"]
    start = datetime.fromisoformat(record["timings"]["finished_at"])
    for index in index_at(gated, start + timedelta(hours=5, minutes=1)):
        found = gates(index, "/deployments/production/search")
        opens = f"{start + timedelta(days=2):%Y-%m-%d %H:%M} UTC"
        assert (
            f"It ran in staging for 5h1m; opens {opens} if it keeps running" in (found["promotion"])
        )


def test_an_approval_of_the_author_does_not_count(monday: Index) -> None:
    found = gates(monday, "/deployments/production/search?at=HEAD~1")
    assert "waiting 0 of 1" in found["approvals"]


def test_what_depends_on_the_time_is_not_known_of_the_past(monday: Index) -> None:
    found = gates(monday, "/deployments/production/search?at=HEAD~1")
    assert "not known Not known here: it depends on the time" in found["freeze"]
    assert "it depends on the time" in found["promotion"]


def test_a_release_that_runs_everywhere_may_go_nowhere(shared: Index) -> None:
    text = shared.client.get("/releases/minilm/1.0.0/none/gates").text
    assert "Every environment wants it already." in text


def test_a_release_tells_where_it_may_go(monday: Index, gated: RegistryFolder) -> None:
    part = "/releases/minilm/1.0.0/none/gates"
    assert f'hx-get="{part}"' in monday.client.get(part.removesuffix("/gates")).text
    assert monday.client.get(part).text.count("<li>") == 2
    found = gates(monday, part)
    assert found["canary"] == (
        "canary not known Approvals: not known here: the commit that asks for it has to have them"
    )
    assert found["strict"] == "strict waiting Accepts candidate: it is released"


def test_who_approved_is_told_with_the_change(monday: Index) -> None:
    text = " ".join(monday.client.get("/deployments/production/search").text.split())
    assert "Ada Lovelace, approved by Grace Hopper, <code" in text


def test_an_environment_only_tells_what_it_asks_for(monday: Index) -> None:
    found = gates(monday, "/environments/production")
    assert found["accepts"] == "Accepts released"
    assert found["promotion"] == "Promotion from staging, at least 2d"


def test_the_matrix_names_gates_briefly(monday: Index) -> None:
    assert "compose, from staging, 1 approval, freezes" in unescape(
        monday.client.get("/deployments").text
    )


def test_a_release_that_is_not_built_waits(applied: RegistryFolder) -> None:
    applied.environment("production")
    applied.replace("manifests/environments/production.yaml", "spec: {}", f"spec:\n{GATES}")
    applied.release("minilm", "1.1.0", stage="released")
    applied.deployment("production", "search", "minilm", "1.1.0")
    applied.commit("Deploy what is not built")
    for index in index_at(applied, MONDAY):
        found = gates(index, "/deployments/production/search")
        assert "waiting It is not built yet" in found["promotion"]


def test_the_matrix_is_narrowed_to_what_one_asks_for(monday: Index) -> None:
    def shown(query: str) -> tuple[list[str], list[str]]:
        text = monday.client.get(f"/deployments?{query}").text
        columns = re.findall(r'<th scope="col"><a[^>]*>([^<]+)</a>', text)
        cells = re.findall(r'<a class="name" href="/deployments/([^"]+)"', text)
        return columns, cells

    assert shown("") == (
        ["staging", "strict", "canary", "production"],
        ["staging/search", "production/search"],
    )
    assert shown("environment=production") == (["production"], ["production/search"])
    assert shown("state=deployed")[1] == ["staging/search"]
    assert shown("q=nothing")[1] == []
