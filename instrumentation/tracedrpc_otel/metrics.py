"""What is measured and counted of calls, requests, messages, pools and connections.

Independent of tracing: nothing here asks whether a call is sampled, or whether there is a tracer.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary, WeakSet

from opentelemetry import metrics
from opentelemetry.metrics import NoOpMeterProvider, Observation

from tracedrpc import semconv as names
from tracedrpc._safe import SafeText, safe
from tracedrpc.message import Mode
from tracedrpc_otel import drops
from tracedrpc_otel import instruments as table
from tracedrpc_otel.connections import Connections
from tracedrpc_otel.destinations import queue_template, template
from tracedrpc_otel.durations import Durations
from tracedrpc_otel.in_hand import InHand
from tracedrpc_otel.meters import Meters
from tracedrpc_otel.outcomes import NO_STATUS, error_type, status
from tracedrpc_otel.pools import Pools
from tracedrpc_otel.records import word
from tracedrpc_otel.tallies import NOTHING, Tally

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.metrics import MeterProvider

    from tracedrpc.driver import Incoming
    from tracedrpc.message import Invocation
    from tracedrpc.telemetry import ConnectionInfo, Pool
    from tracedrpc_otel.instrument import Instrument
    from tracedrpc_otel.queue_times import QueueTime
    from tracedrpc_otel.records import Value
    from tracedrpc_otel.settings import Settings
    from tracedrpc_otel.sink import LiveSpan

QUEUE_MOST_NS: Final = 30 * 24 * 3600 * 1_000_000_000
"""A request that says it was sent longer ago has a wrong clock, or is made up."""

NO_ERROR: Final = SafeText("")
_SYSTEM: Final = {names.RPC_SYSTEM: SafeText(names.SYSTEM_VALUE)}
_DISCARDED: Final = {"late": table.LATE, "duplicate": table.DUPLICATE}


class Metrics:
    """Takes what the listener is told; any thread.

    Nobody need tell the end of calls and requests unless `is_on()`. Moments are counted always, it
    is so cheap: what happened before a provider was set is told by its first collection.

    Args:
        provider: of meters; None is the global one, whenever it is set.
        more_buckets: bounds to put after the advice for durations of calls.
    """

    def __init__(
        self, provider: MeterProvider | None = None, more_buckets: tuple[float, ...] = (),
    ) -> None:
        meters = Meters(provider)
        self.is_on = meters.is_live
        self.connections = Connections(meters)
        self.pools = Pools(meters)
        self._durations = Durations(meters, more_buckets)
        self._in_flight = InHand()
        self._active = InHand()
        meters.observe(table.IN_FLIGHT, lambda: [Observation(len(self._in_flight), _SYSTEM)])
        meters.observe(table.ACTIVE_REQUESTS, lambda: [Observation(len(self._active), _SYSTEM)])
        meters.observe(table.TELEMETRY_DROPPED, _dropped)
        self._tallies = {row.name: Tally(row) for row in table.COUNTED}
        for tally in self._tallies.values():
            meters.observe(tally.instrument, tally.observe)
        _all.add(self)

    # ---- calls and requests -------------------------------------------------------------------

    def call_started(self, invocation: Invocation) -> None:
        """A call, cast or fanout begins."""
        if self.is_on():
            self._in_flight.begin(id(invocation))

    def call_ended(
        self, invocation: Invocation, method: SafeText, error: BaseException | None, live: LiveSpan | None,
    ) -> None:
        """A call, cast or fanout has ended; `live` is its span, which names the method likewise."""
        self._in_flight.end(id(invocation))
        kind = NO_ERROR if error is None else error_type(error)
        if invocation.request.mode is Mode.CALL:
            code = NO_STATUS if error is None else status(invocation, error)
            self._durations.called(invocation, method, kind, code, live)
        else:
            self._durations.sent(invocation, method, kind, template(invocation), live)

    def request_started(self, incoming: Incoming) -> None:
        """A worker takes a request up."""
        if self.is_on():
            self._active.begin(id(incoming))

    def request_ended(
        self, incoming: Incoming, method: SafeText, error: BaseException | None,
        queued: QueueTime | None, live: LiveSpan | None,
    ) -> None:
        """A request was worked on; `live` and `method` are likewise, an expected error is None."""
        self._active.end(id(incoming))
        kind = NO_ERROR if error is None else error_type(error)
        where = queue_template(incoming)
        self._durations.served(incoming, method, kind, where, live)
        if queued is not None and queued.ns <= QUEUE_MOST_NS:
            self._durations.queued(queued, where, live)

    # ---- moments ------------------------------------------------------------------------------

    def timed_out(self, invocation: Invocation) -> None:
        """A call got no reply in time."""
        self._count(table.TIMEOUTS, {names.TIMEOUT_PHASE: word(invocation.stage)})

    def reply_discarded(self, reason: str) -> None:
        """A reply came that nobody waits for."""
        self._count(_DISCARDED.get(reason, table.ORPHAN))

    def heartbeat_received(self) -> None:
        """A server says that it works on a call."""
        self._count(table.HEARTBEATS)

    def heartbeat_sent(self) -> None:
        """A caller was told that its call is worked on."""
        self._count(table.HEARTBEATS_SENT)

    def request_redelivered(self) -> None:
        """A request had been delivered before."""
        self._count(table.REDELIVERED)

    def deadline_exceeded(self) -> None:
        """A request was answered too late."""
        self._count(table.EXCEEDED)

    def publish_retried(self, reason: str) -> None:
        """A publish failed and will be tried again."""
        self._count(table.RETRIES, {names.REASON: safe(reason)})

    def message_returned(self) -> None:
        """The broker had no queue for a message."""
        self._count(table.RETURNED)

    def message_dropped(self, reason: str) -> None:
        """A message of ours was given up."""
        self._count(table.DROPPED, {names.REASON: safe(reason)})

    def message_discarded(self, reason: str) -> None:
        """A message from the wire was refused or had been seen before."""
        self._count(table.DISCARDED, {names.REASON: safe(reason)})

    # ---- connections --------------------------------------------------------------------------

    def connection_ready(self, connection: ConnectionInfo) -> None:
        """A connection was made."""
        self.connections.ready(connection)
        if self.is_on():
            self._durations.created(connection)

    def connection_acquired(self, pool: Pool, result: str, waited_ns: int) -> None:
        """A thread that had to wait got a connection."""
        if self.is_on():
            self._durations.waited(pool.name, result, waited_ns)

    def acquire_failed(self, pool: Pool, reason: str, waited_ns: int) -> None:
        """A thread got no connection."""
        if reason == "timeout":
            self._count(table.POOL_TIMEOUTS, {names.POOL_NAME: safe(pool.name)})
        if self.is_on():
            self._durations.waited(pool.name, reason, waited_ns)

    # ---- ourselves ----------------------------------------------------------------------------

    def _count(self, row: Instrument, attributes: Mapping[str, Value] = NOTHING) -> None:
        self._tallies[row.name].add(attributes)

    def forget(self) -> None:
        """Start without connections and work in hand in a child process; they are the parent's."""
        self._in_flight.forget()
        self._active.forget()
        self.connections.forget()

    def restart(self) -> None:
        """Count from zero."""
        for tally in (*self._tallies.values(), *self.connections.tallies()):
            tally.restart()
        self.pools.restart()
        self._durations.restart()


