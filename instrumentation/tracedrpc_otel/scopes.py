"""What the scopes of client and server share: one live span, current while the work runs."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from opentelemetry import trace
from opentelemetry.context import attach
from opentelemetry.trace import INVALID_SPAN_CONTEXT

from tracedrpc.message import NO_CARRIER
from tracedrpc.telemetry import Scope
from tracedrpc_otel.settings import Detail, ReplyWait

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token
    from typing import Self

    from opentelemetry.context import Context
    from opentelemetry.trace import SpanContext

    from tracedrpc_otel.capture import Capture
    from tracedrpc_otel.connection_leaves import WayIn
    from tracedrpc_otel.events import EventRouter
    from tracedrpc_otel.propagation import Wire
    from tracedrpc_otel.records import EventRecord
    from tracedrpc_otel.settings import Settings
    from tracedrpc_otel.sink import LiveSpan, Sink


_ALL_EVENTS: Final = 64
_LONG: Final = 5
"""A call is long that takes so many times what a phase must take to have a span."""
_NOTHING_NS: Final = 1_000_000
"""A phase that was shorter is no reason why any call takes long."""
Work = TypeVar("Work")


@dataclass(frozen=True, slots=True)
class Kit:
    """What all scopes of one listener work with.

    Attributes:
        draws_leaves: a call has more than its two spans.
        draws_all: every phase of every call has its span.
        phase_min_ns: from this duration on a phase has its span.
        is_plain: no switch changes what is told of a call that went as nearly all go.
    """

    sink: Sink
    wire: Wire
    settings: Settings
    router: EventRouter
    capture: Capture
    draws_leaves: bool = field(init=False)
    draws_all: bool = field(init=False)
    phase_min_ns: int = field(init=False)
    is_plain: bool = field(init=False)

    def __post_init__(self) -> None:
        detail, keep = self.settings.tracing, partial(object.__setattr__, self)
        keep("draws_leaves", detail is not Detail.COMPACT)
        keep("draws_all", detail is Detail.FULL)
        keep("phase_min_ns", int(self.settings.phase_min_ms * 1e6))
        keep("is_plain", (
            detail is Detail.STANDARD and self.settings.reply_wait is ReplyWait.LEG
            and not self.settings.semconv and not self.capture.takes_fields
        ))

    def least_ns(self, elapsed_ns: int, *, is_special: bool) -> int:
        """Return from which duration on a phase of a call or request has its span.

        A call that is long by the same measure has more of them: whoever looks at it wants no
        more than a few hundredths of it unexplained.

        Args:
            elapsed_ns: how long the whole took.
            is_special: it was slow, failed or timed out: it is told in full.
        """
        if is_special or self.draws_all:
            return 0
        if elapsed_ns < _LONG * self.phase_min_ns:
            return self.phase_min_ns
        return min(self.phase_min_ns, max(elapsed_ns // 100, _NOTHING_NS))


class ContextScope(Scope):
    """Sends a trace context along without recording anything, and has it current inside."""

    # Defaults of the class: there are two scopes to a call, and most of this is never set.
    _ids: Mapping[str, str] | None = None
    _token: Token[Context] | None = None

    def __init__(self, wire: Wire, span_context: SpanContext | None = None) -> None:
        self._wire = wire
        self._span_context = span_context or INVALID_SPAN_CONTEXT

    @property
    def carrier(self) -> Mapping[str, str]:  # type: ignore[override]  # read-only here
        """Trace context to send along; the core asks once."""
        return self._wire.write(self._span_context)

    @property
    def ids(self) -> Mapping[str, str]:  # type: ignore[override]  # read-only here
        """What log lines about this work should say."""
        if self._ids is None:
            self._ids = ids_of(self._span_context)
        return self._ids

    def _detach(self) -> None:
        """Make current again what was before `attach`; harmless when it cannot be done.

        By the token itself, because `opentelemetry.context.detach` logs an error with a stack
        when the work ended in another `contextvars` context than it began in.
        """
        token, self._token = self._token, None
        if token is None:
            return
        try:
            token.var.reset(token)
        except (ValueError, RuntimeError):
            return


class PassingScope(ContextScope):
    """For a process without an SDK: the trace goes through it, whole and unrecorded."""

    def __init__(
        self, wire: Wire, span_context: SpanContext | None, context: Context | None = None,
    ) -> None:
        super().__init__(wire, span_context)
        self._context = context

    def __enter__(self) -> Self:
        if self._context is not None:
            self._token = attach(self._context)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._detach()


class SpanScope(ContextScope, Generic[Work]):
    """One live span; subclasses begin it in `_begin` and tell in `_tell` how it ended.

    The work, an invocation or a request, knows its scope; the scope forgets it at its end. A ring
    of the two would wait for the garbage collector, with all arguments, which takes a sixth of the
    time of all telemetry.
    """

    way: WayIn | None = None
    """What its own thread learns while it gets itself connections; None while that is nothing."""
    live: LiveSpan | None = None
    """The span, once begun."""
    _outer: SpanScope[Any] | None = None
    _error: BaseException | None = None
    _expected = False
    _told = 0

    def __init__(self, work: Work, kit: Kit) -> None:
        self._work = work
        self._kit = kit
        self._wire = kit.wire

    def __enter__(self) -> Self:
        live = self.live = self._begin(self._work)
        self._span_context = live.span_context
        self._token = attach(live.context)
        self._outer, _here.scope = _here.scope, self
        return self

    def __exit__(self, *exc_info: object) -> None:
        if _here.scope is self:
            _here.scope = self._outer
        self._outer = None
        self._detach()
        live, work = self.live, self._work
        del self._work
        if live is None or not live.is_recording():
            return
        error = exc_info[1] if exc_info else None
        if isinstance(error, BaseException):
            self._error, self._expected = error, False
        self._tell(work, live)

    def failed(self, error: BaseException, *, expected: bool = False) -> None:
        """The work failed and the core handled it; `expected` when the method declares the class."""
        self._error, self._expected = error, expected

    def event(self, record: EventRecord) -> None:
        """Add an event to the span; any thread, and too late is not an error.

        Of very many the first ones are told and then ever fewer: the SDK keeps 128 events of a
        span and drops the oldest, the beginning of the story.
        """
        live = self.live
        if live is not None and live.is_recording():
            count = self._told = self._told + 1
            if count > _ALL_EVENTS and count & (count - 1):
                return
            for kept in self._kit.router.for_span((record,), live.context):
                live.event(kept)

    def is_recording(self) -> bool:
        """Tell whether anything told now would still be kept."""
        return self.live is not None and self.live.is_recording()

    def is_current(self) -> bool:
        """Tell whether its span is this thread's current one, and none of the application's below it."""
        here = trace.get_current_span().get_span_context()
        return self.live is not None and here.span_id == self._span_context.span_id

    def _begin(self, work: Work) -> LiveSpan:
        raise NotImplementedError

    def _tell(self, work: Work, live: LiveSpan) -> None:
        raise NotImplementedError


class _Here(threading.local):
    """Of each thread: the innermost scope entered there and not yet left."""

    scope: SpanScope[Any] | None = None


_here: Final = _Here()


def scope_here() -> SpanScope[Any] | None:
    """Return the innermost scope that this thread has entered: what it does now, it does for that."""
    return _here.scope


def ids_of(context: SpanContext) -> Mapping[str, str]:
    """Return a span's ids as the conventions for logs write them."""
    if not context.is_valid:
        return NO_CARRIER
    return {
        "trace_id": f"{context.trace_id:032x}",
        "span_id": f"{context.span_id:016x}",
        "trace_flags": f"{context.trace_flags:02x}",
    }
