"""Logins and tokens: where they come from, what they are good for, and where they never go."""

from __future__ import annotations

import base64
import json
import os
from collections import deque
from pathlib import Path

import pytest
from registry_parts import MIB, Client, blob, put, put_image
from services.fault_registry import USER

from registry_tool.domain.digests import digest_of
from registry_tool.errors import StoreProblem
from registry_tool.oci.registry_answers import Answer
from registry_tool.oci.registry_auth import Authorizer, Challenge, parse_challenge
from registry_tool.oci.registry_credentials import DOCKER_HUB, DockerCredentials, Login


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory in front of PATH, for credential helpers."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def helper(folder: Path, name: str, script: str) -> None:
    program = folder / f"docker-credential-{name}"
    program.write_text(f'#!/bin/sh\n[ "$1" = get ] || exit 9\n{script}\n')
    program.chmod(0o755)


def answering(user: str, secret: str) -> str:
    text = json.dumps({"ServerURL": "x", "Username": user, "Secret": secret})
    return f"cat > /dev/null; echo '{text}'"


def configured(folder: Path, document: object) -> DockerCredentials:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(document))
    return DockerCredentials(folder)


# --- The Docker configuration ---


def encoded(text: str) -> dict[str, str]:
    return {"auth": base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("registry.example:5000", "registry.example:5000"),
        ("https://registry.example", "registry.example"),
        ("https://registry.example/v1/", "registry.example"),
        ("registry.example/team", "registry.example"),
        (DOCKER_HUB, "registry-1.docker.io"),
        (DOCKER_HUB, "docker.io"),
    ],
)
def test_a_login_is_found_by_host(tmp_path: Path, name: str, host: str) -> None:
    credentials = configured(tmp_path, {"auths": {name: encoded("ada:a:b")}})
    assert credentials.login(host) == Login("ada", "a:b")
    assert credentials.login("elsewhere.example") is None
    assert credentials.login(f"{host}1") is None


def test_other_forms_of_logins(tmp_path: Path) -> None:
    document = {
        "auths": {
            "plain.example": {"username": "ada", "password": "x"},
            "token.example": {**encoded("ada:ignored"), "identitytoken": "t0k3n"},
            "empty.example": {},
        }
    }
    credentials = configured(tmp_path, document)
    assert credentials.login("plain.example") == Login("ada", "x")
    assert credentials.login("token.example") == Login("ada", "t0k3n", is_identity_token=True)
    assert credentials.login("empty.example") is None


def test_a_secret_does_not_show() -> None:
    assert "hunter2" not in repr(Login("ada", "hunter2"))


def test_where_the_configuration_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert DockerCredentials().file == tmp_path / "config.json"
    monkeypatch.delenv("DOCKER_CONFIG")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert DockerCredentials().file == tmp_path / ".docker" / "config.json"
    assert DockerCredentials().login("registry.example") is None


@pytest.mark.parametrize("text", ["{", '{"auths": {"x.example": {"auth": "!"}}}'])
def test_a_broken_configuration_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(StoreProblem, match=r"config\.json"):
        DockerCredentials(tmp_path).login("x.example")


def test_helpers_win_over_what_is_saved(tmp_path: Path, path: Path) -> None:
    helper(path, "own", answering("own", "1"))
    helper(path, "all", answering("all", "2"))
    document = {
        "auths": {"a.example": encoded("saved:3")},
        "credsStore": "all",
        "credHelpers": {"a.example": "own"},
    }
    credentials = configured(tmp_path / "docker", document)
    assert credentials.login("a.example") == Login("own", "1")
    assert credentials.login("b.example") == Login("all", "2")


def test_a_helper_is_told_the_host(tmp_path: Path, path: Path) -> None:
    helper(path, "echo", """echo "{\\"Username\\": \\"u\\", \\"Secret\\": \\"$(cat)\\"}" """)
    credentials = configured(tmp_path / "docker", {"credHelpers": {"a.example:5000": "echo"}})
    assert credentials.login("a.example:5000") == Login("u", "a.example:5000")


