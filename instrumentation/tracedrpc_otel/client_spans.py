"""The span of a call or cast on its client, from its beginning to its end."""

from __future__ import annotations

from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from tracedrpc import semconv as names
from tracedrpc._safe import SafeText, safe
from tracedrpc.anatomy import anatomy_of
from tracedrpc.message import Mode
from tracedrpc.story import where_spent
from tracedrpc_otel import oslo_names, phases, plain_calls
from tracedrpc_otel.client_leaves import Ended, leaves_of_call, leaves_of_cast, tell_delivery
from tracedrpc_otel.destinations import sent_to, shared_broker
from tracedrpc_otel.heartbeats import Heartbeats
from tracedrpc_otel.native_spans import NativeSpan
from tracedrpc_otel.outcomes import (
    STORY_LIMIT,
    client_exception,
    description,
    error_type,
    is_timeout,
    of_failure,
)
from tracedrpc_otel.records import Ending, EventRecord
from tracedrpc_otel.scopes import SpanScope
from tracedrpc_otel.settings import ReplyWait

if TYPE_CHECKING:
    from tracedrpc.message import Invocation
    from tracedrpc_otel.records import Attributes, Start
    from tracedrpc_otel.scopes import Kit
    from tracedrpc_otel.sink import LiveSpan

_MOST_EVENTS: Final = 64
"""Of one publish; the SDK keeps 128 events of a span and drops the oldest."""

_ERROR: Final = SafeText("error")
_TIMEOUT: Final = SafeText("timeout")
_SLOW: Final = SafeText("slow")


class CallScope(SpanScope["Invocation"]):
    """CLIENT around a call, PRODUCER around a cast; what is below it is made at its end."""

    _heartbeats: Heartbeats | None = None
    _publishing: tuple[EventRecord, ...] = ()

    def __init__(self, invocation: Invocation, start: Start, kit: Kit) -> None:
        super().__init__(invocation, kit)
        self.start = start

    def heartbeat(self, invocation: Invocation) -> None:
        """The server says that it works; reply thread."""
        if not self.is_recording():
            return
        if self._heartbeats is None:
            self._heartbeats = Heartbeats("heartbeat_received")
        at_ns = invocation.wall_ns(invocation.heartbeat_ns)
        record = self._heartbeats.beat(invocation.heartbeats, invocation.heartbeat_gap_ns, at_ns)
        if record is not None:
            self.event(record)

    def published(self, invocation: Invocation, record: EventRecord) -> None:
        """Something happened to the message on its way to the broker; any thread."""
        if invocation.request.mode is Mode.CALL and self._kit.draws_leaves:
            # For the span of the publish, which is made at the end: the first ones, and the last.
            self._publishing = (*self._publishing[: _MOST_EVENTS - 1], record)
        else:
            self.event(record)

    def _begin(self, work: Invocation) -> LiveSpan:
        return self._kit.sink.start(self.start, None, work.started_wall_ns, forced=work.request.trace)

    def _tell(self, work: Invocation, live: LiveSpan) -> None:
        if self._wrote_plainly(work, live):
            return
        invocation, error, kit = work, self._error, self._kit
        ended_ns = invocation.ended_ns or monotonic_ns()
        end_wall_ns = invocation.wall_ns(ended_ns)
        failure = None if error is None else description(error, kit.capture)
        attributes: Attributes = {}
        events: tuple[EventRecord, ...] = ()
        try:
            attributes = self._attributes(invocation, ended_ns)
            events = kit.router.for_span(self._events(invocation, end_wall_ns), live.context)
            if kit.draws_leaves:
                self._draw(invocation, live, end_wall_ns)
        finally:
            fixed = shared_broker(invocation.peer, invocation.address)
            live.finish(Ending(end_wall_ns, attributes, failure, events=events, fixed=fixed))

    def _wrote_plainly(self, invocation: Invocation, live: LiveSpan) -> bool:
        """Write the spans of a call that went as nearly all go; tell whether that was all."""
        kit = self._kit
        has_more = self._error or self._heartbeats or self._publishing or self.way
        if has_more or not kit.is_plain or not invocation.went_plainly() or not isinstance(live, NativeSpan):
            return False
        elapsed_ns = invocation.ended_ns - invocation.started_ns
        least_ns = kit.least_ns(elapsed_ns, is_special=invocation.is_slow())
        spans = plain_calls.write(invocation, self.start, live, least_ns) if live.is_untouched() else None
        if spans is None:
            return False
        live.finish_as(invocation.wall_ns(invocation.ended_ns), spans)
        return True

    # ---- what is told -------------------------------------------------------------------------

    def _attributes(self, invocation: Invocation, ended_ns: int) -> Attributes:
        error, kit = self._error, self._kit
        attributes = _identity(invocation)
        phases.tell_call(anatomy_of(invocation), attributes)
        if kit.settings.semconv == oslo_names.SWITCH:
            attributes = oslo_names.of_sent(invocation) | attributes
        if invocation.request.mode is not Mode.CALL:
            attributes |= sent_to(invocation)
            tell_delivery(invocation, attributes)
        if error is not None:
            attributes |= of_failure(invocation, error, ended_ns)
        _tell_worth(invocation, error, attributes)
        if kit.capture.takes_fields:
            request = invocation.request
            attributes |= kit.capture.fields(request.args, request.context, invocation.result)
        return attributes

    def _events(self, invocation: Invocation, end_wall_ns: int) -> tuple[EventRecord, ...]:
        events = () if self._heartbeats is None else self._heartbeats.last()
        if not invocation.acquired_ns:
            events = (*self._publishing, *events)  # it never came to a publish that had a span
        if self._kit.settings.reply_wait is not ReplyWait.LEG or not self._kit.draws_leaves:
            events = (*_milestones(invocation), *events)
        if self._error is None:
            return events
        return (*events, client_exception(invocation, self._error, end_wall_ns, self._kit.capture))

    def _draw(self, invocation: Invocation, live: LiveSpan, end_wall_ns: int) -> None:
        kit, error = self._kit, self._error
        is_special = error is not None or invocation.is_slow()
        least_ns = kit.least_ns(end_wall_ns - invocation.started_wall_ns, is_special=is_special)
        failure = None if error is None else error_type(error)
        ended = Ended(
            invocation, error, failure, end_wall_ns, least_ns, kit.draws_all, kit.settings.reply_wait,
        )
        if invocation.request.mode is Mode.CALL:
            events = kit.router.for_span(self._publishing, live.context)
            leaves = leaves_of_call(ended, self.way, events)
        else:
            leaves = leaves_of_cast(ended, self.way)
        for leaf in leaves:
            live.leaf(leaf)


