"""The span of a request on its server: SERVER for a call, CONSUMER for a cast or fanout."""

from __future__ import annotations

from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from opentelemetry.trace import INVALID_SPAN, set_span_in_context

from tracedrpc import semconv as names
from tracedrpc.message import Mode
from tracedrpc_otel import plain_requests
from tracedrpc_otel.answered import Answered
from tracedrpc_otel.attributes import OTHER
from tracedrpc_otel.heartbeats import SentHeartbeats
from tracedrpc_otel.native_spans import NativeSpan
from tracedrpc_otel.outcomes import description, is_unknown_method, server_exception
from tracedrpc_otel.records import Ending, EventRecord
from tracedrpc_otel.scopes import PassingScope, SpanScope
from tracedrpc_otel.server_leaves import handle, publish_reply, queue
from tracedrpc_otel.settings import Relation

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

    from tracedrpc._safe import SafeText
    from tracedrpc.driver import Incoming
    from tracedrpc_otel.attributes import ServerStarts
    from tracedrpc_otel.queue_times import QueueTime, QueueTimes
    from tracedrpc_otel.records import Attributes
    from tracedrpc_otel.scopes import Kit
    from tracedrpc_otel.settings import Settings
    from tracedrpc_otel.sink import LiveSpan

_MOST_EVENTS: Final = 64


