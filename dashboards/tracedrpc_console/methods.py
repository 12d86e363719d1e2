"""Calls by method: how many, how many failed, how long they took and on what. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tracedrpc import semconv
from tracedrpc_console.spans import Kind, Span, Trace, traces

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_QUEUE: Final = semconv.PHASE_PREFIX + "queue_ms"
_HANDLER: Final = semconv.PHASE_PREFIX + "handler_ms"


@dataclass(frozen=True, slots=True)
class Method:
    """What the calls of one method have in common.

    Attributes:
        name: the method, "topic/method".
        mode: "call", "cast" or "fanout".
        count: how many were sent.
        errors: how many of them failed for their sender.
        p50_ms: half of them took no longer.
        p95_ms: 95 of 100 took no longer.
        queue: share of the answered calls' time that was between publish and reply and not on
            the server, 0 to 1; None where nothing was answered.
        handler: the same for the time in the endpoint's method.
    """

    name: str
    mode: str
    count: int
    errors: int
    p50_ms: float
    p95_ms: float
    queue: float | None
    handler: float | None


def methods(spans: Iterable[Span]) -> list[Method]:
    """Return the methods that were called, those that took the most time first."""
    sent: dict[tuple[str, str], list[tuple[Span, Trace]]] = defaultdict(list)
    for trace in traces(spans):
        for span in trace.spans:
            name, mode = span.attributes.get(semconv.RPC_METHOD), span.attributes.get(semconv.MODE)
            if name and mode and span.kind in {Kind.CLIENT, Kind.PRODUCER}:
                sent[str(name), str(mode)].append((span, trace))
    by_time = sorted(sent.items(), key=lambda each: -sum(span.duration_ms for span, _ in each[1]))
    return [_method(*key, calls) for key, calls in by_time]


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that a share of all values does not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _method(name: str, mode: str, calls: list[tuple[Span, Trace]]) -> Method:
    took = sorted(span.duration_ms for span, _ in calls)
    answered = [(span, trace) for span, trace in calls if _QUEUE in span.attributes]
    whole = sum(span.duration_ms for span, _ in answered)
    queue = sum(_number(span.attributes, _QUEUE) for span, _ in answered)
    handler = sum(_handler_ms(span, trace) for span, trace in answered)
    return Method(
        name, mode, len(calls), sum(span.is_error for span, _ in calls),
        percentile(took, 0.5), percentile(took, 0.95),
        queue / whole if whole else None, handler / whole if whole else None,
    )


def _handler_ms(span: Span, trace: Trace) -> float:
    servers = (child for child in trace.children(span) if child.kind is Kind.SERVER)
    return sum(_number(server.attributes, _HANDLER) for server in servers)


def _number(attributes: Mapping[str, Any], name: str) -> float:
    value = attributes.get(name, 0.0)
    return float(value) if isinstance(value, (int, float)) else 0.0
