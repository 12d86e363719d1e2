"""The span of a request that went as nearly all requests go, written at once.

What is said is what `answered` says; a test compares them. What went in any other way, waited or
took long, failed, or came in other circumstances, is told by that.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from tracedrpc import semconv as names
from tracedrpc.message import Mode
from tracedrpc_otel import phases
from tracedrpc_otel.answered import function_name
from tracedrpc_otel.forms import TEXT_SIZE, Blanks, Form
from tracedrpc_otel.records import word

if TYPE_CHECKING:
    from tracedrpc._safe import SafeText
    from tracedrpc.clocks import Quality
    from tracedrpc.driver import Incoming
    from tracedrpc_otel.native_spans import NativeSpan
    from tracedrpc_otel.queue_times import QueueTime
    from tracedrpc_otel.records import Start
    from tracedrpc_otel.scopes import Kit

_MOST: Final = 1024


def write(
    incoming: Incoming, start: Start, live: NativeSpan, waited: QueueTime | None, kit: Kit,
) -> bytes | None:
    """Return the span of a request that was answered with a result; None when there is more to tell.

    Args:
        incoming: what happened; without an error or heartbeats.
        start: of its span; that of a method that is remembered.
        live: its span, to which nobody has added anything.
        waited: how long it was in its queue, None when nobody knows.
        kit: says which phases have spans of their own.
    """
    received, timeline, parent = incoming.received, incoming.timeline, live.parent
    msg_id, function = received.msg_id or "", function_name(incoming)
    if parent is None or function is None or len(msg_id) != TEXT_SIZE or not _is_usual(incoming):
        return None
    wait_ns = 0 if waited is None else waited.ns
    dispatch_ns = timeline.handler_ns - timeline.delivered_ns
    handler_ns = timeline.handled_ns - timeline.handler_ns
    reply_ns = timeline.replied_ns - timeline.handled_ns
    served_ns = timeline.replied_ns - timeline.delivered_ns
    least_ns = kit.least_ns(served_ns + wait_ns, is_special=0 < incoming.slow_ns <= served_ns)
    longest_ns = max(wait_ns, handler_ns, timeline.handed_ns - timeline.replied_ns)
    if longest_ns >= least_ns or min(dispatch_ns, handler_ns, reply_ns) < 0:
        return None
    timeout_s = received.timeout_s
    form = _form(start, parent.is_remote, function, timeout_s is not None, waited and waited.quality)
    context = live.span_context
    return form.fill(
        context.trace_id.to_bytes(16, "big"), context.span_id.to_bytes(8, "big"),
        parent.span_id.to_bytes(8, "big"), live.start_ns, timeline.wall_ns(timeline.replied_ns),
        msg_id.encode(), dispatch_ns / 1e6, handler_ns / 1e6, reply_ns / 1e6,
        *(() if timeout_s is None else (timeout_s * 1e3,)), *(() if waited is None else (wait_ns / 1e6,)),
    )


def _is_usual(incoming: Incoming) -> bool:
    received, timeline = incoming.received, incoming.timeline
    return (
        received.mode is Mode.CALL and timeline.replied_ns > 0 and timeline.handler_ns > 0
        and timeline.handled_ns > 0 and timeline.delivered_ns > 0
        and not (incoming.redelivered or received.delivery_count or received.dead_letter)
    )


@lru_cache(_MOST)
def _form(
    start: Start, parent: bool, function: SafeText, has_timeout: bool, quality: Quality | None,
) -> Form:
    (text,) = Blanks.of(1, 0).texts
    dispatch, handler, reply, timeout, waited = Blanks.of(0, 5).measures
    values: dict[str, object] = {
        **start.attributes, names.MSG_ID: text, names.CODE_FUNCTION: function,
        phases.DISPATCH_MS: dispatch, phases.HANDLER_MS: handler, phases.REPLY_MS: reply,
    }
    measures = [dispatch, handler, reply]
    if has_timeout:
        values[names.DEADLINE_MS] = timeout
        measures.append(timeout)
    if quality is not None:
        values |= {phases.QUEUE_MS: waited, names.QUEUE_QUALITY: word(quality)}
        measures.append(waited)
    return Form(start.name, start.kind, values, parent=parent, blanks=Blanks([text], measures))