class ProcessScope(SpanScope["Incoming"]):
    """From the delivery to the instant stamped into the reply; current while the handler runs.

    It does not wait for the reply's confirm: a SERVER span that ends after the client has the
    reply, by as little as 0.2 ms, is off Jaeger's critical path.
    """

    waited: QueueTime | None = None
    """How long the request was in its queue, None when nobody knows."""
    _heartbeats: SentHeartbeats | None = None
    _method: SafeText | None = None
    _overrun_ns = 0
    _replying: tuple[EventRecord, ...] = ()

    def __init__(
        self, incoming: Incoming, starts: ServerStarts, kit: Kit, queue_times: QueueTimes,
    ) -> None:
        super().__init__(incoming, kit)
        received = incoming.received
        self._start = starts.of(incoming)
        self._starts = starts
        self._queue_times = queue_times
        self._timeline = incoming.timeline
        self._remote = kit.wire.read(received.carrier)
        self._context = kit.wire.context(self._remote, received.carrier)
        self._is_apart = received.mode is not Mode.CALL and _is_apart(received.mode, kit.settings)

    def __exit__(self, *exc_info: object) -> None:
        self._queue_times.end()
        super().__exit__(*exc_info)

    # ---- what happens on the way --------------------------------------------------------------

    def heartbeat(self) -> None:
        """The caller was told that its request is being worked on; scheduler thread."""
        if not self.is_recording():
            return
        now_ns = monotonic_ns()
        if self._heartbeats is None:
            self._heartbeats = SentHeartbeats()
        record = self._heartbeats.beat(now_ns, self._timeline.wall_ns(now_ns))
        if record is not None:
            super().event(record)

    def overran(self, overrun_ns: int) -> None:
        """The request was answered when its caller had given up; worker thread."""
        self._overrun_ns, timeline = overrun_ns, self._timeline
        given_up_ns = timeline.wall_ns((timeline.replied_ns or monotonic_ns()) - overrun_ns)
        super().event(EventRecord("deadline_exceeded", given_up_ns, {names.OVERRUN_MS: overrun_ns / 1e6}))

    def event(self, record: EventRecord) -> None:
        """Add an event; those that come after the reply's stamp belong to its publish."""
        if self._timeline.replied_ns and len(self._replying) < _MOST_EVENTS:
            self._replying = (*self._replying, record)
        else:
            super().event(record)

    def method(self, incoming: Incoming) -> SafeText:
        """Return what its request is told under: its method, or `_OTHER`.

        `_OTHER` when no endpoint has the method, or there are too many.
        """
        if self._method is None:
            is_unknown = is_unknown_method(incoming, self._error)
            is_named = not is_unknown and self._starts.is_named(incoming, self._start)
            self._method = self._start.rpc_method if is_named else OTHER
        return self._method

    # ---- beginning and end --------------------------------------------------------------------

    def _begin(self, work: Incoming) -> LiveSpan:
        self.waited = self._queue_times.begin(work)
        remote, parent, timeline = self._remote, self._context, work.timeline
        links = (remote,) if remote and (self._is_apart or work.received.dead_letter) else ()
        if self._is_apart:
            parent = set_span_in_context(INVALID_SPAN, parent)
        return self._kit.sink.start(self._start, parent, timeline.wall_ns(timeline.delivered_ns), links=links)

    def _wrote_plainly(self, incoming: Incoming, live: LiveSpan) -> bool:
        """Write the span of a request that went as nearly all go; tell whether that was all."""
        has_more = self._error or self._heartbeats or self._replying or self._overrun_ns or self._is_apart
        kit = self._kit
        if has_more or self.way or not kit.is_plain or not isinstance(live, NativeSpan):
            return False
        is_known = self.method(incoming) is not OTHER
        if not is_known or not live.is_untouched() or live.span_context.trace_state:
            return False
        span = plain_requests.write(incoming, self._start, live, self.waited, kit)
        if span is None:
            return False
        live.finish_as(self._timeline.wall_ns(self._timeline.replied_ns), [span])
        return True

    def _tell(self, work: Incoming, live: LiveSpan) -> None:
        if self._wrote_plainly(work, live):
            return
        timeline, error, kit = work.timeline, self._error, self._kit
        end_ns = timeline.wall_ns(timeline.replied_ns or monotonic_ns())
        failure = None if error is None or self._expected else description(error, kit.capture)
        attributes: Attributes = {}
        name: str | None = None
        events: tuple[EventRecord, ...] = ()
        try:
            events = kit.router.for_span(self._events(work, end_ns), live.context)
            replying = kit.router.for_span(self._replying, live.context)
            answered = self._answered(work, end_ns)
            attributes = answered.attributes(kit)
            if self.method(work) is OTHER:
                attributes[names.RPC_METHOD] = OTHER
                attributes[names.RPC_METHOD_ORIGINAL] = self._start.rpc_method
                name = self._starts.other(work.received.mode)
            least_ns = kit.least_ns(answered.elapsed_ns(), is_special=names.KEEP_REASON in attributes)
            if not (kit.draws_leaves and self._draw(answered, live, replying, least_ns)):
                events = (*events, *replying)
        finally:
            live.finish(Ending(end_ns, attributes, failure, name, events))

    def _answered(self, incoming: Incoming, end_ns: int) -> Answered:
        return Answered(
            incoming, self._error, self._expected, end_ns, self.waited, self._overrun_ns,
            0 if self._heartbeats is None else self._heartbeats.count,
            self._remote if self._is_apart else None,
        )

    def _events(self, incoming: Incoming, end_ns: int) -> tuple[EventRecord, ...]:
        events = () if self._heartbeats is None else self._heartbeats.last()
        if self._error is None or self._expected:
            return events
        handled_ns = self._timeline.handled_ns
        at_ns = self._timeline.wall_ns(handled_ns) if handled_ns else end_ns
        return (*events, server_exception(incoming, self._error, at_ns, self._kit.capture))

    def _draw(
        self, answered: Answered, live: LiveSpan, replying: tuple[EventRecord, ...], least_ns: int,
    ) -> bool:
        """Make the spans around and below; tell whether one of them took the events of the reply."""
        incoming = answered.incoming
        # Below the sender's span, as SERVER is: in a trace of its own it would be alone.
        waiting = queue(answered, least_ns=least_ns) if self._remote and not self._is_apart else None
        if waiting is not None:
            self._kit.sink.leaf(self._context, waiting)
        method = OTHER if self.method(incoming) is OTHER else incoming.received.method
        handling = handle(answered, method, least_ns=least_ns)
        if handling is not None:
            live.leaf(handling)
        reply = publish_reply(answered, self.way, replying, least_ns=least_ns)
        if reply is not None:
            live.leaf(reply)
        return reply is not None


def _is_apart(mode: Mode, settings: Settings) -> bool:
    """Tell whether the span of a receiver is a trace of its own, linked to its sender's."""
    relation = settings.cast_trace_mode if mode is Mode.CAST else settings.fanout_trace_mode
    return relation is Relation.LINK


class UnrecordedRequest(PassingScope):
    """A request of which there is no span, but whose time in the queue somebody wants to know."""

    def __init__(
        self, incoming: Incoming, remote: SpanContext | None, kit: Kit, queue_times: QueueTimes,
    ) -> None:
        super().__init__(kit.wire, remote, kit.wire.context(remote, incoming.received.carrier))
        self._queue_times = queue_times
        self.waited = queue_times.begin(incoming)
        """How long the request was in its queue, None when nobody knows."""

    def __exit__(self, *exc_info: object) -> None:
        self._queue_times.end()
        super().__exit__(*exc_info)
