"""Turns records into spans. Nothing outside this file touches a tracer.

`SdkSink` makes spans of whatever OpenTelemetry provider the application has. A second sink beside
it may write OTLP bytes instead; both are given the same calls and must tell the same trace.
"""

from __future__ import annotations

import threading
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final, Protocol

from opentelemetry import trace
from opentelemetry.trace import Link, NoOpTracer, StatusCode

from tracedrpc.semconv import SCHEMA_URL

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, SpanContext, Tracer, TracerProvider

    from tracedrpc_otel.records import Ending, EventRecord, SpanRecord, Start

SCOPE_NAME: Final = "tracedrpc"


def scope_version() -> str:
    """Return the version of the installed distribution, "0" in a bare checkout."""
    try:
        return version("tracedrpc")
    except PackageNotFoundError:
        return "0"


class LiveSpan(Protocol):
    """A span that has begun. Any thread may add events; one thread ends it."""

    context: Context
    """With this span as the current one: to attach, and to parent leaves."""
    span_context: SpanContext

    def is_recording(self) -> bool:
        """Tell whether anything added still counts."""
        ...

    def event(self, record: EventRecord) -> None:
        """Add an event; one that comes after the end is ignored."""
        ...

    def finish(self, ending: Ending) -> None:
        """End the span; a second end is ignored."""
        ...


class Sink(Protocol):
    """Where spans go."""

    def is_on(self) -> bool:
        """Tell whether `start` could return a recording span; cheap, asked for each call."""
        ...

    def start(self, start: Start, parent: Context | None, start_ns: int) -> LiveSpan:
        """Begin a CLIENT, SERVER, PRODUCER or CONSUMER span; parent None is the current context."""
        ...

    def leaf(self, parent: LiveSpan, record: SpanRecord) -> None:
        """Make a child that has already ended."""
        ...


class SdkSpan:
    """A live span of the application's OpenTelemetry SDK."""

    __slots__ = ("_lock", "_span", "context", "span_context")

    def __init__(self, span: Span, parent: Context | None) -> None:
        self._span = span
        self._lock = threading.Lock()
        self.context = trace.set_span_in_context(span, parent)
        self.span_context = span.get_span_context()

    def is_recording(self) -> bool:
        """Tell whether anything added still counts."""
        return self._span.is_recording()

    def event(self, record: EventRecord) -> None:
        """Add an event; one that comes after the end is ignored."""
        # The lock, because the SDK logs a warning when an event comes after the end, and
        # heartbeats come from another thread than the one that ends the span.
        with self._lock:
            if self._span.is_recording():
                _add(self._span, record)

    def finish(self, ending: Ending) -> None:
        """End the span; a second end is ignored."""
        with self._lock:
            if not self._span.is_recording():
                return
            try:
                self._tell(ending)
            finally:
                self._span.end(ending.end_ns)

    def _tell(self, ending: Ending) -> None:
        if ending.name is not None:
            self._span.update_name(ending.name)
        for record in ending.events:
            _add(self._span, record)
        if ending.attributes:
            self._span.set_attributes(ending.attributes)
        if ending.failure is not None:
            self._span.set_status(StatusCode.ERROR, ending.failure)


class SdkSink:
    """Makes spans with a tracer of this provider; None is the global one, whenever it is set."""

    def __init__(self, provider: TracerProvider | None = None) -> None:
        self._tracer: Tracer = trace.get_tracer(
            SCOPE_NAME, scope_version(), tracer_provider=provider, schema_url=SCHEMA_URL,
        )

    def is_on(self) -> bool:
        """Tell whether there is an SDK.

        `_tracer` is how OpenTelemetry's `ProxyTracer` names the tracer behind it, a no-op until
        the application sets a provider. Without that attribute the answer is yes, which is only
        slower. It must be asked each time, because providers are set late.
        """
        return not isinstance(getattr(self._tracer, "_tracer", self._tracer), NoOpTracer)

    def start(self, start: Start, parent: Context | None, start_ns: int) -> SdkSpan:
        """Begin a CLIENT, SERVER, PRODUCER or CONSUMER span; parent None is the current context."""
        span = self._tracer.start_span(
            start.name, parent, start.kind, start.attributes, start_time=start_ns,
        )
        return SdkSpan(span, parent)

    def leaf(self, parent: LiveSpan, record: SpanRecord) -> None:
        """Make a child that has already ended."""
        span = self._tracer.start_span(
            record.name,
            parent.context,
            record.kind,
            record.attributes,
            links=[Link(context) for context in record.links],
            start_time=record.start_ns,
        )
        try:
            for event in record.events:
                _add(span, event)
            if record.failure is not None:
                span.set_status(StatusCode.ERROR, record.failure)
        finally:
            span.end(record.end_ns)


def _add(span: Span, record: EventRecord) -> None:
    span.add_event(record.name, record.attributes, record.at_ns)


def event_on_current_span(record: EventRecord) -> None:
    """Add an event to the span that is current in this thread, if one is recording; never a root."""
    span = trace.get_current_span()
    if span.is_recording():
        _add(span, record)
