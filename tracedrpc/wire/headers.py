"""The AMQP headers that carry trace context and times; peers on oslo.messaging ignore them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from tracedrpc.message import NO_CARRIER, ServerTimes

if TYPE_CHECKING:
    from collections.abc import Mapping

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
SENT: Final = "x-tracedrpc-sent-ns"
DEADLINE: Final = "x-tracedrpc-deadline-ms"
TIMING: Final = "x-tracedrpc-timing"

_MOST_CHARS: Final = 512
"""Longest trace context taken from the wire; what is longer is no trace context."""
_MOST_DIGITS: Final = 19
"""Digits of the largest signed 64-bit number, which holds ns since 1970 until 2262."""
_TIMING: Final = re.compile(r"wait=(\d{1,15});handler=(\d{1,15});total=(\d{1,15})", re.ASCII)


def request_headers(
    carrier: Mapping[str, str], sent_ns: int, timeout_s: float | None,
) -> dict[str, str]:
    """Return the headers of a request.

    Args:
        carrier: trace context to send along.
        sent_ns: the sender's wall clock, ns since 1970.
        timeout_s: what is left of the call's time, or None for no limit.
    """
    headers = {**carrier, SENT: str(sent_ns)}
    if timeout_s is not None:
        headers[DEADLINE] = str(max(0, int(timeout_s * 1e3)))
    return headers


def reply_headers(times: ServerTimes, carrier: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a reply: the server's own durations, and its trace context."""
    return {
        **carrier,
        SENT: str(times.sent_ns),
        TIMING: f"wait={times.wait_us};handler={times.handler_us};total={times.total_us}",
    }


def server_times(headers: Mapping[str, Any]) -> ServerTimes | None:
    """Return what a reply's headers say about its server's time, or None; never raises."""
    timing = headers.get(TIMING)
    found = _TIMING.fullmatch(timing) if isinstance(timing, str) else None
    if found is None:
        return None
    wait_us, handler_us, total_us = map(int, found.groups())
    return ServerTimes(sent_ns(headers), wait_us, handler_us, total_us)


def sent_ns(headers: Mapping[str, Any]) -> int:
    """Return the sender's wall clock, ns since 1970, or 0 when it is not told; never raises."""
    text = headers.get(SENT)
    if isinstance(text, str) and len(text) <= _MOST_DIGITS and text.isascii() and text.isdigit():
        return int(text)
    return 0


def carrier_of(headers: Mapping[str, Any], context: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the trace context of a message: from its headers, or else from its request context.

    Peers that know no headers put it into the request context. Both entries come from one place,
    so that a parent never meets the vendor data of another.
    """
    return _carrier(headers) or _carrier(context) or NO_CARRIER


def _carrier(source: Mapping[str, Any]) -> dict[str, str] | None:
    parent = source.get(TRACEPARENT)
    if not _is_plausible(parent):
        return None
    state = source.get(TRACESTATE)
    if not _is_plausible(state):
        return {TRACEPARENT: parent}
    return {TRACEPARENT: parent, TRACESTATE: state}


def _is_plausible(text: object) -> TypeGuard[str]:
    return isinstance(text, str) and 0 < len(text) <= _MOST_CHARS and text.isascii()
