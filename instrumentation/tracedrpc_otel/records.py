"""A span is a value first: what a sink is given to make spans of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import SpanContext, SpanKind

Value = str | bool | int | float
Attributes = dict[str, Value]
"""What a span's attributes may be here: flat, and scalar."""


@dataclass(frozen=True, slots=True)
class EventRecord:
    """A point in time on a span; `at_ns` is wall clock, ns since 1970."""

    name: str
    at_ns: int
    attributes: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpanRecord:
    """A finished span without children.

    Attributes:
        name, kind: as on the span.
        start_ns, end_ns: wall clock, ns since 1970.
        attributes: all of them.
        failure: None leaves the status unset; else it is ERROR with this description.
        events: in the order they happened.
        links: contexts of spans that this one has to do with.
    """

    name: str
    kind: SpanKind
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Value] = field(default_factory=dict)
    failure: str | None = None
    events: tuple[EventRecord, ...] = ()
    links: tuple[SpanContext, ...] = ()


@dataclass(frozen=True, slots=True)
class Ending:
    """What is only known when a live span ends.

    Attributes:
        end_ns: wall clock, ns since 1970.
        attributes: those to add.
        failure: None leaves the status unset; else it is ERROR with this description.
        name: a better name than the one given at the start, or None.
        events: to add before the end.
    """

    end_ns: int
    attributes: Mapping[str, Value] = field(default_factory=dict)
    failure: str | None = None
    name: str | None = None
    events: tuple[EventRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """The static part of a live span, made once for each method and then shared.

    Attributes:
        name, kind: as on the span.
        attributes: those that samplers may look at.
        method: the value of `rpc.method`.
    """

    name: str
    kind: SpanKind
    attributes: Mapping[str, Value]
    method: str
