"""The files of a new registry repository, made from what the product itself carries along."""

from __future__ import annotations

import json
from dataclasses import dataclass

from registry_tool import __version__
from registry_tool.cli.scaffold.example_files import EXAMPLE_STORAGE
from registry_tool.cli.scaffold.package_data import data_files, workflow_text

REGISTRY_PATH = "manifests/registry.yaml"

_REGISTRY = """\
# yaml-language-server: $schema=../schemas/registry.json
# The settings of this repository; there is exactly one Registry.
apiVersion: registry-tool/v1
kind: Registry
metadata:
  name: registry
spec:
  storage:
    # Where checkpoint files may be read from: absolute paths or URLs such as s3://bucket/models.
    # Nothing outside these prefixes is ever read.
    allowed:
      - @STORAGE@
  # Without a repository, images go to the embedded store and `registry-tool serve` offers them.
  # images:
  #   repository: registry.example.com/models
  # Rules that manifests must follow.
  # policy:
  #   licenses: [Apache-2.0, MIT]
  #   required_labels: [team]
  #   base_images: [registry.example.com/base]
"""

_README = """\
# Model registry

What this repository says is what is built and deployed: `manifests/` declares models, releases,
environments and deployments, `build_templates/` says how images are made, and
[registry-tool](https://pypi.org/project/registry-tool/) compares both with what was recorded on the
branch `registry-records` and does what is missing.

```sh
registry-tool validate      # check everything, with line, column and fix
registry-tool plan          # what would be built and deployed, and why
registry-tool apply         # do it, and record it
registry-tool status        # what runs where
```

Changes are commits: write a manifest, or let a command write it.

```sh
registry-tool new model bert                        # a commented manifest
registry-tool new release bert/1.0.0 --template modelcar
registry-tool lock bert/1.0.0                       # pin its files: paths, sizes, sha256
registry-tool new deployment staging/search --release bert/1.0.0
registry-tool promote bert/1.0.0                    # candidate → released
registry-tool promote search --from staging --to production
registry-tool rollback production/search
```

After `git clone`, run `registry-tool hooks install --client .` once: it checks manifests before a
commit or a push. Pull requests are checked by `.github/workflows/registry.yml`.
"""


@dataclass(frozen=True)
class RegistryFiles:
    """What `init` writes. `paths` are relative to the repository; the Registry comes last."""

    storage: str
    """The storage prefix that the manifests name, normal."""
    branch: str
    """The branch that is reconciled."""
    example: bool
    """Whether to include the example model with its release, environments and deployment."""

    def all(self) -> dict[str, bytes]:
        """Everything, path → content."""
        manifests = self._example() if self.example else {REGISTRY_PATH: self._registry()}
        registry = manifests.pop(REGISTRY_PATH)
        templates = {f"build_templates/{path}": data for path, data in _templates().items()}
        return {**self.around(), **templates, **manifests, REGISTRY_PATH: registry}

    def around(self) -> dict[str, bytes]:
        """What stands around the manifests and templates, which people make their own."""
        return {
            "README.md": _README.encode(),
            ".github/workflows/registry.yml": self._workflow(),
            **{f"schemas/{path}": data for path, data in _schemas().items()},
        }

    def _registry(self) -> bytes:
        return _REGISTRY.replace("@STORAGE@", json.dumps(self.storage)).encode()

    def _example(self) -> dict[str, bytes]:
        """The product's own manifests, with the storage prefix of this repository."""
        plain = self.storage.removesuffix("/")
        return {
            f"manifests/{path}": data.replace(EXAMPLE_STORAGE.encode(), plain.encode())
            for path, data in data_files("manifests").items()
        }

    def _workflow(self) -> bytes:
        text = workflow_text()
        text = text.replace(
            "pip install --quiet .", f'pip install --quiet "registry-tool=={__version__}"'
        )
        return text.replace("branches: [main]", f"branches: [{json.dumps(self.branch)}]").encode()


def _schemas() -> dict[str, bytes]:
    from registry_tool.manifests.schemas import generate

    return generate()


def _templates() -> dict[str, bytes]:
    return data_files("build_templates")
