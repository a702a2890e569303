"""The grammars of names, and what to suggest when a name is not known."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import StringConstraints

OCI_COMPONENT = r"^[a-z0-9]+([._-][a-z0-9]+)*$"
DNS_LABEL = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"
QUANTIZATION = r"^[A-Za-z0-9]+([._-][A-Za-z0-9]+)*$"

ModelName = Annotated[str, StringConstraints(pattern=OCI_COMPONENT, max_length=100)]
"""An OCI path component: lower-case letters and digits, joined by single ``.``, ``_`` or ``-``."""

TemplateName = Annotated[str, StringConstraints(pattern=OCI_COMPONENT, max_length=100)]
DnsLabel = Annotated[str, StringConstraints(pattern=DNS_LABEL, max_length=63)]
"""A DNS label (RFC 1123): what environments, deployments and API keys are called."""

QuantizationName = Annotated[str, StringConstraints(pattern=QUANTIZATION, max_length=64)]
"""For example ``none``, ``awq`` or ``Q4_K_M``; unique without regard to case."""


def is_name(pattern: str, text: str, max_length: int = 100) -> bool:
    """Whether `text` follows one of the grammars of this module."""
    return len(text) <= max_length and re.fullmatch(pattern, text, re.ASCII) is not None


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """The nearest known name as a question, or None when nothing is near."""
    import difflib

    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f'did you mean "{near[0]}"?' if near else None
