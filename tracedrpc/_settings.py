"""Reads settings: from text by type, checked by range, with an answer to what is misspelt."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args, get_origin, get_type_hints

from tracedrpc.exceptions import InvalidOption

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ENV_PREFIX: Final = "TRACEDRPC_"
RABBIT_GROUP: Final = "oslo_messaging_rabbit"

_TRUE: Final = frozenset({"true", "1", "on", "yes"})
_FALSE: Final = frozenset({"false", "0", "off", "no"})
_MISSING: Final = object()
_STOCK_DEFAULTS: Final = {
    "conn_pool_min_size": 2,
    "heartbeat_timeout_threshold": 60,
    "kombu_reconnect_delay": 1.0,
    "rpc_conn_pool_size": 30,
}
"""oslo.messaging 18.3.1's defaults where ours differ on purpose: there they are nobody's choice."""
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
    """The texts an option may be."""

    choices: tuple[str, ...]

    def accepts(self, value: Any) -> bool:
        """Tell whether the value is one of the choices."""
        return value in self.choices

    def __str__(self) -> str:
        return "one of " + ", ".join(repr(choice) for choice in self.choices)


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
    specs: Mapping[str, Spec], query: Mapping[str, str], ignored: Iterable[str],
) -> dict[str, Any]:
    """Return the options set by a URL's query.

    Args:
        specs: what may be set.
        query: names and texts.
        ignored: names that are accepted and mean nothing.

    Raises:
        InvalidOption: a name is unknown, or a value is not of its type.
    """
    known = {name: text for name, text in query.items() if name not in frozenset(ignored)}
    for name in known:
        if name not in specs:
            raise _unknown(name, specs)
    return {name: specs[name].parse(text, "in the URL") for name, text in known.items()}


def from_object(specs: Mapping[str, Spec], conf: Any) -> dict[str, Any]:
    """Return the options that a configuration object sets, e.g. oslo.config's `ConfigOpts`.

    Looked up in its group `oslo_messaging_rabbit` first, then on itself. What it does not have is
    left to our defaults, and so is a default of oslo.messaging's that nobody has set or changed.
    """
    found = {}
    for name, spec in specs.items():
        value = _value_of(conf, name)
        if value is not _MISSING and value is not None:
            found[name] = spec.parse(value, "in the configuration")
    return found


def _value_of(conf: Any, name: str) -> Any:
    for place, group in ((getattr(conf, RABBIT_GROUP, None), RABBIT_GROUP), (conf, None)):
        value = _MISSING if place is None else getattr(place, name, _MISSING)
        if value is not _MISSING:
            repeated = _STOCK_DEFAULTS.get(name) == value and _is_untouched(conf, name, group)
            return _MISSING if repeated else value
    return _MISSING


def _is_untouched(conf: Any, name: str, group: str | None) -> bool:
    """Tell whether oslo.config only repeats the default that an option was registered with."""
    locate = getattr(conf, "get_location", None)
    if locate is None:
        return False
    try:
        location = locate(name, group)
    except Exception:  # noqa: BLE001 - a foreign object that merely has the method
        return False
    place = getattr(getattr(location, "location", None), "name", "")
    return bool(place == "opt_default")


def _unknown(name: str, specs: Mapping[str, Spec]) -> InvalidOption:
    near = difflib.get_close_matches(name, specs, n=1)
    hint = f"did you mean {near[0]}?" if near else "see tracedrpc.Options for all names"
    return InvalidOption(name, f"there is no option {name}: {hint}")
