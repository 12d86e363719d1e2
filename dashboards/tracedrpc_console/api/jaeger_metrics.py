"""Jaeger's metrics API, for the Monitor tab of its UI: computed from the stored spans themselves.

Durations are milliseconds, rates calls a second, errors a fraction of the calls. No envelope. Each point
looks back over `ratePer` from its time, as Prometheus' `rate()` does; a point without any call is left out.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from starlette.routing import Route

from tracedrpc_console.api import jaeger_params as params
from tracedrpc_console.api.jaeger_answers import document, envelope, guarded_v1
from tracedrpc_console.spans import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from starlette.datastructures import QueryParams
    from starlette.requests import Request
    from starlette.responses import Response

    from tracedrpc_console.api.jaeger_reader import TraceReader
    from tracedrpc_console.store.model import Timing

MOST_POINTS: Final = 11_000
"""Points of one line at most, as in Prometheus."""
LEAST_STEP_MS: Final = 1
_LOOKBACK_MS: Final = 3_600_000
_STEP_MS: Final = 5_000
_RATE_MS: Final = 600_000


@dataclass(frozen=True, slots=True)
class Frame:
    """Which spans, and at which times there shall be points.

    Attributes:
        by_operation: a line for each span name, or else for each service.
        ends_ns: the times of the points, rising.
        window_ns: how far each point looks back.
    """

    services: tuple[str, ...]
    kinds: tuple[Kind, ...]
    by_operation: bool
    ends_ns: range
    window_ns: int

    @property
    def start_ns(self) -> int:
        """Where the first point's look back begins."""
        return max(0, self.ends_ns.start - self.window_ns)


Measure: TypeAlias = "Callable[[Frame, Sequence[Timing]], float]"


class Line:
    """The spans of one service or operation, in the order of their start."""

    def __init__(self, timings: Iterable[Timing]) -> None:
        self._timings = sorted(timings, key=lambda each: each.start_ns)
        self._starts = [each.start_ns for each in self._timings]

    def windows(self, frame: Frame) -> Iterator[tuple[int, Sequence[Timing]]]:
        """Yield the spans that each point looks back on, with its time; at least one."""
        for end in frame.ends_ns:
            first = bisect_right(self._starts, end - frame.window_ns)
            last = bisect_right(self._starts, end)
            if first < last:
                yield end, self._timings[first:last]


def routes(reader: TraceReader) -> list[Route]:
    """Return the routes below /api/metrics."""
    api = _Api(reader)
    gets = {
        "latencies": api.latencies, "calls": api.calls, "errors": api.errors, "minstep": _least_step,
    }
    return [
        Route(f"/api/metrics/{name}", guarded_v1(answer), methods=["GET"]) for name, answer in gets.items()
    ]


class _Api:
    def __init__(self, reader: TraceReader) -> None:
        self._reader = reader

    def latencies(self, request: Request) -> Response:
        share = _share(request.query_params.get("quantile", ""))
        return self._family(
            request, "latencies", f"{share:g}th quantile latency",
            lambda _, spans: quantile_ms(spans, share),
        )

    def calls(self, request: Request) -> Response:
        return self._family(
            request, "call_rate", "calls/sec",
            lambda frame, spans: len(spans) / (frame.window_ns / 1e9),
        )

    def errors(self, request: Request) -> Response:
        return self._family(
            request, "error_rate", "error rate, computed as a fraction of errors/sec over calls/sec",
            lambda _, spans: sum(span.is_error for span in spans) / len(spans),
        )

    def _family(self, request: Request, name: str, text: str, measure: Measure) -> Response:
        frame = frame_of(request.query_params, time.time_ns())
        lines = grouped(frame, self._reader.timings(
            frame.services, frame.kinds, frame.start_ns, frame.ends_ns[-1] + 1,
        ))
        of = "service_operation" if frame.by_operation else "service"
        grouping = "service & operation" if frame.by_operation else "service"
        return document({
            "name": f"{of}_{name}",
            "type": "GAUGE",
            "help": f"{text}, grouped by {grouping}",
            "metrics": [_metric(key, line, frame, measure) for key, line in sorted(lines.items())],
        })


def _least_step(request: Request) -> Response:
    return envelope(request, LEAST_STEP_MS)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise params.ParamError(f"unable to parse param 'quantile': {text[:40]!r} is not between 0 and 1")
    return share


def frame_of(query: QueryParams, now_ns: int) -> Frame:
    """Return what a request for metrics asks for.

    Raises:
        ParamError: a parameter cannot be read, or there would be too many points.
    """
    services = tuple(filter(None, query.getlist("service")))
    if not services:
        raise params.ParamError("unable to parse param 'service': please provide at least one service name")
    end = params.instant_ns("endTs", query.get("endTs", ""), params.MS, now_ns)
    lookback = _positive_ns(query, "lookback", _LOOKBACK_MS)
    step = _positive_ns(query, "step", _STEP_MS)
    if lookback // step >= MOST_POINTS:
        raise params.ParamError(f"invalid parameter: more than {MOST_POINTS} points; give a longer step")
    return Frame(
        services=services,
        kinds=tuple(params.kind("spanKind", text) for text in query.getlist("spanKind")) or (Kind.SERVER,),
        by_operation=params.flag("groupByOperation", query.get("groupByOperation", "")),
        ends_ns=range(end - lookback // step * step, end + 1, step),
        window_ns=_positive_ns(query, "ratePer", _RATE_MS),
    )


def _positive_ns(query: QueryParams, name: str, default_ms: int) -> int:
    value = params.whole(name, query.get(name, ""), default_ms)
    if value <= 0:
        raise params.ParamError(f"invalid parameter: {name} must be greater than 0")
    return value * params.MS


def grouped(frame: Frame, timings: Iterable[Timing]) -> dict[tuple[str, str], Line]:
    """Return a line for each service and operation, or each service with operation ""."""
    found: dict[tuple[str, str], list[Timing]] = defaultdict(list)
    for timing in timings:
        found[timing.service, timing.name if frame.by_operation else ""].append(timing)
    return {key: Line(group) for key, group in found.items()}


def quantile_ms(spans: Sequence[Timing], share: float) -> float:
    """Return a quantile of durations, between two of them by their distance."""
    ordered = sorted(span.duration_ns for span in spans)
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return (ordered[low] + (ordered[high] - ordered[low]) * (at - low)) / 1e6


def _metric(key: tuple[str, str], line: Line, frame: Frame, measure: Measure) -> dict[str, Any]:
    service, operation = key
    labels = [{"name": "operation", "value": operation}] if frame.by_operation else []
    return {
        "labels": [*labels, {"name": "service_name", "value": service}],
        "metricPoints": [
            {"gaugeValue": {"doubleValue": measure(frame, spans)}, "timestamp": _rfc3339(end)}
            for end, spans in line.windows(frame)
        ],
    }


def _rfc3339(at_ns: int) -> str:
    seconds, rest = divmod(at_ns, 10**9)
    day = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{day}.{rest // params.MS:03}Z" if rest else f"{day}Z"
