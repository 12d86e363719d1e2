"""The pools of this process as metrics see them: asked when a reader collects, kept alive by nobody here."""

from __future__ import annotations

import os
import weakref
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from opentelemetry.metrics import Observation

from tracedrpc import semconv as names
from tracedrpc._safe import safe
from tracedrpc.telemetry import PoolStats
from tracedrpc_otel import instruments as table
from tracedrpc_otel.tallies import LOCK

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracedrpc.telemetry import Pool
    from tracedrpc_otel.instrument import Instrument
    from tracedrpc_otel.meters import Meters

NOTHING: Final = PoolStats(0, 0, 0, 0, 0, 0)

_NUMBERS: Final[tuple[tuple[Instrument, Callable[[PoolStats], float]], ...]] = (
    (table.MAX, lambda stats: stats.max_size),
    (table.IDLE_MAX, lambda stats: stats.max_size),
    (table.IDLE_MIN, lambda stats: stats.min_size),
    (table.PENDING, lambda stats: stats.waiters),
    (table.ACQUIRED, lambda stats: stats.acquired),
    (table.USE_TIME, lambda stats: stats.used_ns / 1e9),
)


@dataclass(slots=True)
class _Known:
    """An open pool; `pid` is the process that opened it, `last` what it said when it was last asked."""

    pool: weakref.ref[Pool]
    name: str
    pid: int
    last: PoolStats


class Pools:
    """Sums of the pools that have one name: a process may have several transports.

    What only ever grows (`acquired`, `used_ns`) stays in the sum when its pool is closed, collected
    as garbage, or left behind in the parent process by a fork; all else goes with the pool.
    """

    def __init__(self, meters: Meters) -> None:
        self._known: dict[int, _Known] = {}
        self._gone: dict[str, PoolStats] = {}
        meters.observe(table.COUNT, self._states)
        for row, number in _NUMBERS:
            meters.observe(row, partial(self._each, number))

    def opened(self, pool: Pool) -> None:
        """Look at a pool from now on."""
        known = _Known(weakref.ref(pool), safe(pool.name), os.getpid(), NOTHING)
        with LOCK:
            former = self._known.get(id(pool))
            if former is not None:  # that one is dead and its address used again
                self._bury(former)
            self._known[id(pool)] = known

    def closed(self, pool: Pool) -> None:
        """Forget a pool."""
        last = pool.stats()
        with LOCK:
            known = self._known.pop(id(pool), None)
            if known is not None:
                known.last = last
                self._bury(known)

    def by_name(self) -> dict[str, PoolStats]:
        """Ask every pool and return the sums."""
        self._ask()
        with LOCK:
            sums = dict(self._gone)
            for known in self._known.values():
                sums[known.name] = _plus(sums.get(known.name, NOTHING), known.last)
        return sums

    def _each(self, number: Callable[[PoolStats], float]) -> list[Observation]:
        return [
            Observation(number(stats), {names.POOL_NAME: name}) for name, stats in self.by_name().items()
        ]

    def _states(self) -> list[Observation]:
        return [
            Observation(count, {names.POOL_NAME: name, names.STATE: state})
            for name, stats in self.by_name().items()
            for state, count in (("idle", stats.idle), ("used", stats.in_use))
        ]

    def _ask(self) -> None:
        """Take each pool's own lock, if it has one, outside ours."""
        pid = os.getpid()
        with LOCK:
            known_pools = list(self._known.items())
        for key, known in known_pools:
            pool = known.pool()
            if pool is not None and known.pid == pid:
                known.last = pool.stats()
                continue
            with LOCK:
                if self._known.get(key) is known:
                    del self._known[key]
                    self._bury(known)

    def restart(self) -> None:
        """Begin the sums of closed pools anew."""
        with LOCK:
            self._gone.clear()

    def _bury(self, known: _Known) -> None:
        last = known.last
        grown = PoolStats(0, 0, 0, 0, 0, 0, 0, last.acquired, last.used_ns)
        self._gone[known.name] = _plus(self._gone.get(known.name, NOTHING), grown)


def _plus(one: PoolStats, other: PoolStats) -> PoolStats:
    return PoolStats(
        one.idle + other.idle,
        one.in_use + other.in_use,
        one.waiters + other.waiters,
        one.max_size + other.max_size,
        one.created + other.created,
        one.closed + other.closed,
        one.min_size + other.min_size,
        one.acquired + other.acquired,
        one.used_ns + other.used_ns,
    )
