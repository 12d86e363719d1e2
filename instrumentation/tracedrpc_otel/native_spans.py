"""A span whose end is OTLP bytes. To the application it is a span like any other of OpenTelemetry's."""

from __future__ import annotations

import traceback
from time import time_ns
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode

from tracedrpc_otel import otlp_spans
from tracedrpc_otel.otlp_bytes import attributes as written
from tracedrpc_otel.pen import fixed
from tracedrpc_otel.records import Ending, EventRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.attributes import BoundedAttributes
    from opentelemetry.context import Context
    from opentelemetry.trace import SpanContext

    from tracedrpc_otel.pen import Pen
    from tracedrpc_otel.records import SpanRecord, Start

class NativeSpan(Span):
    """A span of a call or request, from its beginning to its end; both `LiveSpan` and OpenTelemetry's.

    Any thread may add to it; the thread that ends it writes it, and what comes later is ignored.

    Args:
        start: its static part.
        attributes: what it begins with where the sampler changed that; None is the static part's.
        span_context: its ids.
        parent: the sender's or caller's span, or None.
        parent_context: where it begins.
        start_ns: wall clock, ns since 1970.
        links: other spans that it has to do with, written.
        pen: writes it.
    """

    __slots__ = (
        "_all", "_events", "_links", "_name", "_parent_context", "_pen", "_room", "_start",
        "_status", "context", "end_ns", "parent", "span_context", "start_ns",
    )

    def __init__(
        self, start: Start, attributes: Mapping[str, Any] | None, span_context: SpanContext,
        parent: SpanContext | None, parent_context: Context, start_ns: int, links: list[bytes],
        pen: Pen,
    ) -> None:
        self._start = start
        self._name = start.name
        self.parent = parent
        self._parent_context = parent_context
        self.start_ns = start_ns
        self._links = links
        self._pen = pen
        self._room = pen.room
        self._events: list[bytes] = []
        self._status: bytes = otlp_spans.UNSET
        # All attributes, as soon as there are others than those that we know how to write at once.
        self._all: BoundedAttributes | None = None if attributes is None else pen.room.of_span(attributes)
        self.end_ns = 0
        self.span_context = span_context
        self.context = trace.set_span_in_context(self, parent_context)

    # ---- a live span of ours ------------------------------------------------------------------

    def is_recording(self) -> bool:
        """Tell whether anything added still counts."""
        return not self.end_ns

    def event(self, record: EventRecord) -> None:
        """Add an event."""
        if not self.end_ns:
            self._events.append(self._room.event(record))

    def leaf(self, record: SpanRecord) -> None:
        """Make a child that has already ended."""
        self._pen.leaf(self.span_context, record)

    def finish(self, ending: Ending) -> None:
        """End the span, and write it; a second end is ignored."""
        if self.end_ns:
            return
        self.end_ns = ending.end_ns
        self.context = self._parent_context  # or a ring of the two would wait for the garbage collector
        values, lost = self._values(ending)
        more, lost_events, lost_links = b"", 0, 0
        if ending.events or self._events or self._links:
            self._events += [self._room.event(record) for record in ending.events]
            more, lost_events, lost_links = self._room.newest(self._events, self._links)
        status = self._status
        if ending.failure is not None and status is not otlp_spans.OK:
            status = otlp_spans.failed(ending.failure)
        dropped = otlp_spans.NOTHING_DROPPED
        if lost or lost_events or lost_links:
            dropped = otlp_spans.Dropped(lost, lost_events, lost_links)
        self._pen.put(otlp_spans.span(
            self.span_context, self.parent, ending.name or self._name, self._start.kind,
            (self.start_ns, self.end_ns), values + more, status, dropped,
        ))

    def is_untouched(self) -> bool:
        """Tell whether it is as it began, and what is known of its like can be said of it."""
        is_bare = self._all is None and not self._events and not self._links
        is_named = self._name is self._start.name and self._status is otlp_spans.UNSET
        return is_bare and is_named and self._room.is_ample and not self._pen.asks

    def finish_as(self, end_ns: int, spans: list[bytes]) -> None:
        """End the span; itself and its children are written already."""
        self.end_ns = end_ns
        self.context = self._parent_context
        for span in spans:
            self._pen.put(span)

    def new_id(self) -> bytes:
        """Return a span id for a child."""
        return self._pen.new_id().to_bytes(8, "big")

    def _values(self, ending: Ending) -> tuple[bytes, int]:
        """Return all attributes, written, and how many there was no room for."""
        last, first = ending.attributes, self._start.attributes
        if self._all is None and self._room.is_ample and first.keys().isdisjoint(last):
            return fixed(first) + fixed(ending.fixed) + written(otlp_spans.SPAN, last), 0
        kept = self._open()
        kept.update(ending.fixed)
        kept.update(last)
        return written(otlp_spans.SPAN, kept), kept.dropped

    def _open(self) -> BoundedAttributes:
        if self._all is None:
            self._all = self._room.of_span(self._start.attributes)
        return self._all

    # ---- a span of OpenTelemetry's, for the application ---------------------------------------

    def get_span_context(self) -> SpanContext:
        """Return its ids."""
        return self.span_context

    def end(self, end_time: int | None = None) -> None:
        """End it as it is."""
        self.finish(Ending(end_time or time_ns()))

    def update_name(self, name: str) -> None:
        """Give it another name."""
        self._name = name

    def set_attribute(self, key: str, value: Any) -> None:
        """Add an attribute."""
        self.set_attributes({key: value})

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Add attributes."""
        if not self.end_ns:
            self._open().update(attributes)

    def add_event(
        self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None,
    ) -> None:
        """Add an event."""
        if not self.end_ns:
            record = EventRecord(name, timestamp or time_ns(), attributes or {})
            self._events.append(self._room.event(record, is_ours=False))

    def add_link(self, context: SpanContext, attributes: Mapping[str, Any] | None = None) -> None:
        """Add a link to another span."""
        if context.is_valid or attributes or context.trace_state:
            self._links.append(self._room.link(context, attributes))

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set its status, unless that is OK already."""
        code = status.status_code if isinstance(status, Status) else status
        said = status.description if isinstance(status, Status) else description
        if code is StatusCode.UNSET or self._status is otlp_spans.OK:
            return
        self._status = otlp_spans.OK if code is StatusCode.OK else otlp_spans.failed(said)

    def record_exception(
        self, exception: BaseException, attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None, escaped: bool = False,
    ) -> None:
        """Add an exception as an event, as the application asks: with its text and stack."""
        kind = type(exception)
        module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
        self.add_event("exception", {
            "exception.type": f"{module}{kind.__qualname__}",
            "exception.message": str(exception),
            "exception.stacktrace": "".join(traceback.format_exception(exception)),
            "exception.escaped": str(escaped),
            **(attributes or {}),
        }, timestamp)
