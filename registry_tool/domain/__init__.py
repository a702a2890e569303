"""Frozen types and their rules. Standard library, pydantic, semver and pathspec only; no I/O, no clock."""
