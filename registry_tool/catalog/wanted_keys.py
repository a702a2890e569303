"""What decides how a deployment should run, so that its key can be compared with the recorded one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from registry_tool.catalog.context import Context
from registry_tool.catalog.inputs import Blob, KeyQuestion
from registry_tool.catalog.tracked_releases import wanted_release

_AT_ONCE = 1000
"""Deployments whose files are held together."""
# A deployment without a record is pending, whatever its key is.
_FILES = """
SELECT item.path, item.oid, environments.path, environments.oid, releases.path, releases.oid,
  locks.path, locks.oid, models.path, models.oid, templates.path, templates.oid, templates.files
FROM deployments AS item
JOIN environments ON environments.key = item.environment
JOIN releases ON releases.key = ?2
JOIN locks ON locks.key = releases.key
JOIN models ON models.key = releases.model
JOIN templates ON templates.key = releases.template
WHERE item.key = ?1 AND item.path IS NOT NULL
  AND EXISTS (SELECT 1 FROM deployment_records AS record WHERE record.deployment = item.key)
"""


def wanted_keys(context: Context, deployments: Sequence[str]) -> Mapping[str, str]:
    """The keys that these deployments should run with, as far as they can be told."""
    questions = _questions(context, deployments)
    found: dict[str, str] = {}
    while some := list(islice(questions, _AT_ONCE)):
        found |= context.keys(some)
    return found


def _questions(context: Context, deployments: Sequence[str]) -> Iterator[KeyQuestion]:
    registry = context.row("SELECT path, oid FROM registry")
    for deployment in deployments:
        release = wanted_release(context, deployment)
        found = context.row(_FILES, deployment, release) if release and registry else None
        if found is None:
            continue
        *names, files = found
        folder = found[-3].rpartition("/")[0]
        yield KeyQuestion(
            deployment,
            release or "",
            (
                Blob(*registry),
                *(Blob(*pair) for pair in zip(names[::2], names[1::2], strict=True)),
                *(
                    Blob(f"{folder}/{file['path']}", file["oid"], file["executable"])
                    for file in json.loads(files)
                ),
            ),
        )
