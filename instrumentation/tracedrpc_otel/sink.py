"""Turns records into spans. Nothing outside this file touches a tracer.

`SdkSink` makes spans of whatever OpenTelemetry provider the application has. A second sink beside
it may write OTLP bytes instead; both are given the same calls and must tell the same trace.
"""

from __future__ import annotations

import copy
import threading
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from opentelemetry import trace
from opentelemetry.context import get_current
from opentelemetry.trace import INVALID_SPAN, Link, NoOpTracer, StatusCode

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
    """With this span as the current one: to attach, and to parent what is below it."""
    span_context: SpanContext

    def is_recording(self) -> bool:
        """Tell whether anything added still counts."""
        ...

    def event(self, record: EventRecord) -> None:
        """Add an event; one that comes after the end is ignored."""
        ...

    def leaf(self, record: SpanRecord) -> None:
        """Make a child that has already ended."""
        ...

    def finish(self, ending: Ending) -> None:
        """End the span; a second end is ignored."""
        ...


class Sink(Protocol):
    """Where spans go."""

    def is_on(self) -> bool:
        """Tell whether `start` could return a recording span; cheap, asked for each call."""
        ...

    def start(
        self, start: Start, parent: Context | None, start_ns: int, *,
        links: tuple[SpanContext, ...] = (), forced: bool = False,
    ) -> LiveSpan:
        """Begin a CLIENT, SERVER, PRODUCER or CONSUMER span.

        Args:
            start: its static part.
            parent: None is the current context.
            start_ns: wall clock, ns since 1970.
            links: other spans that it has to do with.
            forced: record it whatever the sampler says, if that can be done. Below a span that
                is not sampled it becomes the root of a trace of its own, linked to that span: a
                child would be an orphan.
        """
        ...

    def leaf(self, parent: Context, record: SpanRecord) -> None:
        """Make a child, already ended, of a span that is not ours or has ended long ago."""
        ...


class SdkSpan:
    """A live span of the application's OpenTelemetry SDK."""

    __slots__ = ("_lock", "_span", "_tracer", "context", "span_context")

    def __init__(self, span: Span, parent: Context | None, tracer: Tracer) -> None:
        self._span = span
        self._tracer = tracer
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
                add_event(self._span, record)

    def leaf(self, record: SpanRecord) -> None:
        """Make a child that has already ended."""
        _leaf(self._tracer, self.context, record)

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
            add_event(self._span, record)
        if ending.fixed:
            self._span.set_attributes(ending.fixed)
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
        self._is_on = False

    def is_on(self) -> bool:
        """Tell whether there is an SDK; asked each time, because providers are set late, and then stay."""
        if not self._is_on:
            self._is_on = not isinstance(_behind(self._tracer), NoOpTracer)
        return self._is_on

    def start(
        self, start: Start, parent: Context | None, start_ns: int, *,
        links: tuple[SpanContext, ...] = (), forced: bool = False,
    ) -> SdkSpan:
        """Begin a CLIENT, SERVER, PRODUCER or CONSUMER span; see `Sink.start`."""
        tracer = self._tracer
        if forced:
            tracer = _recording(tracer)
            parent, links = apart(parent, links)
        span = tracer.start_span(
            start.name, parent, start.kind, start.attributes, _links(links), start_time=start_ns,
        )
        return SdkSpan(span, parent, tracer)

    def leaf(self, parent: Context, record: SpanRecord) -> None:
        """Make a child, already ended, of a span that is not ours or has ended long ago."""
        _leaf(self._tracer, parent, record)


def _leaf(tracer: Tracer, parent: Context, record: SpanRecord) -> None:
    span = tracer.start_span(
        record.name, parent, record.kind, record.all_attributes(), _links(record.links),
        start_time=record.start_ns,
    )
    try:
        for event in record.events:
            add_event(span, event)
        if record.failure is not None:
            span.set_status(StatusCode.ERROR, record.failure)
        if record.children:
            context = trace.set_span_in_context(span, parent)
            for child in record.children:
                _leaf(tracer, context, child)
    finally:
        span.end(record.end_ns)


def _links(contexts: tuple[SpanContext, ...]) -> list[Link] | None:
    return [Link(context) for context in contexts] if contexts else None


def add_event(span: Span, record: EventRecord) -> None:
    """Put an event onto a span of OpenTelemetry's API."""
    span.add_event(record.name, record.attributes, record.at_ns)


def _behind(tracer: Tracer) -> Tracer:
    """Return the tracer behind OpenTelemetry's `ProxyTracer`, a no-op until a provider is set.

    `_tracer` is what that class calls it. A tracer without this attribute is taken for what it is.
    """
    behind: Tracer = getattr(tracer, "_tracer", tracer)
    return behind


def _recording(tracer: Tracer) -> Tracer:
    """Return a tracer of the same provider that samples everything.

    Copied each time, which costs little for one call now and then: the provider changes its
    tracers' resource and configuration, and would not find this one. A tracer that has no
    `sampler` is not the SDK's; it is left to its own ways.
    """
    always: Any = copy.copy(_behind(tracer))
    if not hasattr(always, "sampler"):
        return tracer
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON  # noqa: PLC0415 - not before there is an SDK

    always.sampler = ALWAYS_ON
    return cast("Tracer", always)


def apart(
    parent: Context | None, links: tuple[SpanContext, ...],
) -> tuple[Context, tuple[SpanContext, ...]]:
    """Return the parent of a span that must be recorded: none, and a link, where it is unsampled."""
    context = get_current() if parent is None else parent
    here = trace.get_current_span(context).get_span_context()
    if not here.is_valid or here.trace_flags.sampled:
        return context, links
    return trace.set_span_in_context(INVALID_SPAN, context), (*links, here)
