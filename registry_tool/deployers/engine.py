"""A container engine as deployments need it: the one module of this package that knows the Docker SDK.

Documents go in and come out in the words of the Engine API. Exceptions do not: a connection that
fails is an EngineProblem, an answer that says no is a `Refused`.
"""

from __future__ import annotations

import http.client
import re
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

from registry_tool.deployers.engine_hosts import Address
from registry_tool.errors import ActionFailed, EngineProblem

Document = dict[str, Any]
"""A JSON object of the Engine API."""

_CONNECT_SECONDS = 10.0
_SECONDS = 60.0
_PATIENT_SECONDS = 3600.0
"""For streams of gigabytes: the engine answers when it has stored them."""
STOP_SECONDS = 10
_FULL = "no space left on device"
_NO_GPU = re.compile(r"could not select device driver.*gpu")
_BROKEN_OFF = (ConnectionResetError, BrokenPipeError, http.client.IncompleteRead)


class Refused(ActionFailed):
    """The engine understood and said no: `status` is HTTP's."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Engine:
    """A connection to one engine; used from one thread, closed at the end.

    Methods that look something up return None where there is nothing. All others raise `Refused`
    for an answer that says no, and EngineProblem (transient) when there is none.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._api: Any = _connect(address)

    def close(self) -> None:
        """Let go of the connection."""
        self._api.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def info(self) -> Document:
        """What the engine says of itself."""
        with self._translated("asking the engine about itself"):
            return _document(self._api.info())

    # --- images ----------------------------------------------------------------------------------

    def image(self, reference: str) -> Document | None:
        """The image by reference or id."""
        with self._translated(f"looking for the image {reference}"):
            return document_or_none(self._found(self._api.inspect_image, reference))

    def pull(self, repository: str, digest: str) -> None:
        """Pull by digest, with the credentials of the Docker configuration."""
        with self._translated(f"pulling {repository}@{digest}"), self._patience():
            for event in self._api.pull(repository, tag=digest, stream=True, decode=True):
                if event.get("error"):
                    raise EngineProblem(
                        f"the engine could not pull {repository}@{digest}: {event['error']}",
                        help="check that the engine reaches the registry, and may",
                        code="RT611",
                        transient=_passes(str(event["error"])),
                    )

    def load(self, archive: Iterable[bytes]) -> None:
        """Take images from an archive as `docker save` writes it."""
        with self._translated("loading an image"), self._patience():
            for event in self._api.load_image(archive):
                if event.get("error"):
                    raise _refused("loading an image", str(event["error"]), 500)

    # --- containers ------------------------------------------------------------------------------

    def containers(self, labels: Sequence[str]) -> list[Document]:
        """Containers with all these labels (``name=value``), stopped ones too, as inspected."""
        with self._translated("listing containers"):
            found = self._api.containers(all=True, filters={"label": list(labels)})
            inspected = [self._found(self._api.inspect_container, entry["Id"]) for entry in found]
        return [entry for entry in inspected if entry is not None]

    def container(self, container: str) -> Document | None:
        """The container by name or id."""
        with self._translated(f"looking at the container {container}"):
            return document_or_none(self._found(self._api.inspect_container, container))

    def create(self, name: str, config: Document) -> str:
        """Create a container; its id."""
        with self._translated(f"creating the container {name}"):
            return str(self._api.create_container_from_config(config, name=name)["Id"])

    def start(self, container: str) -> None:
        """Start it, unless it runs."""
        with self._translated(f"starting the container {container}"):
            self._api.start(container)

    def stop(self, container: str) -> None:
        """Stop it, unless it has; killed when it does not end by itself."""
        with self._translated(f"stopping the container {container}"), self._patience():
            self._api.stop(container, timeout=STOP_SECONDS)

    def remove(self, container: str) -> None:
        """Remove it with its anonymous volumes; nothing happens when it is gone."""
        with self._translated(f"removing the container {container}"), self._patience():
            self._found(self._api.remove_container, container, force=True, v=True)

    def rename(self, container: str, name: str) -> None:
        """Give it another name."""
        with self._translated(f"renaming the container {container}"):
            self._api.rename(container, name)

    def keep_running(self, container: str) -> None:
        """Have the engine start it again whenever it ends, until it is stopped."""
        with self._translated(f"setting the restart policy of {container}"):
            self._api.update_container(container, restart_policy={"Name": "unless-stopped"})

    def put_files(self, container: str, folder: str, archive: Iterable[bytes]) -> None:
        """Unpack a tar archive inside a container, which need not run."""
        with self._translated(f"writing files to the container {container}"), self._patience():
            self._api.put_archive(container, folder, archive)

    def has_file(self, container: str, path: str) -> bool:
        """Whether there is something at a path."""
        with self._translated(f"looking for {path} in the container {container}"):
            found = self._found(self._api.get_archive, container, path)
            if found is None:
                return False
            for _ in found[0]:
                pass
            return True

    def logs(self, container: str, lines: int) -> str:
        """The end of what it wrote."""
        with self._translated(f"reading the log of {container}"):
            data = self._api.logs(container, stdout=True, stderr=True, tail=lines)
        return bytes(data).decode(errors="replace")

    def _as_far_as_it_comes(self, url: str, params: Mapping[str, object], seconds: float) -> bytes:
        """The answer to a question, up to its end, or to a silence of so many seconds."""
        import requests

        found = bytearray()
        with self._api._get(url, params=params, stream=True, timeout=seconds) as response:
            self._api._raise_for_status(response)
            try:
                for piece in response.iter_content(None):
                    found += piece
            except requests.ConnectionError:
                # Of a log that breaks off, the beginning is better than nothing.
                return bytes(found)
        return bytes(found)

    def execute(self, container: str, command: Sequence[str]) -> str:
        """Start a command inside a running container; its id for `exit_code`."""
        with self._translated(f"running a command in {container}"):
            started = self._api.exec_create(container, list(command), stdout=False, stderr=False)
            self._api.exec_start(started["Id"], detach=True)
        return str(started["Id"])

    def exit_code(self, execution: str) -> int | None:
        """How a command ended; None while it runs."""
        with self._translated("asking how a command ended"):
            found = self._api.exec_inspect(execution)
        return None if found["Running"] else found["ExitCode"]

    # --- networks and volumes --------------------------------------------------------------------

    def network(self, name: str) -> Document | None:
        """The network of exactly that name."""
        with self._translated(f"looking for the network {name}"):
            return document_or_none(self._found(self._api.inspect_network, name))

    def create_network(
        self, name: str, *, driver: str, labels: Mapping[str, str], attachable: bool = False
    ) -> None:
        """Create a network."""
        with self._translated(f"creating the network {name}"):
            self._api.create_network(
                name,
                driver=driver,
                labels=dict(labels),
                attachable=attachable or None,
                check_duplicate=True,
            )

    def connect(self, container: str, network: str, aliases: Sequence[str]) -> None:
        """Join a container to a network, under further names."""
        with self._translated(f"connecting {container} to {network}"):
            self._api.connect_container_to_network(container, network, aliases=list(aliases))

    def disconnect(self, container: str, network: str) -> None:
        """Take a container off a network."""
        with self._translated(f"disconnecting {container} from {network}"):
            self._api.disconnect_container_from_network(container, network, force=True)

    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        """Create a volume, unless it is there."""
        with self._translated(f"creating the volume {name}"):
            self._api.create_volume(name, labels=dict(labels))

    # --- below -----------------------------------------------------------------------------------

    def _found(self, ask: Any, *arguments: Any, **options: Any) -> Any:
        from docker import errors

        try:
            return ask(*arguments, **options)
        except errors.NotFound:
            return None

    @contextmanager
    def _patience(self) -> Iterator[None]:
        self._api.timeout = _PATIENT_SECONDS
        try:
            yield
        finally:
            self._api.timeout = _SECONDS

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        with _translated(self.address, doing):
            yield


