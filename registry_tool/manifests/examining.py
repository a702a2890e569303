"""Everything that is wrong with a file, with positions: the slow way, for files that the quick one refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from registry_tool.domain.diagnostics import (
    Diagnostic,
    Pointer,
    RelatedPosition,
    Severity,
)
from registry_tool.domain.kinds import MANIFEST_KINDS, RECORD_KINDS, AnyManifest
from registry_tool.domain.manifest import Manifest
from registry_tool.domain.names import did_you_mean
from registry_tool.manifests.document import Document, Problem, Region, Scalar
from registry_tool.manifests.explaining import Seen, Trouble, explain, unsupported_version
from registry_tool.manifests.identity import Identity, identity_in, identity_of
from registry_tool.manifests.parsing import Json
from registry_tool.manifests.reading import read_document
from registry_tool.manifests.secrets import find_secrets
from registry_tool.manifests.validating import Invalid, Valid

MAX_TROUBLES = 200
"""Of one file: nobody reads more, and a machine-made file may have very many."""


_LONGEST = 600
"""Characters of a message."""


def examine(path: str, data: bytes) -> Valid | Invalid:
    """The slow way, with positions: find all that is wrong, or that nothing is."""
    document = read_document(data)
    troubled = frozenset(
        problem.pointer if problem.pointer is not None else () for problem in document.problems
    )
    if document.root is None:
        return Invalid(diagnostics_of(path, document, [], None), None)
    value = document.root.value
    troubles, manifest = check_schema(value, document, MANIFEST_KINDS)
    identity = identity_in(value, troubled)
    troubles += [_secret(pointer, what) for pointer, what in find_secrets(value)]
    if not troubles and not document.problems and manifest is not None:
        return Valid(identity_of(cast(AnyManifest, manifest)), json.dumps(value).encode(), manifest)
    return Invalid(diagnostics_of(path, document, troubles, identity), identity)


def check_schema(
    value: Json, document: Document, kinds: dict[str, type[Manifest]]
) -> tuple[list[Trouble], Manifest | None]:
    """What the type of the document's kind has to say about it, and the manifest when that is nothing."""
    wrong = _wrong_kind(value, document, kinds)
    if wrong:
        return wrong, None
    model = kinds[value["kind"]]
    try:
        manifest = model.__pydantic_validator__.validate_json(
            json.dumps(value), by_alias=True, by_name=False
        )
    except ValidationError as error:
        return _explained(error, model, document), None
    return [], manifest


def _explained(error: ValidationError, model: type[BaseModel], document: Document) -> list[Trouble]:
    troubles = []
    already = {problem.pointer for problem in document.problems}  # what YAML could not read
    for found in error.errors(include_url=False)[:MAX_TROUBLES]:
        pointer = tuple(step for step in found["loc"] if step != "[key]")
        seen = seen_at(document, pointer)
        if pointer not in already and not _follows_from_another(found, seen):
            troubles.append(explain(found, model, seen))
    return troubles


def _follows_from_another(error: Any, seen: Seen) -> bool:
    """A list whose items are wrong counts as short by those items."""
    if error["type"] != "too_short" or not isinstance(seen.value, list):
        return False
    return len(seen.value) >= int(error["ctx"]["min_length"])


def _wrong_kind(value: Json, document: Document, kinds: dict[str, type[Manifest]]) -> list[Trouble]:
    if not isinstance(value, dict):
        seen = seen_at(document, ())
        help = "begin with apiVersion: and kind:"
        return [Trouble("RT014", (), f"a manifest must be a mapping, not {seen.described}", help)]
    if "kind" not in value:
        return [_no_kind(value, kinds)]
    kind = value["kind"]
    if isinstance(kind, str) and kind in kinds:
        return []
    if isinstance(kind, str) and kind in RECORD_KINDS:
        message = f"a {kind} is a record: the recorder writes it to the registry-records branch"
        return [Trouble("RT105", ("kind",), message, "remove the file")]
    seen = seen_at(document, ("kind",))
    help = _near_kind(kind, kinds) or f"the kinds are {', '.join(kinds)}"
    troubles = [Trouble("RT105", ("kind",), f"unknown kind {seen.described}", help)]
    if "apiVersion" in value and value["apiVersion"] != "registry-tool/v1":
        troubles.append(unsupported_version(seen_at(document, ("apiVersion",))))
    return troubles


def _no_kind(value: dict[str, Json], kinds: dict[str, type[Manifest]]) -> Trouble:
    others = {key.lower(): key for key in value if key not in {"apiVersion", "metadata", "spec"}}
    near = get_close_matches("kind", others, n=1)
    if near:
        key = others[near[0]]
        message = f'unknown field "{key}", and a manifest needs "kind"'
        return Trouble("RT101", (key,), message, 'did you mean "kind"?', True)
    help = f'add "kind: …", one of {", ".join(kinds)}'
    return Trouble("RT102", ("kind",), 'a manifest needs "kind"', help, True)


def _near_kind(kind: Json, kinds: dict[str, type[Manifest]]) -> str | None:
    if not isinstance(kind, str):
        return None
    same = [
        name for name in kinds if name.lower() == kind.lower().replace("-", "").replace("_", "")
    ]
    return f"write {same[0]}" if same else did_you_mean(kind, kinds)


def seen_at(document: Document, pointer: Pointer) -> Seen:
    """The value at a pointer as the person who wrote it sees it."""
    node = document.find(pointer)
    if isinstance(node, Scalar):
        written = document.raw(node) if not node.style else ""
        return Seen(node.value, written if "\n" not in written else "", not node.style)
    return Seen(node.value if node else None, "", False)


def _secret(pointer: Pointer, what: str) -> Trouble:
    return Trouble(
        "RT109",
        pointer,
        f"this looks like {what}, and manifests carry no secrets",
        "name a secret instead (a Deployment has spec.secrets); treat this one as leaked",
    )


def diagnostics_of(
    path: str, document: Document, troubles: list[Trouble], identity: Identity | None
) -> tuple[Diagnostic, ...]:
    """Everything that is wrong with a document, in stable order."""
    subject = identity.subject if identity else None
    found = [_of_problem(path, document, problem) for problem in document.problems[:MAX_TROUBLES]]
    for trouble in troubles[:MAX_TROUBLES]:
        region = document.region(trouble.pointer, on_key=trouble.on_key)
        found.append(_at(path, document, region, trouble))
    named = (replace(diagnostic, subject=subject) for diagnostic in found)
    return tuple(sorted(named, key=lambda diagnostic: diagnostic.sort_key))


def _of_problem(path: str, document: Document, problem: Problem) -> Diagnostic:
    diagnostic = _at(path, document, problem.region, problem)
    if problem.related is None:
        return diagnostic
    region, message = problem.related
    span = document.span(region)
    return replace(diagnostic, related=(RelatedPosition(path, span.line, span.column, message),))


def _at(path: str, document: Document, region: Region, what: Problem | Trouble) -> Diagnostic:
    span = document.span(region)
    line = document.line(span.line)
    help = _shown(what.help) if what.help else None
    return Diagnostic(path, span, Severity.ERROR, what.code, _shown(what.message), help, (), line)


def _shown(text: str) -> str:
    """A message with somebody's text in it, fit for a terminal."""
    if not text.isprintable():
        text = "".join(character if character.isprintable() else "\ufffd" for character in text)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
