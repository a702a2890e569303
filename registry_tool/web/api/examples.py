"""Examples for the OpenAPI document."""

from __future__ import annotations

from typing import Any

EXAMPLES: dict[str, dict[str, Any]] = {}
"""An item of each kind, as lists have it."""
