"""Frozen types and their rules. Standard library, pydantic and semver only; no I/O, no clock."""
