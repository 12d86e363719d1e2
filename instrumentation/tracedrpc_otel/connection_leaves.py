"""The spans of a call's way to a connection: `acquire connection`, and `connect` below it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from opentelemetry.trace import SpanKind

from tracedrpc import semconv as names
from tracedrpc._safe import SafeText, safe
from tracedrpc_otel.destinations import broker
from tracedrpc_otel.records import SpanRecord

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracedrpc.message import Invocation
    from tracedrpc.telemetry import ConnectionInfo, PoolStats
    from tracedrpc_otel.records import Attributes

GAP_NS: Final = 1000
"""Jaeger's clock ticks in microseconds, and its test for "before" is strict: siblings keep this apart."""
MOST_ATTEMPTS: Final = 16
"""Of one call: the first ones, and the last. A broker that is away for an hour is tried a thousand times."""

_HIT: Final = SafeText("hit")


@dataclass(frozen=True, slots=True)
class Attempt:
    """A connection that the thread of a call, or of a request, made or tried to make for it.

    Attributes:
        number: counts from 1 within that.
        connection: which one.
        begun_ns, ended_ns: monotonic.
        reason: why it failed, "" when it did not.
    """

    number: int
    connection: ConnectionInfo
    begun_ns: int
    ended_ns: int
    reason: str = ""


class WayIn:
    """What a thread learnt while it got itself connections for a call or a reply. That thread only."""

    __slots__ = ("attempts", "count", "pool", "result")

    def __init__(self) -> None:
        self.attempts: list[Attempt] = []
        self.count = 0
        self.pool = ""
        """The pool's name; "" while nothing was heard of one."""
        self.result = ""
        """How the first asking ended."""

    def attempted(self, connection: ConnectionInfo, begun_ns: int, ended_ns: int, reason: str = "") -> None:
        """Keep an attempt."""
        self.count += 1
        del self.attempts[MOST_ATTEMPTS - 1:]
        self.attempts.append(Attempt(self.count, connection, begun_ns, ended_ns, reason))

    def asked(self, pool: str, result: str) -> None:
        """Keep how the first asking for a connection ended; later ones belong to retries.

        That there was an idle one is not worth keeping: it is what is said when nothing is heard.
        """
        if not self.result:
            self.pool, self.result = pool, result

    def connects(
        self, wall_ns: Callable[[int], int], failure: SafeText | None, *,
        least_ns: int, since_ns: int = 0, before_ns: int = 0,
    ) -> tuple[SpanRecord, ...]:
        """Return the attempts that are worth a span.

        Args:
            wall_ns: makes wall clock of monotonic stamps.
            failure: of what they were made for.
            least_ns: those that were shorter are left out.
            since_ns: those that began before are left out.
            before_ns: those that began later are left out; 0 leaves none out.
        """
        return tuple(
            _connect(wall_ns, attempt, failure) for attempt in self.attempts
            if attempt.ended_ns - attempt.begun_ns >= least_ns
            and since_ns <= attempt.begun_ns < (before_ns or attempt.ended_ns + 1)
        )


def acquire(
    invocation: Invocation, way: WayIn | None, failure: SafeText | None, end_wall_ns: int, *, least_ns: int,
) -> SpanRecord | None:
    """Return the span from asking for a connection to holding one, or to the call's failure.

    None when it took less than `least_ns`, or there was nothing to ask for.
    """
    if not invocation.acquire_ns:
        return None
    start_ns, is_held = invocation.wall_ns(invocation.acquire_ns), invocation.acquired_ns > 0
    end_ns = invocation.wall_ns(invocation.acquired_ns) - GAP_NS if is_held else end_wall_ns
    if end_ns <= start_ns or end_ns - start_ns < least_ns:
        return None
    attributes, failure = _pool(invocation.pool), None if is_held else failure
    if way is not None and way.result:
        attributes |= {names.POOL_NAME: safe(way.pool), names.POOL_RESULT: safe(way.result)}
    elif is_held:
        attributes[names.POOL_RESULT] = _HIT
    if failure is not None:
        attributes[names.ERROR_TYPE] = failure
    return SpanRecord(
        "acquire connection", SpanKind.INTERNAL, start_ns, end_ns, attributes, failure,
        children=() if way is None else way.connects(
            invocation.wall_ns, failure, least_ns=0, before_ns=invocation.acquired_ns,
        ),
    )


def _pool(stats: PoolStats | None) -> Attributes:
    """Return how full the pool was when a connection was asked for; one that had an idle one is not asked."""
    if stats is None:
        return {}
    return {
        names.POOL_IN_USE: stats.in_use,
        names.POOL_IDLE: stats.idle,
        names.POOL_WAITERS: stats.waiters,
        names.POOL_MAX: stats.max_size,
    }


def _connect(wall_ns: Callable[[int], int], attempt: Attempt, failure: SafeText | None) -> SpanRecord:
    """Return the span of one attempt.

    One that failed always says why in `error.type`. Its status is ERROR only when what it was made
    for failed: an attempt that another one made good is no error, and tail samplers that keep every
    trace with an ERROR in it would keep each failover.
    """
    connection = attempt.connection
    attributes: Attributes = {
        **broker(connection.peer, connection.address),
        names.CONNECTION_ID: connection.id,
        names.PURPOSE: safe(connection.purpose),
        names.CONNECT_ATTEMPT: attempt.number,
    }
    reason = safe(attempt.reason)
    if reason:
        attributes[names.ERROR_TYPE] = reason
    return SpanRecord(
        f"connect {safe(connection.peer)}", SpanKind.CLIENT,
        wall_ns(attempt.begun_ns), wall_ns(attempt.ended_ns), attributes,
        reason if reason and failure is not None else None,
    )
