"""The AMQP headers that carry trace context, times and names; peers on oslo.messaging ignore them.

Whatever comes from the wire may be anything: what reads it here never raises.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from tracedrpc.message import NO_CARRIER, W3C_KEYS, DeadLetter, ServerTimes

if TYPE_CHECKING:
    from collections.abc import Mapping

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
SENT: Final = "x-tracedrpc-sent-ns"
DEADLINE: Final = "x-tracedrpc-deadline-ms"
TIMING: Final = "x-tracedrpc-timing"
SERVER: Final = "x-tracedrpc-server"
DEATH: Final = "x-death"
"""RabbitMQ's list of the queues that a message was taken out of, the last one first."""
DELIVERIES: Final = "x-delivery-count"
"""How often a quorum queue has delivered a message before."""

_MOST_CHARS: Final = 512
"""Longest trace context taken from the wire; what is longer is no trace context."""
_MOST_OTHER_CHARS: Final = 1024
"""The same for keys that are not W3C's and that a listener asks for."""
_MOST_NAME_CHARS: Final = 255
_MOST_DIGITS: Final = 19
"""Digits of the largest signed 64-bit number, which holds ns since 1970 until 2262."""
_TIMING: Final = re.compile(r"wait=(\d{1,15});handler=(\d{1,15});total=(\d{1,15})", re.ASCII)
_REASONS: Final = frozenset({"expired", "rejected", "maxlen", "delivery_limit"})


# ---- what we send --------------------------------------------------------------------------------


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
    """Return the headers of a reply: the server's own durations and name, and its trace context."""
    headers = {
        **carrier,
        SENT: str(times.sent_ns),
        TIMING: f"wait={times.wait_us};handler={times.handler_us};total={times.total_us}",
    }
    if times.server:
        headers[SERVER] = times.server
    return headers


def heartbeat_headers(server: str, carrier: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of a heartbeat: who works on the call, and its trace context."""
    return {**carrier, SERVER: server} if server else dict(carrier)


# ---- what we read --------------------------------------------------------------------------------


def server_times(headers: Mapping[str, Any]) -> ServerTimes | None:
    """Return what a reply's headers say about its server's time, or None."""
    timing = headers.get(TIMING)
    found = _TIMING.fullmatch(timing) if isinstance(timing, str) else None
    if found is None:
        return None
    wait_us, handler_us, total_us = map(int, found.groups())
    return ServerTimes(sent_ns(headers), wait_us, handler_us, total_us, server_name(headers))


def server_name(headers: Mapping[str, Any]) -> str:
    """Return the name of the server that sent a reply or heartbeat, or "" when it is not told."""
    name = headers.get(SERVER)
    return name if _is_name(name) else ""


def sent_ns(headers: Mapping[str, Any]) -> int:
    """Return the sender's wall clock, ns since 1970, or 0 when it is not told."""
    return _digits(headers.get(SENT)) or 0


def timeout_s(headers: Mapping[str, Any]) -> float | None:
    """Return how long a request's sender waits from when it sent it, or None when it is not told."""
    limit_ms = _digits(headers.get(DEADLINE))
    return None if limit_ms is None else limit_ms / 1e3


def dead_letter(headers: Mapping[str, Any]) -> DeadLetter | None:
    """Return where the broker took a message out of last, or None when it came straight."""
    deaths = headers.get(DEATH)
    if deaths is None:
        return None
    last = deaths[0] if isinstance(deaths, list) and deaths else None
    if not isinstance(last, dict):
        return None
    reason, queue = last.get("reason"), last.get("queue")
    if not (_is_name(reason) and _is_name(queue)):
        return None
    return DeadLetter(reason if reason in _REASONS else "other", queue, _count(last.get("count")))


def delivery_count(headers: Mapping[str, Any]) -> int:
    """Return how often a quorum queue has delivered a message before; 0 when it does not say."""
    told = headers.get(DELIVERIES)
    return 0 if told is None else _count(told)


def carrier_of(
    headers: Mapping[str, Any], context: Mapping[str, Any], keys: frozenset[str] = W3C_KEYS,
) -> Mapping[str, str]:
    """Return the trace context of a message.

    Peers that know no headers put W3C's two entries into the request context. Both are taken from
    one place, headers first, so that a parent never meets the vendor data of another.

    Args:
        headers: where it belongs.
        context: where it may be else.
        keys: what to look for; other keys than W3C's are looked for in the headers only.
    """
    pair = (_pair(headers) or _pair(context)) if TRACEPARENT in keys else None
    if keys is W3C_KEYS:
        return pair or NO_CARRIER
    found = {key: headers.get(key) for key in keys - W3C_KEYS}
    others = {key: text for key, text in found.items() if _is_plausible(text, _MOST_OTHER_CHARS)}
    return (pair or {}) | others


def _pair(source: Mapping[str, Any]) -> dict[str, str] | None:
    parent = source.get(TRACEPARENT)
    if not _is_plausible(parent):
        return None
    state = source.get(TRACESTATE)
    if not _is_plausible(state):
        return {TRACEPARENT: parent}
    return {TRACEPARENT: parent, TRACESTATE: state}


def _is_plausible(text: object, most: int = _MOST_CHARS) -> TypeGuard[str]:
    return isinstance(text, str) and 0 < len(text) <= most and text.isascii()


def _is_name(text: object) -> TypeGuard[str]:
    return isinstance(text, str) and 0 < len(text) <= _MOST_NAME_CHARS and text.isprintable()


def _digits(text: object) -> int | None:
    if isinstance(text, str) and len(text) <= _MOST_DIGITS and text.isascii() and text.isdigit():
        return int(text)
    return None


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
