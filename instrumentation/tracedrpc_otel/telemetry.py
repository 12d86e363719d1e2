"""The listener for the core's seam: scopes become spans, moments become events of spans."""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING

from opentelemetry import trace

from tracedrpc import semconv as names
from tracedrpc._safe import safe
from tracedrpc.telemetry import SILENCE, Scope, Telemetry
from tracedrpc_otel.attributes import ClientStarts, ServerStarts
from tracedrpc_otel.client_spans import CallScope
from tracedrpc_otel.metrics import Counters
from tracedrpc_otel.propagation import chosen, parent_context
from tracedrpc_otel.records import EventRecord
from tracedrpc_otel.scopes import PassingScope, SpanScope
from tracedrpc_otel.server_spans import ProcessScope
from tracedrpc_otel.settings import Detail
from tracedrpc_otel.sink import SdkSink, event_on_current_span

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

    from tracedrpc.driver import Incoming
    from tracedrpc.message import Invocation
    from tracedrpc.telemetry import ConnectionInfo, Pool
    from tracedrpc_otel.propagation import Propagation
    from tracedrpc_otel.records import Value
    from tracedrpc_otel.sink import Sink


class OTelTelemetry(Telemetry):
    """Spans for every call, and the log lines of the core.

    Args:
        sink: where spans go; None makes them with the global tracer provider, whenever it is set.
        propagation: the format of trace context; None is what `OTEL_PROPAGATORS` asks for.
        detail: how many spans a call has.
        meter_provider: for metrics; None is the global one.
    """

    def __init__(
        self,
        sink: Sink | None = None,
        *,
        propagation: Propagation | None = None,
        detail: Detail = Detail.STANDARD,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self._sink: Sink = SdkSink() if sink is None else sink
        self._propagation: Propagation = chosen() if propagation is None else propagation
        self._leaves = detail is not Detail.COMPACT
        self._counters = Counters(meter_provider)
        self._client_starts = ClientStarts()
        self._server_starts = ServerStarts()

    # ---- scopes -------------------------------------------------------------------------------

    def call(self, invocation: Invocation) -> Scope:
        """Around a whole call or cast, in the caller's thread."""
        if not self._sink.is_on():
            here = trace.get_current_span().get_span_context()
            return PassingScope(self._propagation, here) if here.is_valid else SILENCE
        start = self._client_starts.of(invocation)
        return CallScope(invocation, start, self._sink, self._propagation, leaves=self._leaves)

    def process(self, incoming: Incoming) -> Scope:
        """Around a server's work on one request, in the worker's thread."""
        if self._sink.is_on():
            return ProcessScope(incoming, self._server_starts, self._sink, self._propagation)
        carrier = incoming.received.carrier
        remote = self._propagation.read(carrier) if carrier else None
        if remote is None:
            return SILENCE
        return PassingScope(self._propagation, remote, parent_context(remote))

    # ---- moments of one call ------------------------------------------------------------------

    def heartbeat_received(self, invocation: Invocation) -> None:
        """The server says that it works on this call; reply thread."""
        super().heartbeat_received(invocation)
        scope = _inner(invocation.scope)
        if isinstance(scope, CallScope):
            scope.heartbeat()

    def heartbeat_sent(self, incoming: Incoming) -> None:
        """A caller was told that its request is being worked on; scheduler thread."""
        super().heartbeat_sent(incoming)
        scope = _inner(incoming.scope)
        if isinstance(scope, ProcessScope):
            scope.heartbeat()

    def publish_retried(
        self, invocation: Invocation | None, destination: str, reason: str, delay_s: float,
    ) -> None:
        """A publish failed and will be tried again; `invocation` is None for replies."""
        super().publish_retried(invocation, destination, reason, delay_s)
        self._tell(invocation, "publish_retried", {
            names.DESTINATION: safe(destination),
            names.REASON: safe(reason),
            names.DELAY_MS: delay_s * 1e3,
        })

    def message_returned(self, invocation: Invocation | None, destination: str) -> None:
        """The broker has no queue for a message; it is tried again while somebody wants it."""
        super().message_returned(invocation, destination)
        self._tell(invocation, "message_returned", {names.DESTINATION: safe(destination)})

    def message_discarded(self, queue: str, reason: str, body: bytes) -> None:
        """A message from the wire was refused or had been seen before; it is acknowledged."""
        super().message_discarded(queue, reason, body)
        self._counters.message_discarded(reason)

    # ---- moments of connections ---------------------------------------------------------------

    def connection_ready(self, connection: ConnectionInfo) -> None:
        """A connection was made: TCP, TLS, AMQP handshake and channel in `connection.connect_ns`."""
        super().connection_ready(connection)
        self._tell(None, "connection_ready", _connection(connection) | {
            names.DURATION_MS: connection.connect_ns / 1e6,
        })

    def connection_acquired(self, pool: Pool, result: str, waited_ns: int) -> None:
        """A thread got a connection: "hit" (was idle), "created" or "waited"."""
        super().connection_acquired(pool, result, waited_ns)
        if result == "hit" or not trace.get_current_span().is_recording():
            return
        stats = pool.stats()
        self._tell(None, "connection_acquired", {
            names.POOL_RESULT: safe(result),
            names.DURATION_MS: waited_ns / 1e6,
            names.POOL_IN_USE: stats.in_use,
            names.POOL_IDLE: stats.idle,
        })

    def connection_expired(self, connection: ConnectionInfo, idle_s: float) -> None:
        """An idle connection was closed because nobody had used it for `idle_s` seconds."""
        super().connection_expired(connection, idle_s)
        self._tell(None, "connection_expired", _connection(connection) | {names.DURATION_MS: idle_s * 1e3})

    def connection_lost(self, connection: ConnectionInfo, reason: str) -> None:
        """A connection broke; `reason` is one of `errors.Reason`."""
        super().connection_lost(connection, reason)
        self._tell(None, "connection_lost", _connection(connection) | {names.REASON: safe(reason)})

    def connection_closed(self, connection: ConnectionInfo, reason: str) -> None:
        """A connection is gone: "idle", "stale", "error" or "pool_closed"."""
        super().connection_closed(connection, reason)
        self._tell(None, "connection_closed", _connection(connection) | {names.REASON: safe(reason)})

    def _tell(self, invocation: Invocation | None, name: str, attributes: dict[str, Value]) -> None:
        """Add an event to the call's span or else to the current one; never make a root span."""
        record = EventRecord(name, time_ns(), attributes)
        scope = None if invocation is None else _inner(invocation.scope)
        if isinstance(scope, SpanScope):
            scope.event(record)
        else:
            event_on_current_span(record)


def _inner(scope: Scope | None) -> Scope | None:
    """Return our own scope; the core may have put a guard around it."""
    return getattr(scope, "inner", scope)


def _connection(connection: ConnectionInfo) -> dict[str, Value]:
    return {
        names.CONNECTION_ID: connection.id,
        names.SERVER_ADDRESS: safe(connection.peer),
        names.PURPOSE: safe(connection.purpose),
    }
