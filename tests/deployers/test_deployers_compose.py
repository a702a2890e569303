"""The rendered Compose file: what is in it, that Compose takes it, and that it does not move."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from service_samples import environment, full, service

from registry_tool.deployers.compose import render, secret_variable
from registry_tool.deployers.interface import ServiceSpec

DATA = Path(__file__).parent.parent / "data"
SCHEMA = Draft7Validator(json.loads((DATA / "compose-spec.json").read_text()))


def rendered(*services: ServiceSpec, **options: Any) -> Any:
    content = render(environment(**options.pop("environment", {})), services, **options)
    assert list(content) == ["compose.yaml"]
    document = yaml.safe_load(content["compose.yaml"])
    SCHEMA.validate(document)
    return document


GOLDEN = """\
# Written by registry-tool; do not edit. The manifests decide what is here.
name: "staging"
services:
  full:
    image: "localhost:8000/minilm@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    command:
      - "serve"
      - "--cost=$$5"
      - "$${HOME}"
    environment:
      EMPTY: ""
      "N": "1e3"
      "ON": "yes"
      PRICE: "$$9"
      TEXT: "a \\"b\\"\\nc"
    secrets:
      - source: "api.key"
        target: "/run/secrets/api.key"
      - source: "hf-token"
        target: "/run/secrets/hf-token"
    ports:
      - target: 8000
        published: "80"
        protocol: "tcp"
    expose:
      - "9000/udp"
    volumes:
      - type: "volume"
        source: "cache"
        target: "/cache"
        read_only: false
      - type: "bind"
        source: "/srv/$$data"
        target: "/data"
        read_only: true
        bind:
          create_host_path: false
    restart: "unless-stopped"
    deploy:
      replicas: 2
      resources:
        limits:
          cpus: "1.5"
          memory: "2147483648b"
        reservations:
          devices:
            - capabilities:
                - "gpu"
              count: 1
      update_config:
        order: "stop-first"
        failure_action: "pause"
      rollback_config:
        order: "stop-first"
    healthcheck:
      test:
        - "CMD"
        - "wget"
        - "-q"
        - "http://localhost:8000/health?cost=$$1"
      interval: "60s"
      timeout: "5s"
      start_period: "86400s"
      retries: 3
    labels:
      io.registry-tool.deployment: "deployment/staging/full"
      io.registry-tool.deployment-key: "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
      io.registry-tool.release: "release/minilm/1.0.0/none"
volumes:
  cache: {}
secrets:
  api.key:
    environment: "RT_SECRET_STAGING_API_KEY"
  hf-token:
    environment: "RT_SECRET_STAGING_HF_TOKEN"
"""


def test_everything_at_once_reads_like_this() -> None:
    content = render(environment(), [full()])["compose.yaml"].decode()
    assert content == GOLDEN
    SCHEMA.validate(yaml.safe_load(content))


def test_a_plain_deployment_has_no_empty_sections() -> None:
    document = rendered(service())
    assert set(document) == {"name", "services"}
    assert set(document["services"]["search"]) == {"image", "restart", "deploy", "labels"}
    assert document["services"]["search"]["deploy"]["update_config"] == {
        "order": "start-first",
        "failure_action": "rollback",
    }


def test_an_environment_without_deployments_is_an_empty_project() -> None:
    assert rendered() == {"name": "staging", "services": {}}


def test_the_order_of_deployments_does_not_matter() -> None:
    services = [service("b"), service("a"), full()]
    assert render(environment(), services) == render(environment(), services[::-1])
    assert list(rendered(*services)["services"]) == ["a", "b", "full"]


def test_containers_join_the_network_of_the_target() -> None:
    document = rendered(service(), environment={"target": {"network": "backend"}})
    assert document["networks"] == {"default": {"name": "backend", "external": True}}


def test_a_recreate_strategy_stops_first() -> None:
    deploy = rendered(service(strategy={"type": "recreate"}))["services"]["search"]["deploy"]
    assert deploy["update_config"]["order"] == "stop-first"


def test_no_replicas_and_an_empty_command_are_said() -> None:
    section = rendered(service(replicas=0, command=[]))["services"]["search"]
    assert section["deploy"]["replicas"] == 0
    assert section["command"] == []


@pytest.mark.parametrize(
    ("name", "secret", "variable"),
    [
        ("staging", "hf-token", "RT_SECRET_STAGING_HF_TOKEN"),
        ("eu-west-1", "Api.Key", "RT_SECRET_EU_WEST_1_API_KEY"),
    ],
)
def test_secrets_come_from_granted_variables(name: str, secret: str, variable: str) -> None:
    assert secret_variable(name, secret) == variable


# --- keeping what is held ------------------------------------------------------------------------


def test_a_kept_deployment_stays_byte_for_byte() -> None:
    before = render(environment(), [full(), service("other")])["compose.yaml"]
    after = render(environment(), [service("other")], before, {"full"})["compose.yaml"]
    assert after == before


def test_what_is_neither_rendered_nor_kept_goes() -> None:
    before = render(environment(), [full(), service("other")])["compose.yaml"]
    document = rendered(service("other"), previous=before)
    assert set(document) == {"name", "services"}
    assert list(document["services"]) == ["other"]


def test_a_rendered_deployment_wins_over_a_kept_one() -> None:
    before = render(environment(), [full()])["compose.yaml"]
    changed = service("full")
    assert rendered(changed, previous=before, keep={"full"}) == rendered(changed)


@pytest.mark.parametrize(
    "previous",
    [
        None,
        b"",
        b"[]",
        b"services: 1",
        b"{",
        b"\xff\xfe\x00",
        b"services: {full: 1}",
        b"services: {full: {volumes: 1, secrets: [a]}}",
        b"services: {full: {volumes: ['a:/b']}}",
        b"x: !!python/object/apply:os.system [touch pwned]",
    ],
)
def test_a_file_that_somebody_broke_has_nothing_to_keep(previous: bytes | None) -> None:
    document = yaml.safe_load(
        render(environment(), [service()], previous, {"full"})["compose.yaml"]
    )
    assert "search" in document["services"]
    SCHEMA.validate(document)


# --- any text ------------------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)


@settings(max_examples=200, deadline=None)
@given(env=TEXT, argument=TEXT, key=st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True))
def test_any_text_arrives_as_it_was_written(env: str, argument: str, key: str) -> None:
    document = rendered(service(env={key: env}, command=[argument]))
    section = document["services"]["search"]
    assert section["environment"] == {key: env.replace("$", "$$")}
    assert section["command"] == [argument.replace("$", "$$")]
