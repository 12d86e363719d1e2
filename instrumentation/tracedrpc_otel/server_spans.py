"""The span of a request on its server: SERVER for a call, CONSUMER for a cast or fanout."""

from __future__ import annotations

from time import monotonic_ns
from typing import TYPE_CHECKING

from tracedrpc import semconv as names
from tracedrpc._safe import safe
from tracedrpc.message import Mode
from tracedrpc_otel.attributes import destination
from tracedrpc_otel.heartbeats import Heartbeats
from tracedrpc_otel.outcomes import error_type, exception_event, is_unknown_method
from tracedrpc_otel.phases import server_phases
from tracedrpc_otel.propagation import parent_context
from tracedrpc_otel.records import Ending
from tracedrpc_otel.scopes import SpanScope

if TYPE_CHECKING:
    from tracedrpc.driver import Incoming
    from tracedrpc_otel.attributes import ServerStarts
    from tracedrpc_otel.propagation import Propagation
    from tracedrpc_otel.records import Attributes, EventRecord
    from tracedrpc_otel.sink import LiveSpan, Sink


class ProcessScope(SpanScope):
    """From the delivery to the instant stamped into the reply; current while the handler runs.

    It does not wait for the reply's confirm: a SERVER span that ends after the client has the
    reply, by as little as 0.2 ms, is off Jaeger's critical path.
    """

    __slots__ = ("_beats", "_gap_ns", "_heartbeat_ns", "_heartbeats", "_incoming", "_sink", "_starts")

    def __init__(
        self, incoming: Incoming, starts: ServerStarts, sink: Sink, propagation: Propagation,
    ) -> None:
        super().__init__(propagation)
        self._incoming = incoming
        self._starts = starts
        self._sink = sink
        self._heartbeats: Heartbeats | None = None
        self._heartbeat_ns = 0
        self._gap_ns = 0
        self._beats = 0

    def heartbeat(self) -> None:
        """The caller was told that its request is being worked on; scheduler thread."""
        now_ns = monotonic_ns()
        if self._heartbeats is None:
            self._heartbeats = Heartbeats("heartbeat_sent")
        else:
            self._gap_ns = max(self._gap_ns, now_ns - self._heartbeat_ns)
        self._heartbeat_ns = now_ns
        self._beats += 1
        record = self._heartbeats.beat(self._beats, self._gap_ns, self._incoming.timeline.wall_ns(now_ns))
        if record is not None:
            self.event(record)

    def _begin(self) -> LiveSpan:
        incoming = self._incoming
        remote = self._propagation.read(incoming.received.carrier)
        start_ns = incoming.timeline.wall_ns(incoming.timeline.delivered_ns)
        return self._sink.start(self._starts.of(incoming), parent_context(remote), start_ns)

    def _tell(self, live: LiveSpan) -> None:
        timeline, error = self._incoming.timeline, self._error
        end_ns = timeline.wall_ns(timeline.replied_ns or monotonic_ns())
        failure = None if error is None or self._expected else error_type(error)
        attributes: Attributes = {}
        name: str | None = None
        events: tuple[EventRecord, ...] = ()
        try:
            events = self._events(end_ns)
            attributes = self._attributes()
            name = self._renamed(attributes)
        finally:
            live.finish(Ending(end_ns, attributes, failure, name, events))

    def _attributes(self) -> Attributes:
        incoming = self._incoming
        received = incoming.received
        attributes = server_phases(incoming.timeline)
        if received.msg_id:
            attributes[names.MSG_ID] = safe(received.msg_id)
        if incoming.redelivered:
            attributes[names.REDELIVERED] = True
        if self._error is not None:
            attributes[names.ERROR_TYPE] = error_type(self._error)
        if received.mode is not Mode.CALL:
            attributes |= _message_attributes(incoming)
        return attributes

    def _events(self, end_ns: int) -> tuple[EventRecord, ...]:
        events = () if self._heartbeats is None else self._heartbeats.last()
        if self._error is None or self._expected:
            return events
        handled_ns = self._incoming.timeline.handled_ns
        at_ns = self._incoming.timeline.wall_ns(handled_ns) if handled_ns else end_ns
        return (*events, exception_event(self._error, at_ns))

    def _renamed(self, attributes: Attributes) -> str | None:
        """Call the span `_OTHER` when no endpoint has the method, or there are too many."""
        incoming = self._incoming
        start = self._starts.of(incoming)
        if not is_unknown_method(incoming, self._error) and self._starts.keep(incoming, start):
            return None
        attributes[names.RPC_METHOD] = names.OTHER
        attributes[names.RPC_METHOD_ORIGINAL] = start.method
        return self._starts.other(incoming.received.mode)


def _message_attributes(incoming: Incoming) -> Attributes:
    received = incoming.received
    attributes: Attributes = {
        names.DESTINATION: destination(incoming.exchange, incoming.routing_key, incoming.queue),
    }
    if incoming.routing_key:
        attributes[names.ROUTING_KEY] = safe(incoming.routing_key)
    if received.unique_id:
        attributes[names.MESSAGE_ID] = safe(received.unique_id)
    return attributes
