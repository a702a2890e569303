"""The base of every manifest and record type."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Immutable, without unknown fields, and strict.

    YAML is validated as JSON is (`model_validate_json`): a list may become a tuple and a string an enum member, but
    never a string a number.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        populate_by_name=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )
