"""The spans of a call or cast on its client: the whole, `publish` and `receive`.

The wait for a reply is not drawn as one long span: that would end after the server's span and
take the server off Jaeger's critical path. For the same reason siblings do not touch: there is at
least a microsecond between them.
"""

from __future__ import annotations

from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from opentelemetry.trace import SpanKind

from tracedrpc import semconv as names
from tracedrpc._safe import safe
from tracedrpc.message import Mode
from tracedrpc_otel.attributes import (
    REPLY_TEMPLATE,
    address_attributes,
    message_attributes,
    template,
)
from tracedrpc_otel.heartbeats import Heartbeats
from tracedrpc_otel.outcomes import client_error, error_type, is_timeout
from tracedrpc_otel.phases import client_phases
from tracedrpc_otel.records import Ending, SpanRecord
from tracedrpc_otel.scopes import SpanScope

if TYPE_CHECKING:
    from tracedrpc.message import Invocation
    from tracedrpc_otel.propagation import Propagation
    from tracedrpc_otel.records import Attributes, Start
    from tracedrpc_otel.sink import LiveSpan, Sink

GAP_NS: Final = 1000
"""Jaeger's clock ticks in microseconds, and its test for "before" is strict."""


class CallScope(SpanScope):
    """CLIENT around a call, PRODUCER around a cast; `publish` and `receive` are made at its end."""

    __slots__ = ("_heartbeats", "_invocation", "_leaves", "_sink", "_start")

    def __init__(
        self,
        invocation: Invocation,
        start: Start,
        sink: Sink,
        propagation: Propagation,
        *,
        leaves: bool = True,
    ) -> None:
        super().__init__(propagation)
        self._invocation = invocation
        self._start = start
        self._sink = sink
        self._leaves = leaves and invocation.request.mode is Mode.CALL
        self._heartbeats: Heartbeats | None = None

    def heartbeat(self) -> None:
        """The server says that it works; reply thread."""
        invocation = self._invocation
        if self._heartbeats is None:
            self._heartbeats = Heartbeats("heartbeat_received")
        at_ns = invocation.wall_ns(invocation.heartbeat_ns)
        record = self._heartbeats.beat(invocation.heartbeats, invocation.heartbeat_gap_ns, at_ns)
        if record is not None:
            self.event(record)

    def _begin(self) -> LiveSpan:
        return self._sink.start(self._start, None, self._invocation.started_wall_ns)

    def _tell(self, live: LiveSpan) -> None:
        invocation, error = self._invocation, self._error
        ended_ns = invocation.ended_ns or monotonic_ns()
        end_wall_ns = invocation.wall_ns(ended_ns)
        failure = None if error is None else error_type(error)
        attributes: Attributes = {}
        try:
            attributes = self._attributes(ended_ns)
            if self._leaves:
                for leaf in leaves(invocation, error, end_wall_ns):
                    self._sink.leaf(live, leaf)
        finally:
            events = () if self._heartbeats is None else self._heartbeats.last()
            live.finish(Ending(end_wall_ns, attributes, failure, events=events))

    def _attributes(self, ended_ns: int) -> Attributes:
        invocation, error = self._invocation, self._error
        attributes = _identity(invocation) | client_phases(invocation, ended_ns)
        if invocation.request.mode is not Mode.CALL:
            attributes |= message_attributes(invocation)
        if error is not None:
            attributes |= client_error(invocation, error, ended_ns)
        return attributes


def _identity(invocation: Invocation) -> Attributes:
    request = invocation.request
    attributes = address_attributes(invocation.peer)
    if request.msg_id:
        attributes[names.MSG_ID] = safe(request.msg_id)
    if request.target.server:
        attributes[names.TARGET_SERVER] = safe(request.target.server)
    if request.timeout_s is not None:
        attributes[names.TIMEOUT_MS] = request.timeout_s * 1e3
    if invocation.heartbeats:
        attributes[names.HEARTBEAT_COUNT] = invocation.heartbeats
    return attributes


# ---- leaves -----------------------------------------------------------------------------------


def leaves(invocation: Invocation, error: BaseException | None, end_wall_ns: int) -> list[SpanRecord]:
    """Return the finished children of a call."""
    receive = _receive(invocation, error, end_wall_ns)
    publish = _publish(invocation, error, end_wall_ns, receive)
    return [leaf for leaf in (publish, receive) if leaf is not None]


