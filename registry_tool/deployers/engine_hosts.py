"""Where engines are: addresses that the operator granted under a name. A manifest never has one.

A name is looked up in the operator's settings first, then among the Docker contexts of the user.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from registry_tool.errors import EngineProblem

DEFAULT_SOCKET = "unix:///var/run/docker.sock"
_URL = re.compile(r"(?:unix|tcp|http|https|ssh|npipe)://\S+")
_LOCAL = ("unix://", "npipe://")


@dataclass(frozen=True, slots=True)
class Address:
    """One address of an engine. `certificates` is a directory with ca.pem, cert.pem and key.pem."""

    url: str
    certificates: Path | None = None
    verify: bool = True

    @property
    def is_local(self) -> bool:
        """Whether the engine runs on this machine, so that its containers can be reached directly."""
        return self.url.startswith(_LOCAL)


class Hosts:
    """Resolves the `target.host` of an environment.

    `granted` gives the operator's setting for a name: one address, or several of one Swarm, with
    spaces or commas between. `environ` are the environment variables, `home` is the user's.
    """

    def __init__(
        self, granted: Callable[[str], str | None], environ: Mapping[str, str], home: Path
    ) -> None:
        self._granted = granted
        self._environ = environ
        configuration = environ.get("DOCKER_CONFIG")
        self._configuration = Path(configuration) if configuration else home / ".docker"

    def addresses(self, host: str | None) -> tuple[Address, ...]:
        """Where to try, in order; raises EngineProblem for a name that nobody granted."""
        if host is None:
            return (self._default(),)
        granted = self._granted(host)
        if granted is not None:
            return self._from_setting(host, granted)
        if host == "default":
            return (self._default(),)
        return (self._context(host),)

    def _default(self) -> Address:
        url = self._environ.get("DOCKER_HOST")
        if url:
            secured = self._environ.get("DOCKER_TLS_VERIFY", "") != ""
            folder = self._environ.get("DOCKER_CERT_PATH") or str(self._configuration)
            return Address(url, Path(folder) if secured else None)
        context = self._environ.get("DOCKER_CONTEXT")
        if context and context != "default":
            return self._context(context)
        return Address(DEFAULT_SOCKET)

    def _from_setting(self, host: str, text: str) -> tuple[Address, ...]:
        urls = [url for url in re.split(r"[\s,]+", text) if url]
        if not urls or not all(_URL.fullmatch(url) for url in urls):
            raise EngineProblem(
                f'the setting for the host "{host}" is not an address: "{text}"',
                help="write unix:///path, tcp://host:port or ssh://user@host; several are separated by spaces",
                code="RT612",
            )
        return tuple(Address(url) for url in urls)

    def _context(self, name: str) -> Address:
        folder = hashlib.sha256(name.encode()).hexdigest()
        place = self._configuration / "contexts" / "meta" / folder / "meta.json"
        try:
            document: Any = json.loads(place.read_bytes())
            endpoint = document["Endpoints"]["docker"]
            url, verify = endpoint["Host"], not endpoint.get("SkipTLSVerify", False)
        except FileNotFoundError as problem:
            raise EngineProblem(
                f'nobody granted the host "{name}": there is no setting and no Docker context of that name',
                help=f"git config registry-tool.host.{name} ADDRESS, or: docker context create {name} "
                "--docker host=ADDRESS",
                code="RT612",
            ) from problem
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
            raise EngineProblem(
                f'the Docker context "{name}" cannot be read from {place}: {problem}',
                help=f"docker context inspect {name}",
                code="RT612",
            ) from problem
        certificates = self._configuration / "contexts" / "tls" / folder / "docker"
        return Address(str(url), certificates if certificates.is_dir() else None, verify)