def test_a_helper_may_know_nobody(tmp_path: Path, path: Path) -> None:
    helper(path, "none", "echo credentials not found in native keychain; exit 1")
    document = {"auths": {"a.example": encoded("saved:3")}, "credsStore": "none"}
    assert configured(tmp_path / "docker", document).login("a.example") == Login("saved", "3")


def test_a_helper_may_give_an_identity_token(tmp_path: Path, path: Path) -> None:
    helper(path, "token", answering("<token>", "t0k3n"))
    credentials = configured(tmp_path / "docker", {"credsStore": "token"})
    assert credentials.login("a.example") == Login("", "t0k3n", is_identity_token=True)


@pytest.mark.parametrize(
    ("name", "script", "words"),
    [
        ("broken", "echo the vault is sealed >&2; exit 3", "the vault is sealed"),
        ("silent", "exit 3", "exit code 3"),
        ("odd", 'echo \'{"Secret": "hunter2"}\'', "not the JSON of a login"),
        ("odd", "echo hunter2", "not the JSON of a login"),
    ],
)
def test_a_helper_that_fails_is_named_without_its_secrets(
    tmp_path: Path, path: Path, name: str, script: str, words: str
) -> None:
    helper(path, name, script)
    credentials = configured(tmp_path / "docker", {"credsStore": name})
    with pytest.raises(StoreProblem, match=words) as caught:
        credentials.login("a.example")
    assert f"docker-credential-{name}" in caught.value.message
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("name", ["missing", "../evil", "a b"])
def test_a_helper_that_cannot_be_run_is_named(tmp_path: Path, name: str) -> None:
    credentials = configured(tmp_path / "docker", {"credsStore": name})
    with pytest.raises(StoreProblem, match="gave no login"):
        credentials.login("a.example")


# --- Challenges ---


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('Basic realm="x"', Challenge("basic")),
        ("basic", Challenge("basic")),
        (
            'Bearer realm="https://a/token",service="a b",scope="repository:x:pull,push"',
            Challenge("bearer", "https://a/token", "a b"),
        ),
        (
            'Basic realm="x", Bearer realm="https://a/t", service=s',
            Challenge("bearer", "https://a/t", "s"),
        ),
        ('Bearer realm="https://a/t"', Challenge("bearer", "https://a/t")),
        ('Bearer service="no realm"', None),
        ("Negotiate abc", None),
        ("", None),
    ],
)
def test_challenges(header: str, expected: Challenge | None) -> None:
    assert parse_challenge(header) == expected


# --- Against a registry ---


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_a_login_is_enough(client: Client, auth: str) -> None:
    client.registry.faults.auth = auth
    client.log_in()
    store = client.store()
    image = put_image(store)
    store.put_tags("minilm", {"1.0.0": image})
    assert client.store().resolve("minilm", "1.0.0") == image
    assert store.ping() == USER


def test_tokens_are_kept_while_they_last(client: Client) -> None:
    client.registry.faults.auth = "bearer"
    client.log_in()
    store = client.store()
    for seed in range(5):
        put(store, blob(MIB, seed))
    assert client.registry.token_requests == 1


def test_a_mount_asks_for_both_repositories(client: Client) -> None:
    client.registry.faults.auth = "bearer"
    client.log_in()
    store = client.store()
    digest = put(store, blob(MIB))
    assert store.mount_blob("bert", digest, "minilm")
    granted = [scopes for scopes in client.registry.tokens.values() if len(scopes) > 1]
    assert granted == [{"repository:team/bert:pull,push", "repository:team/minilm:pull"}]


def test_a_repository_that_cannot_be_seen_can_be_pushed_to(client: Client) -> None:
    """Some token servers give no right to read what does not exist, but one to create it."""
    client.registry.faults.auth = "bearer"
    client.registry.faults.hides = True
    client.log_in()
    store = client.store()
    assert store.resolve("minilm", "1.0.0") is None
    image = put_image(store)
    store.put_tags("minilm", {"1.0.0": image})
    assert client.store().resolve("minilm", "1.0.0") == image


