"""Benchmarks beside their peers: each pair runs in one process tree, in turn, and is reported as a ratio."""
