"""Calls by method: rate, errors, how long they took and in which phases. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tracedrpc_console.methods import percentile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tracedrpc_console.store.model import CallRow

Key = tuple[str, str]
"""Method and mode."""


@dataclass(frozen=True, slots=True)
class Stats:
    """What some calls have in common.

    Attributes:
        count: how many there were.
        errors: how many of them failed for their sender.
        rate: calls a second, over the whole stretch of time; 0 when it has no length.
        p50, p95, p99: milliseconds that so many percent of them did not exceed.
        phases: mean milliseconds by phase, over the calls that have phases at all.
        timeouts: how many timed out, by the phase in which they died.
    """

    count: int
    errors: int
    rate: float
    p50: float
    p95: float
    p99: float
    phases: Mapping[str, float] = field(default_factory=dict)
    timeouts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Compared:
    """The calls of one method in one stretch of time or version, and in another."""

    method: str
    mode: str
    a: Stats | None
    b: Stats | None = None


def by_method(rows: Iterable[CallRow], seconds: float) -> dict[Key, Stats]:
    """Return the statistics of each method and mode, those that took the most time first.

    Args:
        rows: calls of any methods.
        seconds: how long the stretch of time is that they are from.
    """
    groups: dict[Key, list[CallRow]] = defaultdict(list)
    for row in rows:
        groups[row.method, row.mode].append(row)
    by_time = sorted(groups.items(), key=lambda each: -sum(row.duration_ns for row in each[1]))
    return {key: stats(calls, seconds) for key, calls in by_time}


def stats(calls: Sequence[CallRow], seconds: float) -> Stats:
    """Return the statistics of some calls, at least one."""
    took = sorted(max(0, call.duration_ns) / 1e6 for call in calls)
    return Stats(
        len(calls),
        sum(call.is_error for call in calls),
        len(calls) / seconds if seconds > 0 else 0.0,
        percentile(took, 0.5), percentile(took, 0.95), percentile(took, 0.99),
        _mean_phases(calls),
        dict(Counter(call.timeout_phase for call in calls if call.timeout_phase)),
    )


def compare(first: Mapping[Key, Stats], second: Mapping[Key, Stats] | None) -> list[Compared]:
    """Return each method with both sides; those that only the second has come last."""
    if second is None:
        return [Compared(*key, found) for key, found in first.items()]
    keys = dict.fromkeys([*first, *second])
    return [Compared(*key, first.get(key), second.get(key)) for key in keys]


def covered_s(rows: Sequence[CallRow], from_ns: int, to_ns: int) -> float:
    """Return the seconds of a stretch of time, from the first call on when it is open to the past."""
    begun_ns = from_ns or min((row.start_ns for row in rows), default=to_ns)
    return max(0, to_ns - begun_ns) / 1e9


def _mean_phases(calls: Sequence[CallRow]) -> dict[str, float]:
    told = [call.phases for call in calls if call.phases]
    sums: Counter[str] = Counter()
    for phases in told:
        sums.update(phases)
    return {phase: ms / len(told) for phase, ms in sums.items()}
