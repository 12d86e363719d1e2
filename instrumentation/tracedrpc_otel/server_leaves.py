"""The finished spans around and below a request on its server: `queue`, `handle`, `publish reply`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.trace import SpanKind

from tracedrpc import semconv as names
from tracedrpc._safe import safe
from tracedrpc.exceptions import EncodeError
from tracedrpc_otel.answered import function_name
from tracedrpc_otel.attributes import NAME_LIMIT
from tracedrpc_otel.connection_leaves import GAP_NS
from tracedrpc_otel.destinations import (
    REPLY_TEMPLATE,
    conversation,
    queue_template,
    reply_published,
    request_queued,
)
from tracedrpc_otel.outcomes import error_type
from tracedrpc_otel.records import SpanRecord

if TYPE_CHECKING:
    from tracedrpc_otel.answered import Answered
    from tracedrpc_otel.connection_leaves import WayIn
    from tracedrpc_otel.records import Attributes, EventRecord


def queue(answered: Answered, *, least_ns: int) -> SpanRecord | None:
    """Return the span of a request's time in its queue, which nobody lived through: a sibling of SERVER.

    None when it took less than `least_ns`, or it is not known how long it took.
    """
    incoming, waited = answered.incoming, answered.waited
    if waited is None or waited.ns < least_ns:
        return None
    delivered_ns = incoming.timeline.delivered_wall_ns
    start_ns, end_ns = delivered_ns - waited.ns, delivered_ns - GAP_NS
    if end_ns <= start_ns:
        return None
    return SpanRecord(
        f"queue {queue_template(incoming)}", SpanKind.INTERNAL, start_ns, end_ns,
        request_queued(incoming, waited.quality),
    )


def handle(answered: Answered, method: str, *, least_ns: int) -> SpanRecord | None:
    """Return the span of the endpoint's method; what is before it in SERVER is the wait for a worker.

    None when it took less than `least_ns`, or was never entered.

    Args:
        answered: the request.
        method: what its span is called after: one that exists, or `_OTHER`.
        least_ns: what took less has no span.
    """
    incoming = answered.incoming
    timeline, function = incoming.timeline, function_name(incoming)
    if not timeline.handler_ns or timeline.handled_ns - timeline.handler_ns < least_ns:
        return None
    attributes: Attributes = {} if function is None else {names.CODE_FUNCTION: function}
    failure = None
    if answered.error is not None and not isinstance(answered.error, EncodeError):
        attributes[names.ERROR_TYPE] = error_type(answered.error)
        failure = error_type(answered.error) if answered.has_failed else None
    return SpanRecord(
        f"handle {safe(method, NAME_LIMIT)}", SpanKind.INTERNAL,
        timeline.wall_ns(timeline.handler_ns), timeline.wall_ns(timeline.handled_ns), attributes, failure,
    )


def publish_reply(
    answered: Answered, way: WayIn | None, events: tuple[EventRecord, ...], *, least_ns: int,
) -> SpanRecord | None:
    """Return the span from the stamp in the reply, at which SERVER ends, to its last byte at the socket.

    None when it took less than `least_ns`, or somebody else did it later.
    """
    incoming = answered.incoming
    timeline, received = incoming.timeline, incoming.received
    if not timeline.replied_ns or timeline.handed_ns - timeline.replied_ns < max(least_ns, 1):
        return None
    return SpanRecord(
        f"publish {REPLY_TEMPLATE}", SpanKind.PRODUCER,
        timeline.wall_ns(timeline.replied_ns), timeline.wall_ns(timeline.handed_ns),
        conversation(received.msg_id), None, events,
        fixed=reply_published(incoming.system, received.reply_queue),
        children=() if way is None else way.connects(
            timeline.wall_ns, None, least_ns=least_ns, since_ns=timeline.replied_ns,
        ),
    )
