"""Spans as values, and the tree of a trace. Pure: no network, no screen."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


class Kind(StrEnum):
    """What a span is: OpenTelemetry's five kinds."""

    UNSPECIFIED = "UNSPECIFIED"
    INTERNAL = "INTERNAL"
    SERVER = "SERVER"
    CLIENT = "CLIENT"
    PRODUCER = "PRODUCER"
    CONSUMER = "CONSUMER"


@dataclass(frozen=True, slots=True)
class Event:
    """A point in time on a span.

    Attributes:
        name: what happened.
        at_ns: ns since 1970.
        attributes: more about it.
    """

    name: str
    at_ns: int
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """One span as it was exported.

    Attributes:
        trace_id: 32 hex digits.
        span_id: 16 hex digits.
        parent_id: the parent's span id, "" for a root.
        service: `service.name` of the process.
        name: the span's name.
        kind: its kind.
        start_ns: ns since 1970, by the clock of its host.
        end_ns: the same for its end.
        is_error: whether its status is ERROR.
        attributes: its attributes.
        events: its events, in the order of their recording.
        instance: `service.instance.id` of the process.
    """

    trace_id: str
    span_id: str
    parent_id: str
    service: str
    name: str
    kind: Kind
    start_ns: int
    end_ns: int
    is_error: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    instance: str = ""

    @property
    def duration_ms(self) -> float:
        """How long it took; 0 when its clock was set back meanwhile."""
        return max(0, self.end_ns - self.start_ns) / 1e6


@dataclass(frozen=True, slots=True)
class Row:
    """A span at its place in the tree.

    Attributes:
        span: the span.
        depth: 0 for a root.
        is_last: whether no sibling follows.
        parent: the parent's span, None for a root and for a span whose parent did not arrive.
    """

    span: Span
    depth: int
    is_last: bool
    parent: Span | None


class Trace:
    """The spans of one trace. A span whose parent is missing counts as a root.

    Args:
        spans: of one trace, in any order; of two with the same id the first one counts.
    """

    def __init__(self, spans: Iterable[Span]) -> None:
        self._by_id: dict[str, Span] = {}
        for span in spans:
            self._by_id.setdefault(span.span_id, span)
        self._children: dict[str, list[Span]] = defaultdict(list)
        for span in sorted(self._by_id.values(), key=lambda each: (each.start_ns, each.span_id)):
            self._children[span.parent_id if self.parent(span) else ""].append(span)

    @property
    def spans(self) -> list[Span]:
        """All spans, in no order."""
        return list(self._by_id.values())

    @property
    def root(self) -> Span | None:
        """The span that has no parent and began first; None while it has not arrived."""
        return next((span for span in self._children.get("", ()) if not span.parent_id), None)

    def parent(self, span: Span) -> Span | None:
        """Return a span's parent if that arrived and is another span."""
        return None if span.parent_id == span.span_id else self._by_id.get(span.parent_id)

    def children(self, span: Span) -> list[Span]:
        """Return a span's children by their start."""
        return list(self._children.get(span.span_id, ()))

    def rows(self) -> list[Row]:
        """Return every span once, parents before children, siblings by their start."""
        seen: set[str] = set()
        found = list(self._walk(self._children.get("", []), 0, seen))
        # What is left hangs on itself in a circle, which only a broken peer can make.
        rest = [span for span in self._by_id.values() if span.span_id not in seen]
        for span in sorted(rest, key=lambda each: each.start_ns):
            found.extend(self._walk([span], 0, seen))
        return found

    def _walk(self, level: list[Span], depth: int, seen: set[str]) -> Iterator[Row]:
        # Not recursive: a trace can be deeper than Python's stack.
        stack = [(span, depth, index == 0) for index, span in enumerate(reversed(level))]
        while stack:
            span, at, is_last = stack.pop()
            if span.span_id in seen:
                continue
            seen.add(span.span_id)
            yield Row(span, at, is_last, self.parent(span) if at else None)
            below = reversed(self._children.get(span.span_id, ()))
            stack.extend((child, at + 1, index == 0) for index, child in enumerate(below))


def traces(spans: Iterable[Span]) -> list[Trace]:
    """Group spans by trace, in the order in which the traces first appear."""
    groups: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        groups[span.trace_id].append(span)
    return [Trace(group) for group in groups.values()]
