"""What a Dockerfile may take from elsewhere."""

from __future__ import annotations

import pytest

from registry_tool.builders.dockerfiles import faults

PINNED = "python:3.11@sha256:" + "a" * 64


def codes(text: str) -> list[tuple[str, str]]:
    return [(fault.code, fault.message.partition(":")[0]) for fault in faults(text)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"FROM {PINNED}\nRUN --mount=type=cache,target=/root/.cache pip install .\n",
        f"FROM {PINNED} AS build\nFROM scratch\nCOPY --from=build /a /b\nCOPY --from=0 /a /b\n",
        f"FROM --platform=linux/amd64 {PINNED} as Build\nFROM build\n",
        f"FROM {PINNED}\nCOPY --from={PINNED} /a /b\n",
        f"FROM {PINNED}\nRUN --mount=type=bind,from={PINNED},target=/x true\n",
        f"FROM {PINNED}\n# RUN --mount=type=secret,id=x true\nRUN echo 'FROM ubuntu'\n",
        f"FROM {PINNED}\nRUN <<EOF\nFROM ubuntu\nADD https://x /y\nEOF\nRUN true\n",
        f"FROM {PINNED}\nADD --checksum=sha256:{'b' * 64} https://x/y /z\nADD local /z\n",
        f"# a comment\nFROM {PINNED}\nRUN a \\\n  # inside\n  && b\n",
    ],
)
def test_what_is_pinned_or_local_may_be_used(text: str) -> None:
    assert codes(text) == []


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("FROM ubuntu", "RT405"),
        ("FROM ubuntu:22.04 AS other", "RT405"),
        ("from ubuntu", "RT405"),
        ("FROM $BASE", "RT405"),
        ("FROM", "RT405"),
        ("COPY --from=ubuntu /a /b", "RT405"),
        ("RUN --mount=type=bind,from=ubuntu,target=/x true", "RT405"),
        ("RUN --mount=type=secret,id=token cat /run/secrets/token", "RT407"),
        ("RUN --mount=id=token,type=secret true", "RT407"),
        ("RUN --mount=type=cache,target=/a --mount=type=ssh git clone x", "RT407"),
        ("run --mount=TYPE=SSH true", "RT407"),
        ("RUN \\\n  --mount=type=ssh \\\n  true", "RT407"),
        ("ONBUILD RUN --mount=type=secret,id=x true", "RT407"),
        ("ADD https://example.org/x /y", "RT407"),
        ("ADD --chown=1:1 https://example.org/x /y", "RT407"),
        ("ADD git@github.com:a/b.git /y", "RT407"),
    ],
)
def test_what_a_key_would_not_know_of_is_refused(line: str, code: str) -> None:
    assert codes(f"FROM {PINNED}\n{line}\n") == [(code, "line 2")]


@pytest.mark.parametrize("directive", ["# syntax=docker/dockerfile:1", "#escape=`"])
def test_directives_of_the_parser_are_refused(directive: str) -> None:
    assert codes(f"{directive}\nFROM {PINNED}\n") == [("RT407", "line 1")]


def test_everything_is_told_at_once() -> None:
    text = "# syntax=x\nFROM ubuntu\nRUN --mount=type=ssh true\nADD http://a /b\n"
    assert [where for _, where in codes(text)] == ["line 1", "line 2", "line 3", "line 4"]
