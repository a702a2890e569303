"""Server-sent events, over a socket: a stream that does not end."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

from registries import RegistryFolder
from web_index import Server


def events(server: Server) -> Iterator[tuple[str, Any]]:
    """Name and data of events as they come."""
    with urllib.request.urlopen(f"{server.url}/api/v1/events", timeout=20) as stream:
        assert stream.headers["Content-Type"].startswith("text/event-stream")
        assert stream.headers["X-Accel-Buffering"] == "no"
        name = ""
        for raw in stream:
            field, _, value = raw.decode().rstrip("\n").partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                yield name, json.loads(value)


def test_a_stream_begins_with_what_is_served_and_tells_of_changes(
    server: Server, applied: RegistryFolder
) -> None:
    stream = events(server)
    name, first = next(stream)
    assert name == "revision"
    assert first["revision"].endswith(applied.git("rev-parse", "HEAD"))
    assert next(stream) == ("live", {"runs": []})
    applied.model("bert")
    oid = applied.commit("Add bert")
    name, second = next(stream)
    assert name == "revision"
    assert second["revision"].endswith(oid)
    assert second["etag"] != first["etag"]
    stream.close()
