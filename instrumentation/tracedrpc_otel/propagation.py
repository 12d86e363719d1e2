"""Trace context as text: `traceparent` and `tracestate`, written and read by hand.

Equal to OpenTelemetry's `TraceContextTextMapPropagator` in what it accepts and writes, at a third
of its price, and harder: whatever a peer sends, nothing raises and nothing is logged; tracestate
is capped at 512 characters. Baggage travels only as far as it is allowed to.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Final, Protocol

from opentelemetry import propagate, trace
from opentelemetry.context import Context, get_current
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, SpanContext, TraceFlags, TraceState

from tracedrpc.message import NO_CARRIER
from tracedrpc_otel import baggage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracedrpc_otel.baggage import Baggage

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
PARENT_LIMIT: Final = 512
"""Longest traceparent looked at, as in the SDK; later versions may append fields."""
STATE_LIMIT: Final = 512
STATE_MEMBERS: Final = 32
"""Limits of https://www.w3.org/TR/trace-context/#tracestate-limits."""

_PARENT: Final = re.compile(
    r"[ \t]*([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:(-.*)|[ \t]*)$",
)
_FLAGS: Final = [TraceFlags(flags) for flags in range(256)]
_KEY: Final = r"[a-z][_0-9a-z\-*/]{0,255}|[a-z0-9][_0-9a-z\-*/]{0,240}@[a-z][_0-9a-z\-*/]{0,13}"
_VALUE: Final = r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
_MEMBER: Final = re.compile(f"({_KEY})=({_VALUE})")


class Propagation(Protocol):
    """A format of trace context on the wire."""

    @property
    def keys(self) -> frozenset[str]:
        """The keys it may write, and reads."""
        ...

    def write(self, span_context: SpanContext) -> Mapping[str, str]:
        """Return what to send along, empty when the context is not valid."""
        ...

    def read(self, carrier: Mapping[str, Any]) -> SpanContext | None:
        """Return the sender's context, or None when there is none or it is not valid."""
        ...


class TraceContext:
    """W3C trace context."""

    keys = frozenset({TRACEPARENT, TRACESTATE})

    def write(self, span_context: SpanContext) -> Mapping[str, str]:
        """Return what to send along, empty when the context is not valid."""
        trace_id, span_id, _, flags, state, is_valid = span_context
        if not is_valid:
            return NO_CARRIER
        carrier = {TRACEPARENT: f"00-{trace_id:032x}-{span_id:016x}-{flags:02x}"}
        if state:
            text = state.to_header()
            if len(text) <= STATE_LIMIT:
                carrier[TRACESTATE] = text
        return carrier

    def read(self, carrier: Mapping[str, Any]) -> SpanContext | None:
        """Return the sender's context, or None when there is none or it is not valid."""
        parent = carrier.get(TRACEPARENT)
        if not isinstance(parent, str) or len(parent) > PARENT_LIMIT:
            return None
        match = _PARENT.match(parent)
        if match is None:
            return None
        version, trace_id, span_id, flags, more = match.groups()
        if version == "ff" or (more and version == "00"):
            return None
        context = SpanContext(
            int(trace_id, 16),
            int(span_id, 16),
            is_remote=True,
            trace_flags=_FLAGS[int(flags, 16)],
            trace_state=parse_tracestate(carrier.get(TRACESTATE)),
        )
        return context if context.is_valid else None


class GlobalFormat:
    """Whatever format the application chose for OpenTelemetry's global propagator, less baggage."""

    @property
    def keys(self) -> frozenset[str]:
        """The keys it may write, and reads."""
        return frozenset(propagate.get_global_textmap().fields) - {baggage.HEADER}

    def write(self, span_context: SpanContext) -> Mapping[str, str]:
        """Return what to send along, empty when the context is not valid."""
        carrier: dict[str, str] = {}
        context = trace.set_span_in_context(NonRecordingSpan(span_context), Context())
        propagate.inject(carrier, context)
        return carrier

    def read(self, carrier: Mapping[str, Any]) -> SpanContext | None:
        """Return the sender's context, or None when there is none or it is not valid."""
        texts = {key: value for key, value in carrier.items() if isinstance(value, str)}
        try:
            context = propagate.extract(texts, Context())
        except Exception:  # noqa: BLE001 - a foreign parser, and text that anybody may have sent
            return None
        found = trace.get_current_span(context).get_span_context()
        return found if found.is_valid else None


class Wire:
    """What travels with a message: a span's context in one format, and the baggage that may."""

    def __init__(self, propagation: Propagation, allowed: Baggage | None = None) -> None:
        self._propagation = propagation
        self._baggage = allowed
        self.carries_baggage = allowed is not None
        self.keys = propagation.keys if allowed is None else propagation.keys | {baggage.HEADER}

    def write(self, span_context: SpanContext) -> Mapping[str, str]:
        """Return what to send along from the current context; of the span nothing when it is not valid."""
        carrier = self._propagation.write(span_context)
        if self._baggage is None:
            return carrier
        text = self._baggage.write()
        return {**carrier, baggage.HEADER: text} if text else carrier

    def read(self, carrier: Mapping[str, Any]) -> SpanContext | None:
        """Return the sender's context, or None when there is none or it is not valid."""
        return self._propagation.read(carrier) if carrier else None

    def context(self, remote: SpanContext | None, carrier: Mapping[str, Any]) -> Context:
        """Return the context for work on a message, below the sender's span if there is one."""
        context = parent_context(remote)
        return context if self._baggage is None else self._baggage.read(carrier, context)


def chosen() -> Propagation:
    """Return the format that `OTEL_PROPAGATORS` asks for, or the application by setting one."""
    names = os.environ.get("OTEL_PROPAGATORS", "tracecontext,baggage").lower().split(",")
    wanted = {name.strip() for name in names} - {"", baggage.HEADER}
    used = propagate.get_global_textmap().fields
    is_w3c = wanted <= {"tracecontext"} and used <= {TRACEPARENT, TRACESTATE, baggage.HEADER}
    return TraceContext() if is_w3c else GlobalFormat()


def parse_tracestate(header: object) -> TraceState | None:
    """Return a valid tracestate, or None: a bad one is dropped as a whole, as the SDK does.

    It is checked here first, because the SDK logs what it refuses, and that text is a peer's.
    """
    if not isinstance(header, str) or len(header) > STATE_LIMIT:
        return None
    pairs: dict[str, str] = {}
    for text in header.split(","):
        member = text.strip(" \t")
        if not member:
            continue
        match = _MEMBER.fullmatch(member)
        if match is None or match[1] in pairs:
            return None
        pairs[match[1]] = match[2]
    return TraceState(list(pairs.items())) if 0 < len(pairs) <= STATE_MEMBERS else None


def parent_context(remote: SpanContext | None) -> Context:
    """Return the current context with the sender's span in it, and with no span without one.

    A request without trace context is a new trace, even when its worker happens to run inside
    some other span of this process.
    """
    span = INVALID_SPAN if remote is None else NonRecordingSpan(remote)
    return trace.set_span_in_context(span, get_current())
