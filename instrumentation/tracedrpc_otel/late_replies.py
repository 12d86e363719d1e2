"""Replies that come after their caller has given up: the call is remembered for a while."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanKind

from tracedrpc import semconv as names
from tracedrpc._safe import SafeText, safe
from tracedrpc_otel.records import SpanRecord

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

    from tracedrpc.message import Invocation

MOST_CALLS: Final = 1000
REMEMBERED_NS: Final = 600_000_000_000
_LATE: Final = SafeText("late")


@dataclass(frozen=True, slots=True)
class DeadCall:
    """A call whose caller has given up.

    Attributes:
        span_context: of its span.
        rpc_method: its `rpc.method`.
        given_up_ns, given_up_wall_ns: when; monotonic, and wall clock.
    """

    span_context: SpanContext
    rpc_method: SafeText
    given_up_ns: int
    given_up_wall_ns: int


class DeadCalls:
    """The calls that timed out within the last ten minutes, a thousand at the most. Thread-safe."""

    def __init__(self) -> None:
        self._calls: dict[str, DeadCall] = {}
        self.forget()

    def forget(self) -> None:
        """Begin with nothing, in a child process too."""
        self._lock = threading.Lock()
        self._calls = {}

    def __len__(self) -> int:
        return len(self._calls)

    def bury(self, invocation: Invocation, rpc_method: SafeText, span_context: SpanContext) -> None:
        """Remember a call that is being given up."""
        given_up_ns = invocation.ended_ns or monotonic_ns()
        call = DeadCall(span_context, rpc_method, given_up_ns, invocation.wall_ns(given_up_ns))
        with self._lock:
            while self._calls and self._must_go(next(iter(self._calls.values())), given_up_ns):
                del self._calls[next(iter(self._calls))]
            self._calls[invocation.request.msg_id or ""] = call

    def _must_go(self, eldest: DeadCall, now_ns: int) -> bool:
        return len(self._calls) >= MOST_CALLS or now_ns - eldest.given_up_ns > REMEMBERED_NS

    def late_reply(self, msg_id: str) -> tuple[Context, SpanRecord] | None:
        """Return the span of a reply that came too late, and what it belongs below; at most once."""
        with self._lock:
            call = self._calls.pop(msg_id, None)
        now_ns = monotonic_ns()
        if call is None or now_ns - call.given_up_ns > REMEMBERED_NS:
            return None
        late_ns = max(0, now_ns - call.given_up_ns)
        record = SpanRecord(
            f"late reply {call.rpc_method}", SpanKind.CLIENT,
            call.given_up_wall_ns, call.given_up_wall_ns + late_ns,
            {
                names.RPC_METHOD: call.rpc_method,
                names.MSG_ID: safe(msg_id),
                names.LATE_BY_MS: late_ns / 1e6,
                names.KEEP_REASON: _LATE,
            },
        )
        return trace.set_span_in_context(NonRecordingSpan(call.span_context), Context()), record
