"""TLS and proxies: whom the client trusts, and what it says when it does not."""

from __future__ import annotations

import select
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from registry_parts import MIB, blob, put
from services.engine import unavailable
from services.fault_registry import Registry, fault_registry

from registry_tool.errors import StoreProblem
from registry_tool.oci.registry_credentials import DockerCredentials
from registry_tool.oci.registry_store import RegistryStore


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody trusts, with its key in the same file."""
    if shutil.which("openssl") is None:
        unavailable("there is no openssl: apt-get install openssl")
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "ca.crt"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1,DNS:registry.test"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate


@pytest.fixture
def secure(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """A registry that speaks HTTPS."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.parent / "key.pem")
    with fault_registry(tls=context) as registry:
        yield registry


def store_in(registry: Registry, docker: Path, *, insecure: bool = False) -> RegistryStore:
    credentials = DockerCredentials(docker)
    name = f"{registry.host}/team"
    return RegistryStore(name, insecure=insecure, credentials=credentials, sleep=lambda _: None)


def test_an_unknown_certificate_is_not_trusted(secure: Registry, tmp_path: Path) -> None:
    with pytest.raises(StoreProblem, match=r"certificate .* is not trusted") as caught:
        store_in(secure, tmp_path).resolve("minilm", "1.0.0")
    assert f"certs.d/{secure.host}/ca.crt" in (caught.value.help or "")
    assert not caught.value.transient


def test_what_docker_trusts_is_trusted(secure: Registry, certificate: Path, tmp_path: Path) -> None:
    folder = tmp_path / "certs.d" / secure.host
    folder.mkdir(parents=True)
    shutil.copy(certificate, folder)
    digest = put(store_in(secure, tmp_path), blob(20 * MIB))
    assert secure.blobs["team/minilm", digest] == blob(20 * MIB)


def test_what_the_system_trusts_is_trusted(
    secure: Registry, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert store_in(secure, tmp_path).resolve("minilm", "1.0.0") is None


def test_a_broken_certificate_of_docker_is_named(secure: Registry, tmp_path: Path) -> None:
    folder = tmp_path / "certs.d" / secure.host
    folder.mkdir(parents=True)
    (folder / "old.crt").write_text("not a certificate")
    with pytest.raises(StoreProblem, match=r"old\.crt"):
        store_in(secure, tmp_path)


def test_plain_http_to_a_registry_with_tls_is_explained(secure: Registry, tmp_path: Path) -> None:
    with pytest.raises(StoreProblem) as caught:
        store_in(secure, tmp_path, insecure=True).resolve("minilm", "1.0.0")
    assert secure.host in caught.value.message


def test_a_broken_upload_over_tls_goes_on(
    secure: Registry, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    secure.faults.breaks.append(5 * MIB)
    digest = put(store_in(secure, tmp_path), blob(20 * MIB))
    assert secure.blobs["team/minilm", digest] == blob(20 * MIB)
    assert secure.bytes_uploaded == 20 * MIB


def test_a_location_in_the_open_is_not_followed(
    secure: Registry, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that ends TLS, and does not tell the registry behind it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    secure.scheme = "http"
    with pytest.raises(StoreProblem, match="sent us to plain HTTP") as caught:
        put(store_in(secure, tmp_path), blob(MIB))
    assert "X-Forwarded-Proto" in (caught.value.help or "")


# --- Proxies ---


class _Proxy(threading.Thread):
    """Forwards CONNECT and absolute URLs to one server, whatever its name, and remembers them."""

    def __init__(self, server: int) -> None:
        super().__init__(daemon=True)
        self.asked: list[str] = []
        self._server = server
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def run(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self, client: socket.socket) -> None:
        with client:
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(65536)
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            self.asked.append(f"{method} {target}")
            address = target.removeprefix("http://").split("/")[0]
            with socket.create_connection(("127.0.0.1", self._server)) as server:
                if method == "CONNECT":
                    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                else:
                    path = target.removeprefix(f"http://{address}").encode()
                    server.sendall(head.replace(target.encode(), path, 1))
                self._relay(client, server)

    def _relay(self, client: socket.socket, server: socket.socket) -> None:
        other = {client: server, server: client}
        while True:
            ready, _, _ = select.select([client, server], [], [], 10)
            for side in ready:
                data = side.recv(65536)
                if not data:
                    return
                other[side].sendall(data)


@contextmanager
def proxy(registry: Registry) -> Iterator[_Proxy]:
    """In front of a registry, which is known by another name from then on."""
    port = int(registry.host.partition(":")[2])
    registry.host = f"registry.test:{port}"
    running = _Proxy(port)
    running.start()
    try:
        yield running
    finally:
        running.close()
        running.join()


@pytest.fixture
def no_bypass(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("no_bypass")
def test_the_proxy_of_the_environment_is_used(
    secure: Registry, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with proxy(secure) as running:
        monkeypatch.setenv("https_proxy", running.url)
        put(store_in(secure, tmp_path), blob(MIB))
        assert set(running.asked) == {f"CONNECT {secure.host}"}
    with fault_registry() as plain, proxy(plain) as running:
        monkeypatch.setenv("http_proxy", running.url)
        put(store_in(plain, tmp_path, insecure=True), blob(MIB))
        assert running.asked[0].startswith(f"HEAD http://{plain.host}/v2/")


@pytest.mark.usefixtures("no_bypass")
def test_this_machine_needs_no_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with fault_registry() as registry:
        assert store_in(registry, tmp_path, insecure=True).resolve("minilm", "1.0.0") is None


@pytest.mark.usefixtures("no_bypass")
def test_a_proxy_that_is_down_is_named(
    secure: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxy(secure) as gone:
        pass
    monkeypatch.setenv("https_proxy", gone.url)
    with pytest.raises(StoreProblem, match="proxy") as caught:
        store_in(secure, tmp_path).resolve("minilm", "1.0.0")
    assert caught.value.transient


def test_a_registry_may_be_left_out(
    secure: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxy(secure) as running:
        monkeypatch.setenv("https_proxy", running.url)
        monkeypatch.setenv("no_proxy", "registry.test")
        with pytest.raises(StoreProblem, match=r"registry\.test.* cannot be reached"):
            store_in(secure, tmp_path).resolve("minilm", "1.0.0")
        assert running.asked == []
