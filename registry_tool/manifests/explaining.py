"""pydantic's errors in words that say what was wanted, what was seen, and how to fix it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from registry_tool.domain.diagnostics import Pointer
from registry_tool.domain.manifest import API_VERSION
from registry_tool.domain.names import did_you_mean
from registry_tool.manifests.fields import field_names, model_at
from registry_tool.manifests.grammars import corrected, describe_pattern
from registry_tool.manifests.scalars import ambiguous_number


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with the value, or with the key, at a pointer."""

    code: str
    pointer: Pointer
    message: str
    help: str | None = None
    on_key: bool = False


@dataclass(frozen=True, slots=True)
class Seen:
    """A value, and how it is written where that is one word (empty otherwise)."""

    value: Any
    written: str
    plain: bool

    @property
    def described(self) -> str:
        """For the end of a sentence."""
        match self.value:
            case None:
                return "nothing" if self.written in {"", "~"} else "null"
            case bool():
                return self.written or str(self.value).lower()
            case int() | float():
                return f"the number {self.written or self.value}"
            case str():
                return f'"{_shortened(self.value)}"'
            case list():
                return "a list"
            case _:
                return "a mapping"


_NOT_ALLOWED = {
    (
        "Release",
        "metadata",
        "name",
    ): "a release is named by spec.model, spec.version and spec.quantization",
    (
        "ArtifactLock",
        "metadata",
        "name",
    ): "a lock is named by spec.model, spec.version and spec.quantization",
    (
        "Model",
        "spec",
        "repository",
    ): "images belong to releases; checkpoint files are in storage_path",
}

_WANTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
    "datetime_type": "a date and time, for example 2026-12-31T00:00:00Z",
    "datetime_parsing": "a date and time, for example 2026-12-31T00:00:00Z",
    "datetime_from_date_parsing": "a date and time, for example 2026-12-31T00:00:00Z",
    "timezone_aware": "a date and time with a time zone, for example 2026-12-31T00:00:00Z",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


def explain(error: Any, model: type[BaseModel], seen: Seen) -> Trouble:
    """One error of pydantic's list as a trouble. `seen` is the value that it is about."""
    location: Pointer = error["loc"]
    on_key = bool(location) and location[-1] == "[key]"
    pointer = location[:-1] if on_key else location
    kind, context = error["type"], error.get("ctx") or {}
    if on_key:
        seen = Seen(str(pointer[-1]), "", False)
    if kind == "extra_forbidden":
        return _unknown_field(pointer, model)
    if kind == "missing":
        return _missing_field(pointer, model)
    if pointer == ("apiVersion",):
        return unsupported_version(seen)
    name = _name(pointer)
    if kind in {"enum", "literal_error"}:
        return _not_one_of(pointer, name, context["expected"], seen)
    if seen.value is None:
        return _nothing(pointer, name, kind, context)
    if kind in _WANTED:
        return _wrong_type(pointer, name, kind, seen)
    if kind == "value_error":
        is_model = isinstance(seen.value, dict)
        code = "RT103" if not isinstance(seen.value, (str, dict, list)) else "RT104"
        message = str(context["error"])
        return Trouble(code, pointer, message if is_model else f"{name}: {message}", None, is_model)
    message, help = _broken_rule(name, kind, context, seen, str(error["msg"]))
    return Trouble("RT104", pointer, message, help, on_key)


def unsupported_version(seen: Seen) -> Trouble:
    """Another apiVersion than the one there is."""
    return Trouble(
        "RT106",
        ("apiVersion",),
        f"apiVersion must be {API_VERSION}, not {seen.described}",
        f"write {API_VERSION}",
    )


def _unknown_field(pointer: Pointer, model: type[BaseModel]) -> Trouble:
    field, parent = str(pointer[-1]), pointer[:-1]
    reason = _NOT_ALLOWED.get((model.__name__, *map(str, pointer)))  # type: ignore[arg-type]
    if reason:
        return Trouble(
            "RT107", pointer, f'"{field}" is not allowed here: {reason}', "remove it", True
        )
    owner = model_at(model, parent)
    known = field_names(owner) if owner else ()
    place = f"in {_name(parent)}" if parent else f"in a {model.__name__}"
    help = did_you_mean(field, known) or (
        f"the fields here are {', '.join(known)}" if known else None
    )
    return Trouble("RT101", pointer, f'unknown field "{_shortened(field)}" {place}', help, True)


def _missing_field(pointer: Pointer, model: type[BaseModel]) -> Trouble:
    field, parent = str(pointer[-1]), pointer[:-1]
    place = _name(parent) if parent else f"a {model.__name__}"
    inner = model_at(model, pointer)
    example = f'add "{field}:" with its fields' if inner else f'add "{field}: …"'
    return Trouble("RT102", pointer, f'{place} needs "{field}"', example, True)


