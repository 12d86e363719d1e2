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
        attributes: all of them.
        failure: None leaves the status unset; else it is ERROR with this description.
        events: in the order they happened.
        links: contexts of spans that this one has to do with.
        children: finished spans below it.
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


class Ending(NamedTuple):
    """What is only known when a live span ends.

    Attributes:
        end_ns: wall clock, ns since 1970.
        attributes: those to add.
        failure: None leaves the status unset; else it is ERROR with this description.
        name: a better name than the one given at the start, or None.
        events: to add before the end.
    """

    end_ns: int
    attributes: Mapping[str, Value] = _NO_ATTRIBUTES
    failure: SafeText | None = None
    name: str | None = None
    events: tuple[EventRecord, ...] = ()


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
    attributes: Mapping[str, Value]
    rpc_method: SafeText
    is_kept: bool = False