def _identity(invocation: Invocation) -> Attributes:
    request = invocation.request
    attributes: Attributes = {}
    if request.msg_id:
        attributes[names.MSG_ID] = safe(request.msg_id)
    if request.target.server:
        attributes[names.TARGET_SERVER] = safe(request.target.server)
    if invocation.server:
        attributes[names.SERVER_NAME] = safe(invocation.server)
    if request.timeout_s is not None:
        attributes[names.TIMEOUT_MS] = request.timeout_s * 1e3
    if invocation.heartbeats:
        attributes[names.HEARTBEAT_COUNT] = invocation.heartbeats
        attributes[names.HEARTBEAT_GAP_MS] = invocation.heartbeat_gap_ns / 1e6
    return attributes


def _tell_worth(invocation: Invocation, error: BaseException | None, attributes: Attributes) -> None:
    """Add why this trace should be kept, and of a slow call, where its time went."""
    if error is not None:
        attributes[names.KEEP_REASON] = _TIMEOUT if is_timeout(error) else _ERROR
    if not is_timeout(error) and invocation.is_slow():
        attributes.setdefault(names.KEEP_REASON, _SLOW)
        attributes[names.WHY] = safe(where_spent(invocation), STORY_LIMIT)


def _milestones(invocation: Invocation) -> tuple[EventRecord, ...]:
    """Return as events what spans of their own say otherwise: when it was sent and answered."""
    stamps = (("request_published", invocation.published_ns), ("reply_received", invocation.replied_ns))
    return tuple(EventRecord(name, invocation.wall_ns(at_ns)) for name, at_ns in stamps if at_ns)
