"""The environment of build templates: values, filters and operators, each with its limit."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import Any

from jinja2 import StrictUndefined, Undefined, pass_context
from jinja2.filters import FILTERS as DEFAULT_FILTERS
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS as DEFAULT_TESTS

from registry_tool.builders.template_problem import TemplateFault
from registry_tool.domain.names import did_you_mean

STRING_LIMIT = 64 * 1024
"""Characters that one rendered string may have."""
LOOP_LIMIT = 10_000
"""Loop turns that all loops of one text may take together."""
_INTEGER_LIMIT = 2**63
BUDGET = "_loop_budget"
"""The context variable that holds a rendering's loop budget."""
COUNTED = "_counted"
"""The filter that every loop goes through."""

_FILTERS = (
    "abs", "capitalize", "d", "default", "dictsort", "first", "float", "int", "items", "last",
    "length", "list", "lower", "max", "min", "reverse", "sort", "string", "title", "trim",
    "unique", "upper",
)  # fmt: skip
TESTS = (
    "boolean", "defined", "divisibleby", "even", "false", "float", "in", "integer", "mapping",
    "none", "number", "odd", "sequence", "string", "true", "undefined",
)  # fmt: skip
_LOOP = frozenset(
    ("index", "index0", "revindex", "revindex0", "first", "last", "length", "previtem", "nextitem")
)


def _too_long() -> TemplateFault:
    return TemplateFault(
        "RT401",
        f"a text grows beyond {STRING_LIMIT // 1024} KiB",
        "put long text into a file of the template",
    )


class Budget:
    """What is left of LOOP_LIMIT."""

    def __init__(self) -> None:
        self.turns = LOOP_LIMIT

    def spend(self, turns: int) -> None:
        """Take turns; raises TemplateFault when there are not enough."""
        self.turns -= turns
        if self.turns < 0:
            raise TemplateFault("RT401", f"loops take more than {LOOP_LIMIT} turns")


@pass_context
def _counted(context: Context, values: Iterable[Any]) -> list[Any]:
    items = list(values)
    context.resolve(BUDGET).spend(len(items))
    return items


def _joined(values: Iterable[Any], separator: str = "") -> str:
    texts = [_text(value) for value in values]
    if sum(map(len, texts)) + len(separator) * len(texts) > STRING_LIMIT:
        raise _too_long()
    return separator.join(texts)


def _replace(text: str, old: str, new: str) -> str:
    text = _text(text)
    if len(text) + text.count(old) * len(new) > STRING_LIMIT:
        raise _too_long()
    return text.replace(old, new)


def _tojson(value: Any) -> str:
    if isinstance(value, Undefined):
        return str(value)
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)


def _quote(value: Any) -> str:
    return shlex.quote(_text(value))


def _text(value: Any) -> str:
    """How a value is written: as JSON writes booleans and numbers, and never a container."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float | Undefined):
        return str(value)
    if value is None:
        raise TemplateFault(
            "RT406", "null has no text", "write {{ … | default('…', true) }} or leave it out"
        )
    raise TemplateFault(
        "RT406",
        f"a {type(value).__name__} has no text of its own",
        "loop over it, or write it as JSON with {{ … | tojson }}",
    )


def _finalize(value: Any) -> str:
    """Text that is put in place of ``{{ … }}``: one line, so that it cannot add an instruction."""
    text = _text(value)
    if not text.isprintable():
        odd = next(character for character in text if not character.isprintable())
        raise TemplateFault(
            "RT406",
            f"a substituted value has a line break or control character (U+{ord(odd):04X})",
            "remove it from the value, or write the value as JSON with {{ … | tojson }}",
        )
    return text


class _Unknown(StrictUndefined):
    """An absent value whose message names what is there."""

    __slots__ = ()

    def __init__(
        self,
        hint: str | None = None,
        obj: Any = None,
        name: str | None = None,
        exc: Callable[[str], BaseException] | None = None,
    ) -> None:
        super().__init__(hint, obj, name)
        known = [str(key) for key in obj] if isinstance(obj, Mapping) else []
        self._undefined_exception = partial(_absent, name or "?", known)  # type: ignore[assignment]


def _absent(name: str, known: list[str], _message: str) -> TemplateFault:
    help_text = did_you_mean(name, known) or (
        f"there are {', '.join(sorted(known))}" if known else None
    )
    default = f"write {{{{ … | default('…') }}}} where {name} may be absent"
    return TemplateFault("RT401", f'"{name}" has no value here', help_text or default)


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%"))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            return _joined((left, right))
        for operand in (left, right):
            if isinstance(operand, Undefined):
                str(operand)
            if isinstance(operand, bool) or not isinstance(operand, int | float):
                raise TemplateFault(
                    "RT401", f'"{operator}" works on numbers', "join texts with ~ instead"
                )
            if abs(operand) > _INTEGER_LIMIT:
                raise TemplateFault("RT401", "a number grows beyond 64 bits")
        return super().call_binop(context, operator, left, right)

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, LoopContext) and attribute in _LOOP:
            return getattr(obj, attribute)
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Mapping | str | list | tuple):
            try:
                return obj[argument]
            except (LookupError, TypeError):
                pass
        return self.undefined(obj=obj, name=str(argument))


@lru_cache(maxsize=1)
def environment() -> ImmutableSandboxedEnvironment:
    """The one environment of all build templates."""
    made = _Environment(
        undefined=_Unknown,
        finalize=_finalize,
        autoescape=False,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        optimized=False,
    )
    made.globals = {"range": made.globals["range"]}
    made.filters = {name: DEFAULT_FILTERS[name] for name in _FILTERS} | {
        "join": _joined,
        "quote": _quote,
        "replace": _replace,
        "tojson": _tojson,
        COUNTED: _counted,
    }
    made.tests = {name: DEFAULT_TESTS[name] for name in TESTS}
    return made


def filters() -> tuple[str, ...]:
    """Names of the filters that texts may use, sorted."""
    return tuple(sorted({*_FILTERS, "join", "quote", "replace", "tojson"}))
