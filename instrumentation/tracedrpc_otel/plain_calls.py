"""The three spans of a call that went as nearly all calls go, written at once.

What is said is what `client_spans` and `client_leaves` say; a test compares them. What went in any
other way, was slow, failed, was retried or had to connect, is told by those.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from opentelemetry.trace import SpanKind

from tracedrpc import semconv as names
from tracedrpc._safe import safe
from tracedrpc.anatomy import Phase, way_back
from tracedrpc.clocks import CLOCKS, Quality
from tracedrpc_otel.connection_leaves import GAP_NS
from tracedrpc_otel.destinations import REPLY_TEMPLATE, publish, reply_received, shared_broker, template
from tracedrpc_otel.forms import TEXT_SIZE, Blanks, Form
from tracedrpc_otel.phases import KEYS
from tracedrpc_otel.records import word

if TYPE_CHECKING:
    from tracedrpc._safe import SafeText
    from tracedrpc.message import Invocation, ServerTimes
    from tracedrpc_otel.native_spans import NativeSpan
    from tracedrpc_otel.records import Fixed, Start

_MOST: Final = 1024
_PHASES: Final = (
    Phase.PREPARE, Phase.ACQUIRE, Phase.PUBLISH, Phase.QUEUE, Phase.DISPATCH, Phase.HANDLER, Phase.REPLY,
    Phase.RETURN, Phase.WAKEUP, Phase.FINISH,
)


class Forms(NamedTuple):
    """The forms of all plain calls that share everything but ids and times."""

    call: Form
    publish: Form
    receive: Form


class Cut(NamedTuple):
    """A plain call in pieces, ns: its phases in their order, and what they are made of."""

    phases: tuple[int, ...]
    reply_wait_ns: int


def write(invocation: Invocation, start: Start, live: NativeSpan, least_ns: int) -> list[bytes] | None:
    """Return the spans of a call that succeeded; None when there is more to tell than these say.

    Args:
        invocation: what happened; without an error, heartbeats or events of its publish.
        start: of its span.
        live: its span, to which nobody has added anything.
        least_ns: phases that took as long have spans of their own.
    """
    request, times = invocation.request, invocation.server_times
    msg_id, unique_id = request.msg_id or "", request.unique_id
    if times is None or live.span_context.trace_state or not len(msg_id) == len(unique_id) == TEXT_SIZE:
        return None
    cut = _cut(invocation, times, least_ns)
    if cut is None:
        return None
    parent, where = live.parent, template(invocation)
    confirmed_ns = invocation.confirmed_ns
    forms = _forms(
        start, None if parent is None else parent.is_remote,
        (invocation.peer, invocation.address), publish(invocation, where), where,
        reply_received(invocation.system, invocation.reply_queue),
        (request.target.server, invocation.server), request.timeout_s is not None, confirmed_ns > 0,
    )
    return _filled(forms, invocation, times, live, cut, confirmed_ns)


def _cut(invocation: Invocation, times: ServerTimes, least_ns: int) -> Cut | None:
    started_ns, replied_ns, total_ns = invocation.started_ns, invocation.replied_ns, times.total_us * 1000
    back_ns, _, quality = way_back(invocation, times, CLOCKS)
    acquire_ns, acquired_ns = invocation.acquire_ns - started_ns, invocation.acquired_ns - started_ns
    replied_ns -= started_ns
    delivered_ns = replied_ns - back_ns - total_ns
    arrived_ns = min(invocation.published_ns - started_ns, delivered_ns)
    woken_ns = invocation.woken_ns - started_ns
    dispatch_ns, handler_ns = times.wait_us * 1000, times.handler_us * 1000
    phases = (
        acquire_ns, acquired_ns - acquire_ns, arrived_ns - acquired_ns, delivered_ns - arrived_ns,
        dispatch_ns, handler_ns, total_ns - dispatch_ns - handler_ns, back_ns, woken_ns - replied_ns,
        invocation.ended_ns - started_ns - woken_ns,
    )
    is_plain = (
        quality is Quality.SENDER_CLOCK and total_ns and min(phases) >= 0 and phases[-1]
        and phases[1] < least_ns and back_ns < least_ns
    )
    return Cut(phases, replied_ns - arrived_ns) if is_plain else None


def _filled(
    forms: Forms, invocation: Invocation, times: ServerTimes, live: NativeSpan, cut: Cut, confirmed_ns: int,
) -> list[bytes] | None:
    request, context, parent = invocation.request, live.span_context, live.parent
    offset_ns = invocation.started_wall_ns - invocation.started_ns
    replied_ns, end_ns = invocation.replied_ns + offset_ns, invocation.woken_ns + offset_ns
    seen_ns = max(replied_ns, times.sent_ns + GAP_NS)
    if end_ns <= seen_ns:
        return None
    trace_id, span_id = context.trace_id.to_bytes(16, "big"), context.span_id.to_bytes(8, "big")
    msg_id, timeout_s = (request.msg_id or "").encode(), request.timeout_s
    above = () if parent is None else (parent.span_id.to_bytes(8, "big"),)
    new_id = live.new_id
    published_ns = _published_ns(invocation, times, offset_ns, seen_ns)
    return [
        forms.call.fill(
            trace_id, span_id, *above, live.start_ns, invocation.ended_ns + offset_ns, msg_id,
            *[took_ns / 1e6 for took_ns in cut.phases], cut.reply_wait_ns / 1e6, times.total_us / 1e3,
            *(() if timeout_s is None else (timeout_s * 1e3,)),
        ),
        forms.publish.fill(
            trace_id, new_id(), span_id, invocation.acquired_ns + offset_ns, published_ns,
            request.unique_id.encode(), msg_id,
            *((max(0, confirmed_ns - invocation.published_ns) / 1e6,) if confirmed_ns else ()),
        ),
        forms.receive.fill(
            trace_id, new_id(), span_id, seen_ns, end_ns, msg_id,
            (invocation.woken_ns - invocation.replied_ns) / 1e6,
        ),
    ]


def _published_ns(invocation: Invocation, times: ServerTimes, offset_ns: int, seen_ns: int) -> int:
    """Return the end of the publish: a gap before what follows, see `client_leaves`."""
    start_ns, end_ns = invocation.acquired_ns + offset_ns, invocation.published_ns + offset_ns
    if times.sent_ns <= invocation.replied_ns + offset_ns:
        served_ns = times.sent_ns - times.total_us * 1000 - 2 * GAP_NS
        if start_ns < served_ns < end_ns:
            end_ns = served_ns
    if start_ns < seen_ns - 2 * GAP_NS < end_ns:
        end_ns = seen_ns - 2 * GAP_NS
    return max(end_ns, start_ns)


@lru_cache(_MOST)
def _forms(
    start: Start, parent: bool | None, broker: tuple[str, str], published: Fixed, where: SafeText,
    received: Fixed, servers: tuple[str | None, str], has_timeout: bool, is_confirmed: bool,
) -> Forms:
    text, unique = Blanks.of(2, 0).texts
    *phases, reply_wait, server, timeout = Blanks.of(0, len(_PHASES) + 3).measures
    call: dict[str, object] = {**start.attributes, **shared_broker(*broker), names.MSG_ID: text}
    call |= {KEYS[phase]: blank for phase, blank in zip(_PHASES, phases, strict=True)}
    call |= {names.REPLY_WAIT_MS: reply_wait, names.SERVER_MS: server}
    call |= {names.QUEUE_QUALITY: word(Quality.SENDER_CLOCK)}
    call |= {names.TARGET_SERVER: safe(servers[0])} if servers[0] else {}
    call |= {names.SERVER_NAME: safe(servers[1])} if servers[1] else {}
    measures = [*phases, reply_wait, server]
    if has_timeout:
        call[names.TIMEOUT_MS] = timeout
        measures.append(timeout)
    sent: dict[str, object] = {**published, names.MESSAGE_ID: unique, names.CONVERSATION_ID: text}
    sent[names.ATTEMPTS] = 1
    if is_confirmed:
        sent |= {names.CONFIRMED: True, names.CONFIRM_MS: reply_wait}
    back: dict[str, object] = {**received, names.CONVERSATION_ID: text, names.WAKEUP_MS: reply_wait}
    return Forms(
        Form(start.name, start.kind, call, parent=parent, blanks=Blanks([text], measures)),
        Form(
            f"publish {where}", SpanKind.CLIENT, sent, parent=False,
            blanks=Blanks([unique, text], [reply_wait] if is_confirmed else []),
        ),
        Form(
            f"receive {REPLY_TEMPLATE}", SpanKind.CLIENT, back, parent=False,
            blanks=Blanks([text], [reply_wait]),
        ),
    )
