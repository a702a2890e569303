"""Requests made up from the OpenAPI document: no 500, no undocumented status, no other shape."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from web_index import Server

EXAMPLES = 12
"""For each route."""
STREAMS = ("/api/v1/events",)
KNOWN = {
    "model": "minilm",
    "version": "1.0.0",
    "quantization": "none",
    "environment": "staging",
    "name": "search",
}
"""Values that exist, so that not everything is 404."""


@pytest.fixture
def schema(server: Server) -> Any:
    with warnings.catch_warnings():
        # Dependencies of schemathesis warn of each other.
        warnings.simplefilter("ignore")
        import schemathesis

        return schemathesis.openapi.from_url(f"{server.url}/api/v1/openapi.json")


def test_no_request_gets_an_answer_that_is_not_documented(schema: Any) -> None:
    paths = []
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path not in STREAMS:
            paths.append(operation.path)
            _probe(operation)
    assert len(paths) > 30


def _probe(operation: Any) -> None:
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    @given(case=operation.as_strategy(), known=st.booleans())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    def probe(case: Any, known: bool) -> None:
        if known:
            for name in case.path_parameters or {}:
                case.path_parameters[name] = KNOWN.get(name, case.path_parameters[name])
        # A cursor or a combination of values may fit the document and still mean nothing.
        case.call_and_validate(excluded_checks=[positive_data_acceptance])

    probe()