def _not_one_of(pointer: Pointer, name: str, expected: str, seen: Seen) -> Trouble:
    choices = expected.replace("'", "")
    known = [choice for part in choices.split(", ") for choice in part.split(" or ")]
    text = f"{seen.value}"
    help = next((f"write {choice}" for choice in known if choice == text.strip().lower()), None)
    help = help or did_you_mean(text, known)
    wrong_type = not isinstance(seen.value, str)
    code = "RT103" if wrong_type else "RT104"
    return Trouble(code, pointer, f"{name} must be {choices}, not {seen.described}", help)


def _nothing(pointer: Pointer, name: str, kind: str, context: dict[str, Any]) -> Trouble:
    wanted = _WANTED.get(kind) or (f"{context['error']}" if "error" in context else "a value")
    return Trouble(
        "RT103",
        pointer,
        f"{name} needs {wanted}; there is nothing",
        "write a value, or remove the key",
    )


def _wrong_type(pointer: Pointer, name: str, kind: str, seen: Seen) -> Trouble:
    message = f"{name} must be {_WANTED[kind]}, not {seen.described}"
    if kind == "string_type" and isinstance(seen.value, (int, float)):
        code = "RT103" if isinstance(seen.value, bool) else "RT108"
        return Trouble(code, pointer, message, f'write "{seen.written or seen.value}"')
    if kind in {"int_type", "float_type"} and isinstance(seen.value, str):
        return _not_a_number(pointer, message, kind, seen)
    if kind == "int_type" and isinstance(seen.value, float) and seen.value.is_integer():
        return Trouble("RT103", pointer, message, f"write {int(seen.value)}")
    if kind == "bool_type":
        return Trouble("RT103", pointer, message, _boolean_help(seen))
    if kind == "tuple_type" and isinstance(seen.value, str) and seen.written:
        return Trouble("RT103", pointer, message, f"write [{seen.written}]")
    if kind in {"datetime_parsing", "datetime_from_date_parsing", "timezone_aware"}:
        return Trouble("RT104", pointer, message)
    return Trouble("RT103", pointer, message)


def _not_a_number(pointer: Pointer, message: str, kind: str, seen: Seen) -> Trouble:
    readings = ambiguous_number(str(seen.value))
    if kind == "int_type":
        readings = tuple(reading for reading in readings if reading.lstrip("-").isdigit())
    if not seen.plain:
        is_number = str(seen.value).lstrip("-").isdigit() and readings[:1] == (str(seen.value),)
        return Trouble(
            "RT103", pointer, message, f"write {seen.value} without quotes" if is_number else None
        )
    if not readings:
        return Trouble("RT103", pointer, message)
    name = message.partition(" must be ")[0]
    meant = " or ".join(readings)
    message = f"{name} is written {seen.value}, which can be read in two ways"
    return Trouble("RT011", pointer, message, f"write {meant}")


def _boolean_help(seen: Seen) -> str | None:
    text = str(seen.value).lower()
    if text in {"yes", "on", "y", "true", "1"}:
        return "write true"
    return "write false" if text in {"no", "off", "n", "false", "0"} else None


def _broken_rule(
    name: str, kind: str, context: dict[str, Any], seen: Seen, message: str
) -> tuple[str, str | None]:
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return f"{name} must be {words} {context[key]}, not {seen.described}", None
    if kind in {"string_too_short", "too_short"}:
        if not seen.value:
            return f"{name} must not be empty", None
        count, unit = context["min_length"], "characters" if kind == "string_too_short" else "items"
        return f"{name} has at least {count} {unit}, and this has {len(seen.value)}", None
    if kind in {"string_too_long", "too_long"}:
        count, unit = context["max_length"], "characters" if kind == "string_too_long" else "items"
        return f"{name} has at most {count} {unit}, and this has {len(seen.value)}", None
    if kind == "string_pattern_mismatch":
        wanted = describe_pattern(context["pattern"]) or f"a text that matches {context['pattern']}"
        better = corrected(context["pattern"], str(seen.value))
        return (
            f"{name} must be {wanted}, not {seen.described}",
            f"write {better}" if better else None,
        )
    return f"{name}: {message[:1].lower()}{message[1:]}", None


def _name(pointer: Pointer) -> str:
    """A value's key, with its place in a list."""
    text = ""
    for step in reversed(pointer):
        if isinstance(step, str):
            return _shortened(step) + text
        text = f"[{step}]{text}"
    return text or "the document"


def _shortened(text: str) -> str:
    text = "".join(character if character.isprintable() else "�" for character in text)
    return text if len(text) <= 60 else f"{text[:57]}…"
