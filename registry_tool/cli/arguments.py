"""Option values with a structure of their own."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pydantic import JsonValue

from registry_tool.errors import UsageProblem


def key_values(given: Sequence[str], option: str, *, typed: bool = False) -> dict[str, JsonValue]:
    """``KEY=VALUE`` arguments as a mapping; with `typed`, values that are JSON keep their type."""
    values: dict[str, JsonValue] = {}
    for text in given:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise UsageProblem(
                f'{option} takes KEY=VALUE, not "{text}"', help=f"for example {option} {text}=value"
            )
        if key in values:
            raise UsageProblem(f'{option} names "{key}" twice', help="give each key once")
        values[key] = _json_or_text(value) if typed else value
    return values


def _json_or_text(text: str) -> JsonValue:
    try:
        value: JsonValue = json.loads(text)
    except ValueError:
        return text
    return value


def ports(given: Sequence[str]) -> list[JsonValue]:
    """``[HOST:]CONTAINER[/PROTOCOL]`` arguments as ports of a deployment."""
    return [_port(text) for text in given]


def _port(text: str) -> JsonValue:
    numbers, _, protocol = text.partition("/")
    host, _, container = numbers.rpartition(":")
    if (
        not container.isdigit()
        or (host and not host.isdigit())
        or protocol not in {"", "tcp", "udp"}
    ):
        raise UsageProblem(
            f'--port takes [HOST:]CONTAINER, not "{text}"', help="for example --port 8080:8000"
        )
    port: dict[str, JsonValue] = {"container": int(container)}
    if host:
        port["host"] = int(host)
    if protocol:
        port["protocol"] = protocol
    return port
