"""Checks and plans in proportion to what changed, with exactly the results of doing everything.

Manifests fall into *groups* that no rule looks across: a model with its releases, locks and
deployments is one. After a change the affected groups, together with the settings that all groups
see (Registry, templates, environments), are a small registry of their own. It is given to the same
functions that check and plan a whole one, and the results of all other groups are remembered.

What is remembered is a SQLite file that can be deleted at any time. Whenever a change might reach
further than its group (the Registry, a template, a refused revision), everything is done anew.
docs/decisions/0008-incremental-checks.md has the reasons, `grouping` the rules.
"""
