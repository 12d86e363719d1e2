"""What the scopes of client and server share: one live span, current while the work runs."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from opentelemetry.context import attach

from tracedrpc.message import NO_CARRIER
from tracedrpc.telemetry import Scope

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token
    from typing import Self

    from opentelemetry.context import Context
    from opentelemetry.trace import SpanContext

    from tracedrpc_otel.propagation import Propagation
    from tracedrpc_otel.records import EventRecord
    from tracedrpc_otel.sink import LiveSpan


class Current:
    """Makes a context the current one of this thread, and undoes it."""

    __slots__ = ("_token",)

    def __init__(self) -> None:
        self._token: Token[Context] | None = None

    def attach(self, context: Context) -> None:
        """Make it current."""
        self._token = attach(context)

    def detach(self) -> None:
        """Make current again what was before; harmless when it cannot be done.

        By the token itself, because `opentelemetry.context.detach` logs an error with a stack
        when the work ended in another `contextvars` context than it began in.
        """
        token, self._token = self._token, None
        if token is not None:
            with suppress(ValueError, RuntimeError):
                token.var.reset(token)


class ContextScope(Scope):
    """Sends a trace context along without recording anything, and has it current inside."""

    __slots__ = ("_carrier", "_current", "_ids", "_propagation", "_span_context")

    def __init__(self, propagation: Propagation, span_context: SpanContext | None = None) -> None:
        self._propagation = propagation
        self._span_context = span_context
        self._current = Current()
        self._carrier: Mapping[str, str] | None = None
        self._ids: Mapping[str, str] | None = None

    @property
    def carrier(self) -> Mapping[str, str]:  # type: ignore[override]  # read-only here
        """Trace context to send along."""
        if self._carrier is None:
            context = self._span_context
            self._carrier = NO_CARRIER if context is None else self._propagation.write(context)
        return self._carrier

    @property
    def ids(self) -> Mapping[str, str]:  # type: ignore[override]  # read-only here
        """What log lines about this work should say."""
        if self._ids is None:
            context = self._span_context
            self._ids = NO_CARRIER if context is None else ids_of(context)
        return self._ids


class PassingScope(ContextScope):
    """For a process without an SDK: the trace goes through it, whole and unrecorded."""

    __slots__ = ("_context",)

    def __init__(
        self, propagation: Propagation, span_context: SpanContext, context: Context | None = None,
    ) -> None:
        super().__init__(propagation, span_context)
        self._context = context

    def __enter__(self) -> Self:
        if self._context is not None:
            self._current.attach(self._context)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._current.detach()


class SpanScope(ContextScope):
    """One live span; subclasses begin it in `_begin` and tell in `_tell` how it ended."""

    __slots__ = ("_error", "_expected", "_live")

    def __init__(self, propagation: Propagation) -> None:
        super().__init__(propagation)
        self._live: LiveSpan | None = None
        self._error: BaseException | None = None
        self._expected = False

    def __enter__(self) -> Self:
        live = self._live = self._begin()
        self._span_context = live.span_context
        self._current.attach(live.context)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._current.detach()
        live, error = self._live, exc_info[1] if len(exc_info) > 1 else None
        if live is None or not live.is_recording():
            return
        if isinstance(error, BaseException):
            self._error, self._expected = error, False
        self._tell(live)

    def failed(self, error: BaseException, *, expected: bool = False) -> None:
        """The work failed and the core handled it; `expected` when the method declares the class."""
        self._error, self._expected = error, expected

    def event(self, record: EventRecord) -> None:
        """Add an event to the span; any thread, and too late is not an error."""
        if self._live is not None:
            self._live.event(record)

    def _begin(self) -> LiveSpan:
        raise NotImplementedError

    def _tell(self, live: LiveSpan) -> None:
        raise NotImplementedError


def ids_of(context: SpanContext) -> Mapping[str, str]:
    """Return a span's ids as the conventions for logs write them."""
    if not context.is_valid:
        return NO_CARRIER
    return {
        "trace_id": f"{context.trace_id:032x}",
        "span_id": f"{context.span_id:016x}",
        "trace_flags": f"{context.trace_flags:02x}",
    }
