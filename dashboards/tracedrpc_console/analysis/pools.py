"""Connections, heartbeats and time-outs of each process, from the stored metrics. Pure.

Sums are taken as cumulative, as OpenTelemetry's SDKs send them by default; what came before the stretch of
time is taken off when a point before it is there.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tracedrpc import semconv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tracedrpc_console.store.model import Point, Series

BASELINE_NS: Final = 300 * 10**9
"""How long before a stretch of time the last point is looked for; exports come once a minute."""

COUNT: Final = "tracedrpc.client.connection.count"
LINES: Final[Mapping[str, str]] = {
    "max": "tracedrpc.client.connection.max",
    "waiting": "tracedrpc.client.connection.pending_requests",
}
"""Beside COUNT, which tells used from idle by an attribute: the lines of a pool's picture."""
WAIT: Final = "tracedrpc.client.connection.wait_time"
CREATED: Final = "tracedrpc.client.connection.create_time"
CLOSED: Final = "tracedrpc.connection_closed"
ACQUIRED: Final = "tracedrpc.client.connection.acquired"
POOL_TIMEOUTS: Final = "tracedrpc.client.connection.timeouts"
RECEIVED: Final = "tracedrpc.client.heartbeats"
SENT: Final = "tracedrpc.server.heartbeats"
TIMEOUTS: Final = "tracedrpc.client.timeouts"
_MS: Final = 1000.0

_Process = tuple[str, str]
"""Service and instance."""


@dataclass(frozen=True, slots=True)
class Wait:
    """How long threads waited for a connection, in ms; the percentiles are bounds of buckets."""

    count: int = 0
    mean: float = 0.0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """One pool of one process; `lines` hold (time in ns, value) by "used", "idle", "waiting" and "max"."""

    service: str
    instance: str
    name: str
    lines: Mapping[str, tuple[tuple[int, float], ...]]
    wait: Wait
    acquired: int
    timeouts: int
    created: int
    closed: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Beats:
    """Heartbeats of monitored calls that a service received and sent."""

    service: str
    received: int = 0
    sent: int = 0


@dataclass(frozen=True, slots=True)
class Pools:
    """Everything the page of pools shows."""

    pools: tuple[Pool, ...] = ()
    heartbeats: tuple[Beats, ...] = ()
    timeouts: Mapping[str, int] = field(default_factory=dict)


def pools(find: Callable[[str], Iterable[Series]], from_ns: int, to_ns: int) -> Pools:
    """Return the page's values for a stretch of time.

    Args:
        find: gives a metric's series, from BASELINE_NS before the stretch on.
        from_ns: where it begins.
        to_ns: where it ends.
    """
    window = _Window(from_ns, to_ns)
    return Pools(_pools(find, window), _beats(find, window), _timeouts(find, window))


@dataclass(frozen=True, slots=True)
class _Window:
    from_ns: int
    to_ns: int

    def inside(self, series: Series) -> list[Point]:
        return [point for point in series.points if self.from_ns <= point.at_ns <= self.to_ns]

    def baseline(self, series: Series) -> Point | None:
        before = [point for point in series.points if point.at_ns < self.from_ns]
        return before[-1] if before else None

    def increase(self, series: Series) -> int:
        """Return by how much a counter grew; a fall is a new start of it."""
        before = self.baseline(series)
        last, grown = (before.value if before else 0.0), 0.0
        for point in self.inside(series):
            grown += point.value - last if point.value >= last else point.value
            last = point.value
        return round(grown)

    def observed(self, series: Series) -> tuple[int, float, Counter[float]]:
        """Return count, sum and counts by upper bound that a histogram gained."""
        inside = self.inside(series)
        if not inside:
            return 0, 0.0, Counter()
        last, before = inside[-1], self.baseline(series)
        buckets = Counter(dict(last.buckets))
        if before is None or before.count > last.count:
            return last.count, last.value, buckets
        buckets.subtract(dict(before.buckets))
        return last.count - before.count, last.value - before.value, buckets