def test_a_login_that_may_only_read_can_read(client: Client) -> None:
    client.registry.faults.auth = "bearer"
    client.log_in()
    writer = client.store()
    image = put_image(writer)
    writer.put_tags("minilm", {"1.0.0": image})
    client.registry.faults.read_only = True
    reader = client.store()
    assert reader.tags("minilm") == {"1.0.0": image}
    assert reader.read_manifest("minilm", image.digest)
    before = client.registry.token_requests
    assert reader.has_blob("minilm", digest_of(b"weights"))
    assert client.registry.token_requests == before, "what was refused is not asked for again"
    with pytest.raises(StoreProblem, match="ada may not do this"):
        put(reader, blob(MIB))


def test_a_token_that_is_refused_is_replaced(client: Client) -> None:
    client.registry.faults.auth = "bearer"
    client.log_in()
    store = client.store()
    put(store, blob(MIB))
    client.registry.tokens.clear()
    put(store, blob(MIB, 1))


def test_a_token_that_is_refused_in_the_middle_of_a_blob_is_replaced(client: Client) -> None:
    client.registry.faults.auth = "bearer"
    client.log_in()
    store = client.store()
    bearer = {
        "WWW-Authenticate": f'Bearer realm="http://{client.registry.host}/token",service="test"'
    }
    client.registry.faults.refusals = deque([("PUT", "/uploads/", 401, bearer)])
    data = blob(20 * MIB)
    digest = put(store, data)
    assert client.registry.blobs["team/minilm", digest] == data
    assert client.naps == []


def test_without_a_login_the_fix_is_named(client: Client) -> None:
    for auth in ("basic", "bearer"):
        client.registry.faults.auth = auth
        with pytest.raises(StoreProblem, match="wants a login") as caught:
            client.store().resolve("minilm", "1.0.0")
        assert f"docker login {client.registry.host}" in (caught.value.help or "")
        assert not caught.value.transient


def test_a_wrong_login_is_told_from_none(client: Client) -> None:
    client.log_in(user="bob", password="hunter2")
    for auth in ("basic", "bearer"):
        client.registry.faults.auth = auth
        with pytest.raises(StoreProblem, match="does not accept the login of bob") as caught:
            client.store().resolve("minilm", "1.0.0")
        assert "hunter2" not in caught.value.message + (caught.value.help or "")


def test_someone_who_may_not_push_is_named(client: Client) -> None:
    client.registry.faults.auth = "basic"
    client.registry.faults.read_only = True
    client.log_in()
    with pytest.raises(StoreProblem, match="ada may not do this") as caught:
        put(client.store(), blob(MIB))
    assert "right to push" in (caught.value.help or "")


def test_a_token_server_that_is_busy_is_asked_again(client: Client) -> None:
    client.registry.faults.auth = "bearer"
    client.log_in()
    busy = ("GET", "/token", 503, {"Retry-After": "4"})
    client.registry.faults.refusals = deque([busy])
    put(client.store(), blob(MIB))
    assert client.naps == [4]


# --- Tokens, one by one ---


class TokenServer:
    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, dict[str, str], bytes | None]] = []

    def __call__(self, method: str, url: str, headers: object, body: bytes | None) -> Answer:
        self.asked.append((method, url, dict(headers), body))  # type: ignore[call-overload]
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def token(text: str, **members: object) -> Answer:
    return Answer(200, {}, json.dumps({"token": text, **members}).encode())


REFUSED = Answer(401, {"www-authenticate": 'Bearer realm="https://auth.example/t?a=b",service="s"'})
SCOPES = ("repository:team/minilm:pull",)


def authorizer(
    folder: Path, server: TokenServer, clock: list[float] | None = None, **settings: bool
) -> Authorizer:
    now = clock if clock is not None else [0.0]
    credentials = DockerCredentials(folder)
    return Authorizer("registry.example", credentials, server, clock=lambda: now[0], **settings)


