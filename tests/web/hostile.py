"""The registry in which everything is set, with a hostile text wherever one is accepted."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import yaml
from everything import RECORDS, commit_records, manifests
from pydantic import ValidationError
from registries import RegistryFolder

from registry_tool.domain.frozen import Frozen
from registry_tool.domain.kinds import MANIFEST_KINDS, RECORD_KINDS

SCRIPT = "<script>window.pwned=1</script>"
HOSTILE = (
    f"{SCRIPT}<img src=x onerror='window.pwned=1'>\" onmouseover=\"window.pwned=1\"'"
    " [x](javascript:window.pwned=1) &lt; \u202eevil\u202c \u200bwide"
)
SHORT = "<script>pwned=1</script>"
LOCKED = f"included/{SCRIPT}.bin"
_KINDS = {**MANIFEST_KINDS, **RECORD_KINDS}
_SEEN_TOGETHER = {"storage", "storage_path", "policy", "artifacts", "target", "images", "params"}
"""Checked against other manifests, where a hostile text would be refused."""
Leaf = tuple[dict[str, Any] | list[Any], Any]


def hostile(document: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """A manifest or record with the text in every field that takes it alone, and in how many."""
    kind = _KINDS[document["kind"]]
    changed = copy.deepcopy(document)
    count = 0
    for holder, key in list(_texts(changed)):
        before = holder[key]
        for text in (HOSTILE, SHORT, before):
            holder[key] = text
            if _is_valid(kind, changed):
                count += text != before
                break
    return changed, count


def _is_valid(kind: type[Frozen], document: dict[str, Any]) -> bool:
    try:
        kind.model_validate_json(json.dumps(document))
    except ValidationError:
        return False
    return True


def _texts(value: Any) -> Iterator[Leaf]:
    entries = value.items() if isinstance(value, dict) else enumerate(value)
    for key, entry in entries:
        if key in _SEEN_TOGETHER:
            continue
        if isinstance(entry, str):
            yield value, key
        elif isinstance(entry, dict | list):
            yield from _texts(entry)


def write_hostile(folder: RegistryFolder) -> int:
    """Commit all of it, records on their branch; how many fields have the text."""
    total = 0
    for path, manifest in manifests(folder.storage).items():
        changed, count = hostile(manifest)
        total += count
        changed["spec"].pop("policy", None)
        if manifest["kind"] == "ArtifactLock":
            changed["spec"]["files"][0]["path"] = LOCKED
            changed["spec"]["layers"][0]["files"] = [LOCKED]
        folder.write(path, yaml.safe_dump(changed, sort_keys=False))
    folder.write("build_templates/full-template/motd.j2", "{{ params.greeting }}\n")
    folder.write("build_templates/docker-template/Own.Dockerfile.j2", "FROM {{ bases.runtime }}\n")
    folder.write("build_templates/docker-template/serve/main.py", "print('hello')\n")
    folder.commit(f"{HOSTILE} in a subject\n\n{HOSTILE} in a body")
    records = {}
    for path, record in RECORDS.items():
        changed, count = hostile(record)
        total += count
        records[path] = yaml.safe_dump(changed)
    commit_records(folder, records)
    return total
