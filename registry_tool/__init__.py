"""A GitOps registry for machine-learning model releases.

The packages form layers; each may import the ones below it, never the ones above or beside it:

- `cli`: one file a command; the only place that puts effects together
- `web`, `reconcile`: the read-only web index; the ordered steps and the daemon
- `catalog`: the SQLite projection of Git
- `planning`: pure: cross-manifest checks, keys, planner, gates
- `builders`, `deployers`: one effect each, behind an interface
- `repository`, `storage`, `oci`, `manifests`: Git, checkpoint files, image layers and stores, YAML
  with positions
- `domain`: frozen types and their rules
- `errors`: the whole exception tree
- `failpoints`: named places at which tests kill the process

import-linter enforces this order; the contracts are in `pyproject.toml`.
"""

__version__ = "0.1.0"
