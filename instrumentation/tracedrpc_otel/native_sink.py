"""Turns records into OTLP bytes, with the sampler, ids, resource and limits of a provider of ours.

A span of the SDK takes 30 to 40 us to make and 60 more to be written for OTLP, and a batch of 512 is
written while no caller can run. Written at once, by hand, it takes six, and a batch is a `join`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry.context import get_current
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from tracedrpc_otel.native_spans import NativeSpan
from tracedrpc_otel.pen import Pen
from tracedrpc_otel.sink import SdkSink, apart
from tracedrpc_otel.verdicts import Verdicts

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.context import Context

    from tracedrpc_otel.own_provider import OwnProvider
    from tracedrpc_otel.records import Ending, EventRecord, SpanRecord, Start
    from tracedrpc_otel.sink import LiveSpan
    from tracedrpc_otel.verdicts import Verdict

_RANDOM: Final = 0x02
"""Trace ids are random: https://www.w3.org/TR/trace-context-2/#random-trace-id-flag."""
_FLAGS: Final = [TraceFlags(flags) for flags in range(4)]


class Unsampled:
    """A live span that nobody keeps; its context travels all the same."""

    __slots__ = ("context", "span_context")

    def __init__(self, span_context: SpanContext, parent: Context) -> None:
        self.span_context = span_context
        self.context = trace.set_span_in_context(NonRecordingSpan(span_context), parent)

    def is_recording(self) -> bool:
        """Tell that nothing counts."""
        return False

    def event(self, record: EventRecord) -> None:
        """Ignore an event."""

    def leaf(self, record: SpanRecord) -> None:
        """Ignore a child."""

    def finish(self, ending: Ending) -> None:
        """End."""


class NativeSink:
    """Writes spans for the exporter of a provider of ours.

    As soon as the application adds a span processor, which must see every span, spans are made by
    the SDK instead.

    Args:
        provider: says what to sample, how ids are made and how much a span may hold.
        put: takes each span when it is written; never blocks.
    """

    def __init__(self, provider: OwnProvider, put: Callable[[bytes], None]) -> None:
        self._provider = provider
        self._ids = provider.id_generator
        self._verdicts = Verdicts(provider.sampler)
        self._pen = Pen(provider.sampler, provider.id_generator, provider.limits, put)
        self._random = _RANDOM if self._ids.is_trace_id_random() else 0
        self._sdk = SdkSink(provider)

    def is_on(self) -> bool:
        """Tell that there is somebody to write for."""
        return True

    def start(
        self, start: Start, parent: Context | None, start_ns: int, *,
        links: tuple[SpanContext, ...] = (), forced: bool = False,
    ) -> LiveSpan:
        """Begin a CLIENT, SERVER, PRODUCER or CONSUMER span; see `Sink.start`."""
        if self._provider.is_shared:
            return self._sdk.start(start, parent, start_ns, links=links, forced=forced)
        context = get_current() if parent is None else parent
        if forced:
            context, links = apart(context, links)
        above: SpanContext | None = trace.get_current_span(context).get_span_context()
        if above is not None and not above.is_valid:
            above = None
        trace_id = self._ids.generate_trace_id() if above is None else above.trace_id
        verdict = self._verdicts.of(start, context, above, trace_id, links, forced=forced)
        span_context = self._born(trace_id, above, verdict)
        if not verdict.is_sampled:
            return Unsampled(span_context, context)
        written = [self._pen.room.link(link) for link in links if link.is_valid]
        return NativeSpan(
            start, verdict.attributes, span_context, above, context, start_ns, written, self._pen,
        )

    def leaf(self, parent: Context, record: SpanRecord) -> None:
        """Make a child, already ended, of a span that is not ours or has ended long ago."""
        if self._provider.is_shared:
            self._sdk.leaf(parent, record)
            return
        self._pen.leaf(trace.get_current_span(parent).get_span_context(), record, asks=True)

    def _born(self, trace_id: int, above: SpanContext | None, verdict: Verdict) -> SpanContext:
        random = self._random if above is None else above.trace_flags & _RANDOM
        return SpanContext(
            trace_id, self._ids.generate_span_id(), is_remote=False,
            trace_flags=_FLAGS[verdict.is_sampled | random], trace_state=verdict.trace_state,
        )
