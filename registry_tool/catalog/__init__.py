"""The catalog: a SQLite projection of one pair of manifests and records, with what Git knows of them.

It can be deleted at any time. Nothing here reads Git: `inputs` says what a catalog is made from.
"""