def _publish(
    invocation: Invocation, error: BaseException | None, end_wall_ns: int, receive: SpanRecord | None,
) -> SpanRecord | None:
    """From the connection in hand to the last byte at the socket, or to the failure to get there."""
    if not invocation.acquired_ns:
        return None
    start_ns = invocation.wall_ns(invocation.acquired_ns)
    failure = None
    if invocation.published_ns:
        end_ns = invocation.wall_ns(invocation.published_ns)
    else:
        end_ns = end_wall_ns
        failure = None if error is None else error_type(error)
    attributes = _leaf(invocation, "publish", "send") | message_attributes(invocation)
    attributes |= address_attributes(invocation.peer)
    attributes[names.ATTEMPTS] = invocation.attempts
    if failure is not None:
        attributes[names.ERROR_TYPE] = failure
    siblings_ns = (_server_start_ns(invocation), None if receive is None else receive.start_ns)
    end_ns = _before(end_ns, start_ns, *siblings_ns)
    return SpanRecord(
        f"publish {template(invocation)}", SpanKind.CLIENT, start_ns, end_ns, attributes, failure,
    )


def _receive(
    invocation: Invocation, error: BaseException | None, end_wall_ns: int,
) -> SpanRecord | None:
    """From the reply's arrival to the caller running again; after a time-out, the whole wait."""
    if is_timeout(error) and error is not None:
        if not invocation.published_ns:
            return None
        start_ns, failure = invocation.wall_ns(invocation.published_ns) + GAP_NS, error_type(error)
        end_ns = end_wall_ns
    else:
        times = invocation.server_times
        if times is None or not invocation.replied_ns or not invocation.woken_ns:
            return None
        start_ns = max(invocation.wall_ns(invocation.replied_ns), times.sent_ns + GAP_NS)
        end_ns, failure = invocation.wall_ns(invocation.woken_ns), None
    if end_ns <= start_ns:
        return None
    attributes = _leaf(invocation, "receive", "receive") | _reply_attributes(invocation)
    if failure is None:
        attributes[names.WAKEUP_MS] = (invocation.woken_ns - invocation.replied_ns) / 1e6
    else:
        attributes[names.ERROR_TYPE] = failure
    return SpanRecord(
        f"receive {REPLY_TEMPLATE}", SpanKind.CLIENT, start_ns, end_ns, attributes, failure,
    )


def _leaf(invocation: Invocation, operation: str, operation_type: str) -> Attributes:
    return {
        names.MESSAGING_SYSTEM: invocation.system,
        names.OPERATION_NAME: operation,
        names.OPERATION_TYPE: operation_type,
    }


def _reply_attributes(invocation: Invocation) -> Attributes:
    attributes: Attributes = {
        names.DESTINATION_TEMPLATE: REPLY_TEMPLATE,
        names.DESTINATION_TEMPORARY: True,
    }
    if invocation.reply_queue:
        attributes[names.DESTINATION] = safe(invocation.reply_queue)
    if invocation.request.msg_id:
        attributes[names.CONVERSATION_ID] = safe(invocation.request.msg_id)
    return attributes


def _server_start_ns(invocation: Invocation) -> int | None:
    """Return when the server's span began by its own clock, where that clock can be believed."""
    times = invocation.server_times
    if times is None or not invocation.replied_ns:
        return None
    delivered_ns = times.sent_ns - times.total_us * 1000
    latest_ns = invocation.wall_ns(invocation.replied_ns)
    return delivered_ns if times.sent_ns <= latest_ns else None


def _before(end_ns: int, start_ns: int, *siblings_ns: int | None) -> int:
    """Return an end that is a gap before the next siblings, as far as the start allows.

    The publisher may run again only after the server, and even the reply, were quicker.
    """
    for sibling_ns in siblings_ns:
        # Two gaps: durations in reply headers are cut to whole microseconds.
        if sibling_ns is not None and sibling_ns - 2 * GAP_NS > start_ns:
            end_ns = min(end_ns, sibling_ns - 2 * GAP_NS)
    return max(end_ns, start_ns)
