"""Who we are to a registry: the Docker configuration and its credential helpers.

The file is the one that `docker login`, `podman login --compat-auth-file` and the cloud vendors'
helpers write: `$DOCKER_CONFIG/config.json`, by default `~/.docker/config.json`.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from registry_tool.errors import StoreProblem

_HELPER_SECONDS = 60
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)
_NOT_FOUND = "credentials not found"
_TOKEN_USER = "<token>"  # noqa: S105 - the user name that helpers give with an identity token
DOCKER_HUB = "https://index.docker.io/v1/"
"""What Docker calls its own registry in the file."""


@dataclass(frozen=True, slots=True)
class Login:
    """A user name with a password, or an identity token that is exchanged for access tokens."""

    user: str
    secret: str = field(repr=False)
    is_identity_token: bool = False

    @property
    def basic(self) -> str:
        """The value of an Authorization header."""
        text = f"{self.user}:{self.secret}"
        return "Basic " + base64.b64encode(text.encode()).decode()


class DockerCredentials:
    """Logins of the Docker configuration; read anew each time, since helpers' passwords expire."""

    def __init__(self, folder: Path | None = None) -> None:
        chosen = os.environ.get("DOCKER_CONFIG")
        default = Path(chosen) if chosen else Path.home() / ".docker"
        self.folder = folder or default

    @property
    def file(self) -> Path:
        """The configuration file."""
        return self.folder / "config.json"

    def login(self, host: str) -> Login | None:
        """The login for a registry's host (with its port); None to be anonymous.

        Raises StoreProblem when the configuration or a helper cannot be used.
        """
        document = self._read()
        keys = _keys(host)
        helpers = document.get("credHelpers")
        for key in keys:
            if isinstance(helpers, dict) and isinstance(helpers.get(key), str):
                return _ask_helper(helpers[key], key)
        store = document.get("credsStore")
        if isinstance(store, str) and store:
            for key in keys:
                if found := _ask_helper(store, key):
                    return found
        auths = document.get("auths")
        return self._saved(auths, keys) if isinstance(auths, dict) else None

    def _read(self) -> dict[str, Any]:
        try:
            document = json.loads(self.file.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as problem:
            raise StoreProblem(
                f"the Docker configuration {self.file} cannot be read: {problem}",
                code="RT608",
                help="correct it, or point DOCKER_CONFIG to another directory",
            ) from problem
        return document if isinstance(document, dict) else {}

    def _saved(self, auths: dict[str, Any], keys: tuple[str, ...]) -> Login | None:
        by_host = {_host_of(name): entry for name, entry in auths.items()}
        for key in keys:
            entry = auths.get(key) or by_host.get(_host_of(key))
            if isinstance(entry, dict) and (found := self._decoded(entry, key)):
                return found
        return None

    def _decoded(self, entry: dict[str, Any], key: str) -> Login | None:
        user, secret = entry.get("username"), entry.get("password")
        if isinstance(entry.get("auth"), str) and entry["auth"]:
            try:
                text = base64.b64decode(entry["auth"], validate=True).decode()
            except (binascii.Error, UnicodeDecodeError) as problem:
                raise StoreProblem(
                    f"{self.file}: the login for {key} is not base64 of user:password",
                    code="RT608",
                    help=f"log in again: docker login {key}",
                ) from problem
            user, _, secret = text.partition(":")
            secret = secret.rstrip("\0")
        if isinstance(entry.get("identitytoken"), str) and entry["identitytoken"]:
            return Login(str(user or ""), entry["identitytoken"], is_identity_token=True)
        if isinstance(user, str) and isinstance(secret, str) and user:
            return Login(user, secret)
        return None


def _keys(host: str) -> tuple[str, ...]:
    """How a host may be called in the file."""
    if host in {"docker.io", "index.docker.io", "registry-1.docker.io"}:
        return (DOCKER_HUB, "docker.io", "index.docker.io")
    return (host, f"https://{host}")


def _host_of(name: str) -> str:
    return re.sub(r"^https?://", "", name).split("/")[0]


def _ask_helper(helper: str, key: str) -> Login | None:
    program = f"docker-credential-{helper}"
    if not _HELPER.fullmatch(helper):
        raise _helper_problem(program, key, "its name is not that of a helper")
    try:
        done = subprocess.run(
            [program, "get"],
            input=key,
            capture_output=True,
            text=True,
            timeout=_HELPER_SECONDS,
            check=False,
        )
    except FileNotFoundError as problem:
        raise _helper_problem(program, key, "it is not on PATH") from problem
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise _helper_problem(program, key, str(problem)) from problem
    if done.returncode != 0:
        words = " ".join((done.stdout + done.stderr).split())
        if _NOT_FOUND in words:
            return None
        raise _helper_problem(program, key, words[:200] or f"exit code {done.returncode}")
    return _parsed(program, key, done.stdout)


def _parsed(program: str, key: str, text: str) -> Login | None:
    try:
        match json.loads(text):
            case {"Username": str(user), "Secret": str(secret)}:
                if not user and not secret:
                    return None
                token = user == _TOKEN_USER
                return Login("" if token else user, secret, is_identity_token=token)
    except ValueError:
        pass  # said below, without the text: it may be a secret
    raise _helper_problem(program, key, "its answer is not the JSON of a login")


def _helper_problem(program: str, key: str, why: str) -> StoreProblem:
    return StoreProblem(
        f"the credential helper {program} gave no login for {key}: {why}",
        code="RT608",
        help="install or repair the helper, or remove it from the Docker configuration"
        " (credHelpers, credsStore)",
    )