def _dropped() -> list[Observation]:
    return [Observation(count, {names.SIGNAL: safe(signal)}) for signal, count in drops.dropped().items()]


# ---- one for each provider --------------------------------------------------------------------


# Not the lock of the counts: whoever collects takes that one inside the SDK's, and making
# instruments takes the SDK's inside this.
_making = threading.Lock()
_all: Final[WeakSet[Metrics]] = WeakSet()
_global: Metrics | None = None
_by_provider: Final[WeakKeyDictionary[MeterProvider, Metrics]] = WeakKeyDictionary()


def metrics_for(settings: Settings, provider: MeterProvider | None = None) -> Metrics:
    """Return what records with a provider, made once: the SDK looks at an instrument's first maker only.

    Args:
        settings: whether there are metrics at all, and their buckets.
        provider: None is the global one, whenever it is set.
    """
    global _global  # noqa: PLW0603 - the process has one global provider
    if not settings.metrics:
        return Metrics(NoOpMeterProvider())
    more_buckets = table.LONG_BUCKETS if settings.long_buckets else ()
    with _making:
        if provider is None or provider is metrics.get_meter_provider():
            _global = _global or Metrics(None, more_buckets)
            return _global
        if provider not in _by_provider:
            _by_provider[provider] = Metrics(provider, more_buckets)
        return _by_provider[provider]


def count_from_zero() -> None:
    """Count from zero, in a child process whose reader of metrics does.

    Not at every fork: the SDK's own readers go on in the child from their parent's counts, and
    one that exports differences would export a negative one.
    """
    for each in list(_all):
        each.restart()


def _forget() -> None:
    global _making  # noqa: PLW0603 - another thread of the parent may have held it
    _making = threading.Lock()
    for each in list(_all):
        each.forget()


os.register_at_fork(after_in_child=_forget)
