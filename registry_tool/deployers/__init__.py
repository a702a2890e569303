"""Deployers: what brings a built release to where it runs, or renders it for those that do."""
