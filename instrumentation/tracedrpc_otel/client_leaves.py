"""The finished spans below a call: `publish` and `receive`, and those of its way to a connection.

The wait for a reply is not drawn as one long span: that would end after the server's span and
take the server off Jaeger's critical path. For the same reason siblings do not touch: there is at
least a microsecond between them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.trace import SpanKind

from tracedrpc import semconv as names
from tracedrpc.anatomy import Phase, anatomy_of
from tracedrpc.exceptions import MessageDeliveryFailure, MessageUndeliverable
from tracedrpc.message import Stage
from tracedrpc_otel.connection_leaves import GAP_NS, acquire
from tracedrpc_otel.destinations import (
    REPLY_TEMPLATE,
    conversation,
    message_ids,
    publish,
    reply_queued,
    reply_received,
    template,
)
from tracedrpc_otel.outcomes import is_timeout
from tracedrpc_otel.records import EventRecord, SpanRecord
from tracedrpc_otel.settings import ReplyWait

if TYPE_CHECKING:
    from tracedrpc._safe import SafeText
    from tracedrpc.message import Invocation
    from tracedrpc_otel.connection_leaves import WayIn
    from tracedrpc_otel.records import Attributes


class Ended(NamedTuple):
    """A call or cast that has ended.

    Attributes:
        invocation: what happened.
        error: what it ended with, or None.
        failure: the error's type.
        end_ns: when its own span ends, wall clock.
        least_ns: phases that took less have no span of their own, unless they always have one.
        is_full: tell what is told of few calls only.
        reply_wait: how the wait for the reply is drawn.
    """

    invocation: Invocation
    error: BaseException | None
    failure: SafeText | None
    end_ns: int
    least_ns: int
    is_full: bool
    reply_wait: ReplyWait


def leaves_of_call(ended: Ended, way: WayIn | None, events: tuple[EventRecord, ...]) -> list[SpanRecord]:
    """Return the finished children of a call, with the events of its publish."""
    receive = _receive(ended)
    publish = _publish(ended, way, events, receive)
    found = (_acquire(ended, way), publish, _way_back(ended), receive)
    return [leaf for leaf in found if leaf is not None]


def leaves_of_cast(ended: Ended, way: WayIn | None) -> list[SpanRecord]:
    """Return the finished children of a cast: its own span is the publish."""
    acquired = _acquire(ended, way)
    return [*(() if acquired is None else (acquired,)), *_reconnects(ended, way, ended.failure)]


def _acquire(ended: Ended, way: WayIn | None) -> SpanRecord | None:
    return acquire(ended.invocation, way, ended.failure, ended.end_ns, least_ns=ended.least_ns)


def _reconnects(ended: Ended, way: WayIn | None, failure: SafeText | None) -> tuple[SpanRecord, ...]:
    invocation = ended.invocation
    if way is None or not invocation.acquired_ns:
        return ()
    return way.connects(
        invocation.wall_ns, failure, least_ns=ended.least_ns, since_ns=invocation.acquired_ns,
    )


def _publish(
    ended: Ended, way: WayIn | None, events: tuple[EventRecord, ...], receive: SpanRecord | None,
) -> SpanRecord | None:
    """From the connection in hand to the last byte at the socket, or to the failure to get there."""
    invocation = ended.invocation
    if not invocation.acquired_ns:
        return None
    start_ns = invocation.wall_ns(invocation.acquired_ns)
    end_ns, failure = ended.end_ns, ended.failure
    if not _died_publishing(ended):
        end_ns, failure = invocation.wall_ns(invocation.published_ns), None
    siblings_ns = (_server_start_ns(invocation), None if receive is None else receive.start_ns)
    end_ns = _before(end_ns, start_ns, *siblings_ns)
    where = template(invocation)
    return SpanRecord(
        f"publish {where}", SpanKind.CLIENT, start_ns, end_ns,
        _publish_attributes(ended, failure), failure, events,
        children=_reconnects(ended, way, failure), fixed=publish(invocation, where),
    )


def _died_publishing(ended: Ended) -> bool:
    """Tell whether the broker did not take the message, or had no queue for it to the end."""
    invocation, error = ended.invocation, ended.error
    if isinstance(error, (MessageUndeliverable, MessageDeliveryFailure)):
        return True
    is_unroutable = invocation.stage is Stage.UNROUTABLE and not invocation.replied_ns
    return not invocation.published_ns or (error is not None and is_unroutable)


def _publish_attributes(ended: Ended, failure: SafeText | None) -> Attributes:
    invocation = ended.invocation
    attributes = message_ids(invocation)
    tell_delivery(invocation, attributes)
    if ended.is_full:
        attributes[names.BODY_SIZE] = invocation.body_bytes
    if failure is not None:
        attributes[names.ERROR_TYPE] = failure
    return attributes


def tell_delivery(invocation: Invocation, attributes: Attributes) -> None:
    """Add how often a message was handed over, and whether the broker has said that it has it.

    A reply says as much, and often comes before that word is read; then nothing is said of it.
    """
    attributes[names.ATTEMPTS] = invocation.attempts
    if invocation.confirmed_ns or not invocation.replied_ns:
        attributes[names.CONFIRMED] = invocation.confirmed_ns > 0
    if invocation.confirmed_ns and invocation.published_ns:
        confirm_ns = invocation.confirmed_ns - invocation.published_ns
        attributes[names.CONFIRM_MS] = max(0, confirm_ns) / 1e6


def _way_back(ended: Ended) -> SpanRecord | None:
    """From the server's end to the reply's arrival: its publish, the broker, the reply queue.

    Nobody lived through it, as nobody did through the time in the request's queue.
    """
    invocation = ended.invocation
    times = invocation.server_times
    if times is None or invocation.replied_ns - invocation.published_ns < ended.least_ns:
        return None
    if ended.reply_wait is not ReplyWait.LEG:
        return None
    anatomy = anatomy_of(invocation)
    took_ns = anatomy.phases.get(Phase.RETURN, 0)
    if took_ns < max(ended.least_ns, 1) or anatomy.quality is None:
        return None
    arrived_ns = invocation.wall_ns(invocation.replied_ns)
    start_ns, end_ns = max(arrived_ns - took_ns, times.sent_ns) + GAP_NS, arrived_ns - GAP_NS
    if end_ns <= start_ns:
        return None  # the server's clock is ahead, and so is its span
    attributes = reply_queued(invocation.system, invocation.reply_queue, anatomy.quality)
    return SpanRecord(f"queue {REPLY_TEMPLATE}", SpanKind.INTERNAL, start_ns, end_ns, attributes)


def _receive(ended: Ended) -> SpanRecord | None:
    """From the reply's arrival to the caller running again; of a wait that was given up, all of it."""
    invocation = ended.invocation
    if ended.reply_wait is ReplyWait.OFF:
        return None
    failure = ended.failure if _is_given_up(ended) else None
    if failure is not None:
        start_ns, end_ns = _sent_ns(invocation), ended.end_ns
    elif invocation.replied_ns and invocation.woken_ns:
        end_ns = invocation.wall_ns(invocation.woken_ns)
        start_ns = _sent_ns(invocation) if ended.reply_wait is ReplyWait.FULL else _seen_ns(invocation)
    else:
        return None
    if not start_ns or end_ns <= start_ns:
        return None
    return SpanRecord(
        f"receive {REPLY_TEMPLATE}", SpanKind.CLIENT, start_ns, end_ns,
        _receive_attributes(invocation, failure), failure,
        fixed=reply_received(invocation.system, invocation.reply_queue),
    )


def _is_given_up(ended: Ended) -> bool:
    is_unanswered = is_timeout(ended.error) or not ended.invocation.replied_ns
    return is_unanswered and not _died_publishing(ended)


def _receive_attributes(invocation: Invocation, failure: SafeText | None) -> Attributes:
    attributes = conversation(invocation.request.msg_id)
    if invocation.heartbeats:
        attributes[names.HEARTBEAT_COUNT] = invocation.heartbeats
    if failure is None:
        attributes[names.WAKEUP_MS] = (invocation.woken_ns - invocation.replied_ns) / 1e6
    else:
        attributes[names.ERROR_TYPE] = failure
    return attributes


def _sent_ns(invocation: Invocation) -> int:
    """Return when the whole wait began, wall clock; 0 when the message was never handed over."""
    return invocation.wall_ns(invocation.published_ns) + GAP_NS if invocation.published_ns else 0


def _seen_ns(invocation: Invocation) -> int:
    """Return when the reply had come and the server had ended; 0 when the server does not say."""
    times = invocation.server_times
    return 0 if times is None else max(invocation.wall_ns(invocation.replied_ns), times.sent_ns + GAP_NS)


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
