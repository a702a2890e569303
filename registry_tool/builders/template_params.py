"""Parameters of a template: their schema, their defaults, and what a release may give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from registry_tool.builders.template_problem import TemplateProblem, raise_all
from registry_tool.domain.digests import canonical_json
from registry_tool.domain.names import did_you_mean

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import ValidationError

_OPEN = frozenset(
    (
        "additionalProperties", "patternProperties", "unevaluatedProperties", "propertyNames",
        "$ref", "allOf", "anyOf", "oneOf", "if", "dependentSchemas",
    )
)  # fmt: skip
_PLACE = ("spec", "template", "params")


class ParameterSchema:
    """A template's `params`, compiled once.

    Parameters that the schema does not mention are refused unless it says something about them: a
    misspelt parameter would otherwise do nothing, silently.
    """

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema: dict[str, Any] = {"type": "object", **schema}
        if not _OPEN & self._schema.keys():
            self._schema["additionalProperties"] = False
        self._is_empty = not schema
        self._validator: Draft202012Validator | None = None
        self._known: dict[bytes, Mapping[str, Any]] = {}

    def check(self) -> None:
        """Refuse a schema that is none; raises TemplateProblem (RT403)."""
        # Importing the validator takes longer than checking a thousand releases.
        if not self._is_empty:
            self._compiled()

    def effective(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """The given values with defaults filled in; raises TemplateProblem (RT402, RT403)."""
        key = canonical_json(given)
        if key not in self._known:
            filled = _filled(self._schema, given)
            if given or not self._is_empty:
                raise_all(list(self._problems(given, filled)))
            self._known[key] = filled
        return self._known[key]

    def _compiled(self) -> Draft202012Validator:
        if self._validator is not None:
            return self._validator
        from jsonschema import Draft202012Validator
        from jsonschema.exceptions import SchemaError
        from referencing import Registry

        if self._schema["type"] != "object":
            raise _schema_problem("the schema of params describes an object", ("type",))
        try:
            Draft202012Validator.check_schema(self._schema)
        except SchemaError as error:
            raise _schema_problem(error.message, tuple(error.absolute_path)) from error
        # An empty registry: a schema never makes the tool fetch another one.
        empty: Registry[Any] = Registry()
        self._validator = Draft202012Validator(self._schema, registry=empty)
        return self._validator

    def _problems(
        self, given: Mapping[str, Any], filled: Mapping[str, Any]
    ) -> Iterator[TemplateProblem]:
        from referencing.exceptions import Unresolvable

        try:
            errors = sorted(
                self._compiled().iter_errors(filled), key=lambda error: list(map(str, error.path))
            )
        except Unresolvable as unresolvable:
            message = f'"{unresolvable.ref}" cannot be resolved'
            raise _schema_problem(message, ()) from unresolvable
        except RecursionError as endless:
            raise _schema_problem("the schema refers to itself without end", ()) from endless
        for error in errors:
            yield from self._explained(error, given)

    def _explained(
        self, error: ValidationError, given: Mapping[str, Any]
    ) -> Iterator[TemplateProblem]:
        path = tuple(error.absolute_path)
        if path and not _has(given, path):
            name = str(path[0])
            place = ("properties", name, "default") if name not in given else ("properties", name)
            yield _schema_problem(f'the default of "{name}" is invalid: {error.message}', place)
        elif error.validator == "additionalProperties" and isinstance(error.instance, dict):
            schema = error.schema if isinstance(error.schema, Mapping) else {}
            known = list(schema.get("properties", ()))
            for name in sorted(error.instance.keys() - known):
                yield TemplateProblem(
                    "RT402",
                    (*_PLACE, *path, name),
                    f'the template has no parameter "{name}"',
                    help=did_you_mean(name, known) or _listed(known),
                    in_template=False,
                    on_key=True,
                )
        else:
            yield TemplateProblem(
                "RT402", (*_PLACE, *path), _message(error), help=_help(error), in_template=False
            )


def _schema_problem(message: str, path: tuple[str | int, ...]) -> TemplateProblem:
    return TemplateProblem("RT403", ("spec", "params", *path), message)


def _listed(names: list[str]) -> str:
    return f"its parameters are {', '.join(sorted(names))}" if names else "it has no parameters"


def _message(error: ValidationError) -> str:
    name = ".".join(map(str, error.absolute_path))
    return f'parameter "{name}": {error.message}' if name else f"parameters: {error.message}"


def _help(error: ValidationError) -> str | None:
    schema = error.schema if isinstance(error.schema, Mapping) else {}
    description = schema.get("description")
    return description if isinstance(description, str) and description else None


def _has(value: Any, path: tuple[str | int, ...]) -> bool:
    for step in path:
        try:
            value = value[step]
        except (LookupError, TypeError):
            return False
    return True


def _filled(schema: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """`given` and the defaults of absent properties, also inside of objects that are present."""
    filled = dict(given)
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(properties, Mapping):
        return filled
    for name, part in properties.items():
        if name not in filled and isinstance(part, Mapping) and "default" in part:
            filled[name] = deepcopy(part["default"])
        if isinstance(filled.get(name), Mapping):
            filled[name] = _filled(part, filled[name])
    return filled
