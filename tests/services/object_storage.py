"""A real process that speaks S3 (moto's server), behind a proxy that counts and breaks."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from services.http_proxy import Proxy, Request

from registry_tool.storage import retrying

_START_SECONDS = 60
_NAMES = itertools.count(1)


@dataclass
class ObjectStorage:
    """A server for tests; `client` talks to it directly, what is tested through `proxy`."""

    client: Any
    proxy: Proxy
    environment: dict[str, str] = field(default_factory=dict)

    def bucket(self, *, versions: bool = False) -> str:
        """A new bucket."""
        name = f"models-{next(_NAMES)}"
        self.client.create_bucket(Bucket=name)
        if versions:
            settings = {"Status": "Enabled"}
            self.client.put_bucket_versioning(Bucket=name, VersioningConfiguration=settings)
        return name

    def put(self, url: str, data: bytes) -> str | None:
        """Write an object without the proxy; its version id."""
        bucket, _, key = url.removeprefix("s3://").partition("/")
        answer = self.client.put_object(Bucket=bucket, Key=key, Body=data)
        version: str | None = answer.get("VersionId")
        return version

    def read(self, url: str) -> bytes:
        """The bytes of an object, without the proxy."""
        bucket, _, key = url.removeprefix("s3://").partition("/")
        data: bytes = self.client.get_object(Bucket=bucket, Key=key)["Body"].read()
        return data

    def gets(self) -> list[Request]:
        """Requests for the content of objects, not for lists."""
        asked = (entry for entry in self.proxy.requests if entry.method == "GET")
        return [entry for entry in asked if "list-type=" not in entry.target]


@pytest.fixture(scope="session")
def _moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("moto") / "log"
    command = [sys.executable, "-c", "from moto.server import main; main()"]
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*command, "-H", "127.0.0.1", "-p", str(port)],
            stdout=output,
            stderr=subprocess.STDOUT,
            # Short pages, so that lists of a few objects have several.
            env={**os.environ, "PYTHONWARNINGS": "ignore", "MOTO_S3_DEFAULT_MAX_KEYS": "50"},
        )
    try:
        _wait_for(port, server, log)
        yield "127.0.0.1", port
    finally:
        server.kill()
        server.wait()


def _wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(f"moto's server did not start: {log.read_text()}")


@pytest.fixture
def object_storage(
    _moto_server: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> Iterator[ObjectStorage]:
    """The server, and the AWS variables that lead to it."""
    import boto3

    host, port = _moto_server
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        aws_access_key_id="ada",
        aws_secret_access_key="engine",
        region_name="us-east-1",
    )
    with Proxy((host, port)).running() as proxy:
        environment = {
            "AWS_ENDPOINT_URL": proxy.url,
            "AWS_ACCESS_KEY_ID": "ada",
            "AWS_SECRET_ACCESS_KEY": "engine",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(retrying, "DELAYS", (0.01, 0.02, 0.05))
        yield ObjectStorage(client, proxy, environment)
    client.close()
