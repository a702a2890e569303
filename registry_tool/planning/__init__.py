"""Pure functions from manifests and records to findings, keys and plans: no I/O and no clock."""
