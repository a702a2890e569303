"""The base of every manifest and record type."""

from __future__ import annotations

from typing import Any, Self

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
        # Validators are built when a type is first used: most commands need few of them.
        defer_build=True,
        allow_inf_nan=False,
    )

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """Itself: nobody changes it, and pydantic copies a default for every instance."""
        return self
