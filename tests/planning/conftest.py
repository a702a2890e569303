"""Fixtures for planning."""

from __future__ import annotations

import pytest
from planning_world import World


@pytest.fixture
def world() -> World:
    """A model, a template and an environment."""
    made = World()
    made.model()
    made.template()
    made.environment()
    return made