def _connect(address: Address) -> Any:
    import docker
    from docker.tls import TLSConfig

    tls: TLSConfig | bool = False
    if address.certificates is not None:
        folder = address.certificates
        pair = (str(folder / "cert.pem"), str(folder / "key.pem"))
        authority = folder / "ca.pem"
        with _translated(address, "reading its certificates"):
            tls = TLSConfig(
                client_cert=pair if (folder / "cert.pem").exists() else None,
                ca_cert=str(authority) if authority.exists() else None,
                verify=address.verify,
            )
    with _translated(address, "connecting"):
        _knock(address)
        api: Any = docker.APIClient(
            base_url=address.url,
            version="auto",
            timeout=_CONNECT_SECONDS,  # type: ignore[arg-type]
            tls=tls,
            use_ssh_client=True,
        )
    api.timeout = _SECONDS
    return api


def _knock(address: Address) -> None:
    """Fail at a socket that nobody listens on; the SDK would leave its own end of it open."""
    if address.url.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_CONNECT_SECONDS)
            probe.connect(address.url.removeprefix("unix://"))


def _document(answer: Any) -> Document:
    return dict(answer)


def document_or_none(answer: Any) -> Document | None:
    """An answer of the SDK with its type."""
    return None if answer is None else dict(answer)


@contextmanager
def _translated(address: Address, doing: str) -> Iterator[None]:
    import requests
    import urllib3
    from docker import errors

    try:
        yield
    except errors.APIError as problem:
        words = str(problem.explanation or problem).strip()
        raise _refused(doing, words, problem.status_code or 500) from problem
    except (
        errors.DockerException,
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        OSError,
    ) as problem:
        broken = any(isinstance(cause, _BROKEN_OFF) for cause in _causes(problem))
        raise EngineProblem(
            f"the connection to the container engine at {address.url} broke off while {doing}"
            if broken
            else f"the container engine at {address.url} did not answer while {doing}: {problem}",
            help="check that it runs and that this user may use it",
            code="RT611",
            transient=True,
        ) from problem


def _causes(problem: BaseException) -> Iterator[BaseException]:
    """The exception and what it came from; libraries hand that over as arguments."""
    waiting: list[object] = [problem]
    while waiting:
        cause = waiting.pop()
        if isinstance(cause, BaseException):
            yield cause
            waiting += cause.args


def _refused(doing: str, words: str, status: int) -> Refused | EngineProblem:
    if _FULL in words:
        return EngineProblem(
            f"the engine's disk is full: it refused {doing}: {words}",
            help="free some space: docker system df, docker system prune",
            code="RT611",
        )
    if _NO_GPU.search(words):
        words += "; it needs the NVIDIA Container Toolkit to give containers GPUs"
    return Refused(f"the engine refused {doing}: {words}", status)


def _passes(words: str) -> bool:
    """Whether a failed pull may work when tried again."""
    lasting = ("not found", "unauthorized", "denied", "unknown", "no basic auth", "no space left")
    return not any(word in words.lower() for word in lasting)