def _pools(find: Callable[[str], Iterable[Series]], window: _Window) -> tuple[Pool, ...]:
    lines: dict[tuple[_Process, str], dict[str, tuple[tuple[int, float], ...]]] = defaultdict(dict)
    for series in find(COUNT):
        state = str(series.attributes.get(semconv.STATE, "used"))
        lines[_pool_key(series)][state] = _line(series, window)
    for line, metric in LINES.items():
        for series in find(metric):
            lines[_pool_key(series)][line] = _line(series, window)
    waits = _grouped(find(WAIT), _pool_key)
    acquired = _summed(find(ACQUIRED), _pool_key, window)
    timeouts = _summed(find(POOL_TIMEOUTS), _pool_key, window)
    created = {process: sum(window.observed(each)[0] for each in found)
               for process, found in _grouped(find(CREATED), _process).items()}
    closed = _by_reason(find(CLOSED), window)
    return tuple(
        Pool(
            *key[0], key[1], drawn, _wait(waits.get(key, []), window), acquired[key], timeouts[key],
            created.get(key[0], 0), closed.get(key[0], {}),
        )
        for key, drawn in sorted(lines.items()) if any(drawn.values())
    )


def _beats(find: Callable[[str], Iterable[Series]], window: _Window) -> tuple[Beats, ...]:
    received = _summed(find(RECEIVED), _service, window)
    sent = _summed(find(SENT), _service, window)
    return tuple(Beats(name, received[name], sent[name]) for name in sorted({*received, *sent}))


def _timeouts(find: Callable[[str], Iterable[Series]], window: _Window) -> dict[str, int]:
    counts = _summed(find(TIMEOUTS), _phase, window)
    return {phase: count for phase, count in counts.most_common() if count}


def _by_reason(found: Iterable[Series], window: _Window) -> dict[_Process, dict[str, int]]:
    reasons: dict[_Process, Counter[str]] = defaultdict(Counter)
    for series in found:
        reasons[_process(series)][str(series.attributes.get(semconv.REASON, ""))] += window.increase(series)
    return {process: {reason: n for reason, n in counts.items() if n} for process, counts in reasons.items()}


def _wait(found: Iterable[Series], window: _Window) -> Wait:
    count, total_s, buckets = 0, 0.0, Counter[float]()
    for series in found:
        gained = window.observed(series)
        count, total_s = count + gained[0], total_s + gained[1]
        buckets.update(gained[2])
    if not count:
        return Wait()
    at = [quantile(buckets, count, share) for share in (0.5, 0.95, 0.99)]
    return Wait(count, total_s / count * _MS, *at)


def quantile(buckets: Mapping[float, int], count: int, share: float) -> float | None:
    """Return the bound in ms below which that share of a histogram's values lies; None beyond its last."""
    seen = 0
    for bound, n in sorted(buckets.items()):
        seen += n
        if seen >= share * count:
            return None if bound == float("inf") else bound * _MS
    return None


def _line(series: Series, window: _Window) -> tuple[tuple[int, float], ...]:
    return tuple((point.at_ns, point.value) for point in window.inside(series))


def _grouped(found: Iterable[Series], key: Callable[[Series], Any]) -> dict[Any, list[Series]]:
    groups: dict[Any, list[Series]] = defaultdict(list)
    for series in found:
        groups[key(series)].append(series)
    return groups


def _summed(found: Iterable[Series], key: Callable[[Series], Any], window: _Window) -> Counter[Any]:
    sums: Counter[Any] = Counter()
    for series in found:
        sums[key(series)] += window.increase(series)
    return sums


def _process(series: Series) -> _Process:
    return series.service, series.instance


def _pool_key(series: Series) -> tuple[_Process, str]:
    return _process(series), str(series.attributes.get(semconv.POOL_NAME, ""))


def _service(series: Series) -> str:
    return series.service


def _phase(series: Series) -> str:
    return str(series.attributes.get(semconv.TIMEOUT_PHASE, ""))
