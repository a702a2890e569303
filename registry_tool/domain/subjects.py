"""Subjects: the one spelling of what a message, a record, a URL or an argument is about."""

from __future__ import annotations

from typing import NamedTuple

from registry_tool.domain.names import DNS_LABEL, OCI_COMPONENT, QUANTIZATION, is_name
from registry_tool.domain.versions import canonical_version
from registry_tool.errors import UsageProblem


class ReleaseId(NamedTuple):
    """A model, a canonical version and a quantization."""

    model: str
    version: str
    quantization: str = "none"

    @property
    def subject(self) -> str:
        """``release/<model>/<version>/<quantization>``."""
        return f"release/{self.model}/{self.version}/{self.quantization}"

    def __str__(self) -> str:
        return f"{self.model}/{self.version}/{self.quantization}"


class DeploymentId(NamedTuple):
    """A deployment in its environment."""

    environment: str
    name: str

    @property
    def subject(self) -> str:
        """``deployment/<environment>/<name>``."""
        return f"deployment/{self.environment}/{self.name}"

    def __str__(self) -> str:
        return f"{self.environment}/{self.name}"


def _parts(text: str, prefix: str) -> list[str]:
    return text.removeprefix(prefix + "/").split("/")


def parse_release(text: str) -> ReleaseId:
    """A release from ``[release/]MODEL/VERSION[/QUANTIZATION]``; raises UsageProblem."""
    parts = _parts(text, "release")
    if len(parts) == 2:
        parts.append("none")
    if (
        len(parts) != 3
        or not is_name(OCI_COMPONENT, parts[0])
        or not is_name(QUANTIZATION, parts[2], 64)
    ):
        raise UsageProblem(
            f'"{text}" does not name a release',
            help="write MODEL/VERSION or MODEL/VERSION/QUANTIZATION, for example minilm/1.0.0",
        )
    try:
        return ReleaseId(parts[0], canonical_version(parts[1]), parts[2])
    except ValueError as problem:
        raise UsageProblem(f'"{text}" does not name a release', help=str(problem)) from None


def parse_deployment(text: str) -> DeploymentId:
    """A deployment from ``[deployment/]ENVIRONMENT/NAME``; raises UsageProblem."""
    parts = _parts(text, "deployment")
    if len(parts) != 2 or not all(is_name(DNS_LABEL, part, 63) for part in parts):
        raise UsageProblem(
            f'"{text}" does not name a deployment',
            help="write ENVIRONMENT/NAME, for example production/search",
        )
    return DeploymentId(parts[0], parts[1])


def parse_subject(text: str) -> str:
    """A canonical subject string of any kind, kind included; raises UsageProblem."""
    kind, _, rest = text.partition("/")
    if kind == "release":
        return parse_release(rest).subject
    if kind == "deployment":
        return parse_deployment(rest).subject
    grammar = {
        "model": OCI_COMPONENT,
        "template": OCI_COMPONENT,
        "environment": DNS_LABEL,
        "api-key": DNS_LABEL,
    }
    if kind in grammar and is_name(grammar[kind], rest):
        return text
    if kind == "artifact" and len(rest) == 64 and set(rest) <= set("0123456789abcdef"):
        return text
    raise UsageProblem(
        f'"{text}" is not a subject',
        help="write KIND/NAME, for example model/minilm, release/minilm/1.0.0/none or deployment/staging/search",
    )
