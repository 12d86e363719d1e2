"""A span is a value first: what a sink is given to make spans of.

Those that every call needs several of are named tuples: a frozen dataclass takes twice as long to make.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from tracedrpc._safe import SafeText

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import StrEnum

    from opentelemetry._logs import SeverityNumber
    from opentelemetry.trace import SpanContext, SpanKind

Value = SafeText | bool | int | float
Attributes = dict[str, Value]
"""What a span's attributes may be here: flat, scalar, and text only as `safe` returns it."""
_NO_ATTRIBUTES: Final[Mapping[str, Value]] = MappingProxyType({})


class Fixed(dict[str, Value]):
    """Attributes that many spans share, made once and never changed; each is only itself.

    So that what a sink makes of them can be made once too.
    """

    __slots__ = ()
    __hash__ = object.__hash__  # type: ignore[assignment]  # a dict has none, because dicts change
    __eq__ = object.__eq__
    __ne__ = object.__ne__


NOTHING_FIXED: Final = Fixed()


def word(member: StrEnum) -> SafeText:
    """Return the value of one of our enumerations, which is a constant."""
    return SafeText(member.value)


@dataclass(frozen=True, slots=True)
class LogForm:
    """How the conventions call an event where it goes into the logs, and how severe it is there."""

    name: str
    severity: SeverityNumber


@dataclass(frozen=True, slots=True)
class EventRecord:
    """A point in time on a span.

    Attributes:
        name: a moment's, or "exception".
        at_ns: wall clock, ns since 1970.
        attributes: all of them.
        exception: set when it records an exception: its form in the logs.
    """

    name: str
    at_ns: int
    attributes: Mapping[str, Value] = field(default_factory=dict)
    exception: LogForm | None = None


class SpanRecord(NamedTuple):
    """A finished span.

    Attributes:
        name, kind: as on the span.
        start_ns, end_ns: wall clock, ns since 1970.
        attributes: those that are its own.
        failure: None leaves the status unset; else it is ERROR with this description.
        events: in the order they happened.
        links: contexts of spans that this one has to do with.
        children: finished spans below it.
        fixed: attributes that it shares with others of its kind; none is among `attributes`.
    """

    name: str
    kind: SpanKind
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Value] = _NO_ATTRIBUTES
    failure: SafeText | None = None
    events: tuple[EventRecord, ...] = ()
    links: tuple[SpanContext, ...] = ()
    children: tuple[SpanRecord, ...] = ()
    fixed: Fixed = NOTHING_FIXED

    def all_attributes(self) -> Mapping[str, Value]:
        """Return shared and own attributes together."""
        return {**self.fixed, **self.attributes} if self.fixed else self.attributes


class Ending(NamedTuple):
    """What is only known when a live span ends.

    Attributes:
        end_ns: wall clock, ns since 1970.
        attributes: those to add.
        failure: None leaves the status unset; else it is ERROR with this description.
        name: a better name than the one given at the start, or None.
        events: to add before the end.
        fixed: attributes to add that it shares with others; none is among `attributes`.
    """

    end_ns: int
    attributes: Mapping[str, Value] = _NO_ATTRIBUTES
    failure: SafeText | None = None
    name: str | None = None
    events: tuple[EventRecord, ...] = ()
    fixed: Fixed = NOTHING_FIXED


@dataclass(frozen=True, slots=True)
class Start:
    """The static part of a live span, made once for each method and then shared.

    Attributes:
        name, kind: as on the span.
        attributes: those that samplers may look at.
        rpc_method: the value of `rpc.method`.
        is_kept: it is remembered; there is a bound for that.
    """

    name: str
    kind: SpanKind
    attributes: Fixed
    rpc_method: SafeText
    is_kept: bool = False