def test_a_token_is_asked_for_with_the_login(tmp_path: Path) -> None:
    configured(tmp_path, {"auths": {"registry.example": encoded("ada:x")}})
    server = TokenServer(token("t1"))
    auth = authorizer(tmp_path, server)
    assert auth.header(SCOPES) is None
    assert auth.challenged(REFUSED, SCOPES, None)
    assert auth.header(SCOPES) == "Bearer t1"
    ((method, url, headers, _),) = server.asked
    assert method == "GET"
    assert url == (
        "https://auth.example/t?a=b&service=s&scope=repository%3Ateam%2Fminilm%3Apull&account=ada"
    )
    assert headers == {"Authorization": "Basic " + base64.b64encode(b"ada:x").decode()}


def test_an_anonymous_token_is_asked_for_without(tmp_path: Path) -> None:
    server = TokenServer(token("t1"))
    assert authorizer(tmp_path, server).challenged(REFUSED, SCOPES, None)
    assert server.asked[0][2] == {}


def test_an_identity_token_is_exchanged(tmp_path: Path) -> None:
    configured(tmp_path, {"auths": {"registry.example": {"identitytoken": "long lived"}}})
    server = TokenServer(Answer(200, {}, b'{"access_token": "short"}'))
    auth = authorizer(tmp_path, server)
    assert auth.challenged(REFUSED, SCOPES, None)
    assert auth.header(SCOPES) == "Bearer short"
    ((method, url, headers, body),) = server.asked
    assert (method, url) == ("POST", "https://auth.example/t?a=b")
    assert "Authorization" not in headers
    assert b"refresh_token=long+lived" in (body or b"")


@pytest.mark.parametrize(("expires", "good_until"), [({}, 50), ({"expires_in": 300}, 290)])
def test_a_token_is_used_until_shortly_before_its_end(
    tmp_path: Path, expires: dict[str, int], good_until: int
) -> None:
    clock = [1000.0]
    server = TokenServer(token("t1", **expires), token("t2", **expires))
    auth = authorizer(tmp_path, server, clock)
    auth.challenged(REFUSED, SCOPES, None)
    clock[0] += good_until - 1
    assert auth.header(SCOPES) == "Bearer t1"
    clock[0] += 1
    assert auth.header(SCOPES) == "Bearer t2"


def test_a_refused_token_is_replaced_once(tmp_path: Path) -> None:
    auth = authorizer(tmp_path, TokenServer(token("t1"), token("t2"), token("t2")))
    assert auth.challenged(REFUSED, SCOPES, None)
    assert auth.challenged(REFUSED, SCOPES, "Bearer t1")
    assert not auth.challenged(REFUSED, SCOPES, "Bearer t2")


def test_the_token_that_another_thread_got_is_used(tmp_path: Path) -> None:
    server = TokenServer(token("t1"), token("t2"))
    auth = authorizer(tmp_path, server)
    auth.challenged(REFUSED, SCOPES, None)
    auth.challenged(REFUSED, SCOPES, "Bearer t1")
    assert auth.challenged(REFUSED, SCOPES, "Bearer t1")
    assert len(server.asked) == 2


@pytest.mark.parametrize("insecure", [False, True])
def test_a_login_is_not_sent_in_the_open(tmp_path: Path, insecure: bool) -> None:
    refused = Answer(401, {"www-authenticate": 'Bearer realm="http://auth.example/t"'})
    server = TokenServer(token("t1"))
    auth = authorizer(tmp_path, server, insecure=insecure)
    if insecure:
        assert auth.challenged(refused, SCOPES, None)
    else:
        with pytest.raises(StoreProblem, match="in the open"):
            auth.challenged(refused, SCOPES, None)
        assert server.asked == []


@pytest.mark.parametrize("body", [b"", b"[]", b'{"token": 1}', b"<html>"])
def test_a_token_server_that_talks_nonsense_is_named(tmp_path: Path, body: bytes) -> None:
    server = TokenServer(Answer(200, {}, body, "https://auth.example/t"))
    with pytest.raises(StoreProblem, match=r"auth\.example .* without a token"):
        authorizer(tmp_path, server).challenged(REFUSED, SCOPES, None)
