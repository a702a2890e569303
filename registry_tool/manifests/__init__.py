"""YAML text to manifests with positions, and back: parsing, schemas, edits, formatting."""
