"""What the span of a request says at its end, on the server."""

from __future__ import annotations

from functools import lru_cache
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracedrpc import semconv as names
from tracedrpc._safe import SafeText, safe
from tracedrpc.message import Mode
from tracedrpc_otel import oslo_names, phases
from tracedrpc_otel.destinations import received_from
from tracedrpc_otel.outcomes import error_type
from tracedrpc_otel.records import word

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

    from tracedrpc.driver import Incoming
    from tracedrpc_otel.queue_times import QueueTime
    from tracedrpc_otel.records import Attributes
    from tracedrpc_otel.scopes import Kit

_ERROR: Final = SafeText("error")
_TIMEOUT: Final = SafeText("timeout")
_SLOW: Final = SafeText("slow")
_REDELIVERED: Final = SafeText("redelivered")


class Answered(NamedTuple):
    """A request that was worked on.

    Attributes:
        incoming: what happened.
        error: what its method raised, or None.
        is_expected: the method declares that error.
        end_ns: when its span ends, wall clock.
        waited: how long it was in its queue, None when nobody knows.
        overrun_ns: how long before the answer its caller had given up; 0 when not.
        heartbeats: how often its caller was told that it is being worked on.
        origin: the sender's span, where this one is not below it but linked to it.
    """

    incoming: Incoming
    error: BaseException | None
    is_expected: bool
    end_ns: int
    waited: QueueTime | None
    overrun_ns: int
    heartbeats: int
    origin: SpanContext | None

    @property
    def has_failed(self) -> bool:
        """Tell whether it ended with an error that its method does not declare."""
        return self.error is not None and not self.is_expected

    def elapsed_ns(self) -> int:
        """Return how long it took from its sender to its end here, as far as that is known."""
        waited_ns = 0 if self.waited is None else self.waited.ns
        return self.end_ns - self.incoming.timeline.delivered_wall_ns + waited_ns

    def keep_reason(self) -> SafeText | None:
        """Return the gravest reason to keep this trace, None when it is like any other."""
        incoming = self.incoming
        if self.has_failed:
            return _ERROR
        if self.overrun_ns:
            return _TIMEOUT
        if 0 < incoming.slow_ns <= self.end_ns - incoming.timeline.delivered_wall_ns:
            return _SLOW
        return _REDELIVERED if incoming.redelivered else None

    def attributes(self, kit: Kit) -> Attributes:
        """Return all that the span says beside what it said at its start."""
        incoming, received = self.incoming, self.incoming.received
        attributes = phases.of_request(incoming.timeline)
        self._tell_work(attributes)
        self._tell_delivery(attributes)
        if self.error is not None:
            attributes[names.ERROR_TYPE] = error_type(self.error)
            if self.is_expected:
                attributes[names.EXPECTED] = True
        reason = self.keep_reason()
        if reason is not None:
            attributes[names.KEEP_REASON] = reason
        if received.mode is not Mode.CALL:
            attributes |= received_from(incoming)
        if kit.settings.semconv == oslo_names.SWITCH:
            attributes = oslo_names.of_received(incoming) | attributes
        if kit.capture.takes_fields:
            attributes |= kit.capture.fields(received.args, received.context, incoming.result)
        return attributes

    def _tell_work(self, attributes: Attributes) -> None:
        received, function = self.incoming.received, function_name(self.incoming)
        if function is not None:
            attributes[names.CODE_FUNCTION] = function
        if received.msg_id:
            attributes[names.MSG_ID] = safe(received.msg_id)
        if received.timeout_s is not None:
            attributes[names.DEADLINE_MS] = received.timeout_s * 1e3
        if self.overrun_ns:
            attributes[names.OVERRUN_MS] = self.overrun_ns / 1e6
        if self.heartbeats:
            attributes[names.HEARTBEAT_COUNT] = self.heartbeats

    def _tell_delivery(self, attributes: Attributes) -> None:
        incoming, received, waited = self.incoming, self.incoming.received, self.waited
        if waited is not None:
            attributes[phases.QUEUE_MS] = waited.ns / 1e6
            attributes[names.QUEUE_QUALITY] = word(waited.quality)
        if incoming.redelivered:
            attributes[names.REDELIVERED] = True
        if received.delivery_count:
            attributes[names.DELIVERY_COUNT] = received.delivery_count
        if received.dead_letter is not None:
            attributes[names.DEAD_LETTER_REASON] = safe(received.dead_letter.reason)
            attributes[names.DEAD_LETTER_QUEUE] = safe(received.dead_letter.queue)
            attributes[names.DEAD_LETTER_COUNT] = received.dead_letter.count
        if self.origin is not None:
            attributes[names.ORIGIN_TRACE] = safe(f"{self.origin.trace_id:032x}")


def function_name(incoming: Incoming) -> SafeText | None:
    """Return the full name of the endpoint's method, None before it was found."""
    function = incoming.function
    if function is None:
        return None
    function = getattr(function, "__func__", function)
    return _full_name(function) if isinstance(function, FunctionType) else _named(function)


@lru_cache(1024)
def _full_name(function: FunctionType) -> SafeText:
    return _named(function)


def _named(function: Any) -> SafeText:
    module = getattr(function, "__module__", None) or type(function).__module__
    name = getattr(function, "__qualname__", None) or type(function).__qualname__
    return safe(f"{module}.{name}")
