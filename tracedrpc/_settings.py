"""Reads settings: from text by type, checked by range, with an answer to what is misspelt."""

from __future__ import annotations

import difflib
import math
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args, get_origin, get_type_hints

from tracedrpc.exceptions import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ENV_PREFIX: Final = "TRACEDRPC_"
RABBIT_GROUP: Final = "oslo_messaging_rabbit"

application_defaults: Final[dict[str, Any]] = {}
"""What the application has chosen for all its transports, where nobody has chosen for one."""

_TRUE: Final = frozenset({"true", "1", "on", "yes"})
_FALSE: Final = frozenset({"false", "0", "off", "no"})
_WORDS: Final = {
    bool: "true or false", int: "a whole number", float: "a number", str: "a text",
}


@dataclass(frozen=True, slots=True)
class Between:
    """A number's range, both ends included."""

    low: float
    high: float = math.inf

    def accepts(self, value: Any) -> bool:
        """Tell whether the value is in the range."""
        return bool(self.low <= value <= self.high)

    def __str__(self) -> str:
        if math.isinf(self.high):
            return f"{self.low} or more"
        return f"from {self.low} to {self.high}"


@dataclass(frozen=True, slots=True)
class OneOf:
    """The texts an option may be; `reason` says why not others, `any_case` that case means nothing."""

    choices: tuple[str, ...]
    reason: str = ""
    any_case: bool = False

    def accepts(self, value: Any) -> bool:
        """Tell whether the value is one of the choices."""
        if self.any_case and isinstance(value, str):
            return value.lower() in {choice.lower() for choice in self.choices}
        return value in self.choices

    def __str__(self) -> str:
        words = "one of " + ", ".join(repr(choice) for choice in self.choices)
        return f"{words}: {self.reason}" if self.reason else words


@dataclass(frozen=True, slots=True)
class Spec:
    """What an option may be: its type, and its range or choices."""

    name: str
    kind: type
    rule: Between | OneOf | None

    def parse(self, value: Any, source: str) -> Any:
        """Return a value from outside as the option's type.

        Raises:
            InvalidOption: it is not of that type; `source` says where it came from.
        """
        if not isinstance(value, str):
            return value
        try:
            return _PARSERS[self.kind](value.strip())
        except ValueError:
            raise self.invalid(value, source) from None

    def check(self, value: Any) -> None:
        """Refuse a value of another type or out of range.

        Raises:
            InvalidOption: the value is not one of those.
        """
        is_typed = isinstance(value, (int, float) if self.kind is float else self.kind)
        if (isinstance(value, bool) and self.kind is not bool) or value in {math.inf, -math.inf}:
            is_typed = False
        if not is_typed or not (self.rule is None or self.rule.accepts(value)):
            raise self.invalid(value)

    def invalid(self, value: Any, source: str = "") -> InvalidOption:
        """Return the error that says what is wrong and what would be right."""
        words = _WORDS[self.kind]
        if isinstance(self.rule, Between):
            words = f"{words}, {self.rule}"
        elif self.rule is not None:
            words = str(self.rule)
        where = f" ({source})" if source else ""
        return InvalidOption(self.name, f"{self.name}={value!r}{where} is not {words}")


def _parse_bool(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError(text)


_PARSERS: Final[Mapping[type, Any]] = {bool: _parse_bool, int: int, float: float, str: str}


def specs_of(cls: type) -> dict[str, Spec]:
    """Return what each field of a dataclass may be, from its annotations."""
    specs = {}
    for name, hint in get_type_hints(cls, include_extras=True).items():
        kind, *rules = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        specs[name] = Spec(name, kind, rules[0] if rules else None)
    return specs


# ---- sources ----------------------------------------------------------------------------------


def from_environment(specs: Mapping[str, Spec], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the options set by `TRACEDRPC_<NAME>`; an empty value is none."""
    given = ((spec, ENV_PREFIX + name.upper()) for name, spec in specs.items())
    return {
        spec.name: spec.parse(environ[variable], variable)
        for spec, variable in given
        if environ.get(variable, "").strip()
    }


def from_query(
    specs: Mapping[str, Spec], query: Mapping[str, str], accepted: Iterable[str],
) -> dict[str, Any]:
    """Return the options set by a URL's query.

    Args:
        specs: what may be set.
        query: names and texts.
        accepted: names of switches that change nothing.

    Raises:
        InvalidOption: a name is unknown, or a value is not of its type.
    """
    silent = {name: Spec(name, bool, None) for name in accepted}
    found = {}
    for name, text in query.items():
        spec = specs.get(name) or silent.get(name)
        if spec is None:
            raise _unknown(name, specs)
        found[name] = spec.parse(text, "in the URL")
    return {name: value for name, value in found.items() if name in specs}


def from_object(specs: Mapping[str, Spec], conf: Any) -> dict[str, Any]:
    """Return the options that an object sets as attributes; what it does not have is left to our defaults.

    Looked up in its attribute `oslo_messaging_rabbit` first, then on itself. An oslo.config object is
    the business of `oslo_options`.
    """
    found = {}
    for name, spec in specs.items():
        value = getattr(getattr(conf, RABBIT_GROUP, None), name, getattr(conf, name, None))
        if value is not None:
            found[name] = spec.parse(value, "in the configuration")
    return found


def is_oslo_config(conf: Any) -> bool:
    """Tell whether it is an oslo.config `ConfigOpts`, without importing that when nobody has."""
    cfg = sys.modules.get("oslo_config.cfg")
    return cfg is not None and isinstance(conf, cfg.ConfigOpts)


def _unknown(name: str, specs: Mapping[str, Spec]) -> InvalidOption:
    near = difflib.get_close_matches(name, specs, n=1)
    hint = f"did you mean {near[0]}?" if near else "see tracedrpc.Options for all names"
    return InvalidOption(name, f"there is no option {name}: {hint}")
