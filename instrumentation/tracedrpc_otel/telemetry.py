"""The listener for the core's seam: log lines, spans, and here, on top of them, metrics."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tracedrpc_otel import peers
from tracedrpc_otel.attributes import OTHER
from tracedrpc_otel.baggage import Baggage
from tracedrpc_otel.capture import Capture
from tracedrpc_otel.client_spans import CallScope
from tracedrpc_otel.events import EventRouter, opted_exceptions
from tracedrpc_otel.metrics import metrics_for
from tracedrpc_otel.outcomes import is_unknown_method
from tracedrpc_otel.propagation import Wire, chosen
from tracedrpc_otel.scopes import Kit, SpanScope
from tracedrpc_otel.server_spans import ProcessScope, UnrecordedRequest
from tracedrpc_otel.settings import Detail, Settings
from tracedrpc_otel.sink import SdkSink
from tracedrpc_otel.span_telemetry import SpanTelemetry, inner

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider

    from tracedrpc.driver import Incoming
    from tracedrpc.message import Invocation
    from tracedrpc.telemetry import ConnectionInfo, Pool, Scope
    from tracedrpc_otel.propagation import Propagation
    from tracedrpc_otel.sink import LiveSpan, Sink


class OTelTelemetry(SpanTelemetry):  # noqa: PLR0904 - one method for each thing that can happen
    """Spans and metrics for every call, and the log lines of the core.

    Args:
        sink: where spans go; None makes them with the global tracer provider, whenever it is set.
        settings: the switches; None is what the environment says.
        propagation: the format of trace context; None is what `OTEL_PROPAGATORS` asks for.
        detail: how many spans a call has; None is what the settings say.
        meter_provider: for metrics; None is the global one, whenever it is set.
        logger_provider: for events that go into the logs; None is the global one, whenever it is set.
    """

    def __init__(
        self,
        sink: Sink | None = None,
        *,
        settings: Settings | None = None,
        propagation: Propagation | None = None,
        detail: Detail | None = None,
        meter_provider: MeterProvider | None = None,
        logger_provider: LoggerProvider | None = None,
    ) -> None:
        settings = settings or Settings.from_environment()
        if detail is not None:
            settings = replace(settings, tracing=detail)
        baggage = Baggage(settings.baggage) if settings.baggage else None
        super().__init__(Kit(
            sink=sink or SdkSink(),
            wire=Wire(propagation or chosen(), baggage),
            settings=settings,
            router=EventRouter(settings.events, opted_exceptions(), logger_provider),
            capture=Capture(settings.capture),
        ))
        self._metrics = metrics_for(settings, meter_provider)

    # ---- calls and requests -------------------------------------------------------------------

    def call(self, invocation: Invocation) -> Scope:
        """Around a whole call or cast, in the caller's thread."""
        self._metrics.call_started(invocation)
        return super().call(invocation)

    def process(self, incoming: Incoming) -> Scope:
        """Around a server's work on one request, in the worker's thread."""
        self._metrics.request_started(incoming)
        return super().process(incoming)

    def _measures_queues(self) -> bool:
        return self._metrics.is_on()

    def call_finished(self, invocation: Invocation, error: BaseException | None) -> None:
        """A call or cast has ended; its caller's thread, inside the scope."""
        super().call_finished(invocation, error)
        if not self._metrics.is_on():
            return
        scope = inner(invocation.scope)
        start = scope.start if isinstance(scope, CallScope) else self._client_starts.of(invocation)
        self._metrics.call_ended(invocation, start.rpc_method, error, _live(scope))

    def request_finished(self, incoming: Incoming) -> None:
        """A request was handled and its reply, if any, handed over; worker thread."""
        super().request_finished(incoming)
        self._request_ended(incoming, None, None)

    def request_failed(self, incoming: Incoming, error: BaseException, *, expected: bool) -> None:
        """A request's method raised, or there is no such method; worker thread."""
        super().request_failed(incoming, error, expected=expected)
        self._request_ended(incoming, error, None if expected else error)

    def _request_ended(
        self, incoming: Incoming, raised: BaseException | None, failure: BaseException | None,
    ) -> None:
        if not self._metrics.is_on():
            return
        scope = inner(incoming.scope)
        waited = scope.waited if isinstance(scope, (ProcessScope, UnrecordedRequest)) else None
        if isinstance(scope, ProcessScope):
            method = scope.method(incoming)
        else:
            start = self._server_starts.of(incoming)
            is_unknown = is_unknown_method(incoming, raised)
            is_named = not is_unknown and self._server_starts.is_named(incoming, start)
            method = start.rpc_method if is_named else OTHER
        self._metrics.request_ended(incoming, method, failure, waited, _live(scope))

    # ---- moments ------------------------------------------------------------------------------

    def call_timed_out(self, invocation: Invocation) -> None:
        """A call got no reply in time; `invocation.stage` says how far it had come."""
        super().call_timed_out(invocation)
        self._metrics.timed_out(invocation)

    def reply_discarded(self, msg_id: str, reason: str) -> None:
        """A reply that nobody waits for: "late", "duplicate" or "unknown"; reply thread."""
        super().reply_discarded(msg_id, reason)
        self._metrics.reply_discarded(reason)

    def heartbeat_received(self, invocation: Invocation) -> None:
        """The server says that it works on this call; reply thread."""
        super().heartbeat_received(invocation)
        self._metrics.heartbeat_received()

    def heartbeat_sent(self, incoming: Incoming) -> None:
        """A caller was told that its request is being worked on; scheduler thread."""
        super().heartbeat_sent(incoming)
        self._metrics.heartbeat_sent()

    def publish_retried(
        self, invocation: Invocation | None, destination: str, reason: str, delay_s: float,
    ) -> None:
        """A publish failed and will be tried again; `invocation` is None for replies."""
        super().publish_retried(invocation, destination, reason, delay_s)
        self._metrics.publish_retried(reason)

    def message_returned(self, invocation: Invocation | None, destination: str) -> None:
        """The broker has no queue for a message; it is tried again while somebody wants it."""
        super().message_returned(invocation, destination)
        self._metrics.message_returned()

    def message_dropped(self, invocation: Invocation | None, destination: str, reason: str) -> None:
        """A message of ours was given up: "unroutable", "expired", "overflow" or "closed"."""
        super().message_dropped(invocation, destination, reason)
        self._metrics.message_dropped(reason)

    def message_discarded(self, queue: str, reason: str, body: bytes) -> None:
        """A message from the wire was refused or had been seen before; it is acknowledged."""
        super().message_discarded(queue, reason, body)
        self._metrics.message_discarded(reason)

    def request_redelivered(self, incoming: Incoming) -> None:
        """A request had been delivered before, to a server that did not acknowledge it; worker thread."""
        super().request_redelivered(incoming)
        self._metrics.request_redelivered()

    def deadline_exceeded(self, incoming: Incoming, overrun_ns: int) -> None:
        """A request was answered when its caller had given up, `overrun_ns` before; worker thread."""
        super().deadline_exceeded(incoming, overrun_ns)
        self._metrics.deadline_exceeded()

    # ---- pools and connections ----------------------------------------------------------------

    def transport_opened(self, conf: Any) -> None:
        """A transport was made: the moment to see who else traces its calls."""
        super().transport_opened(conf)
        peers.look(conf)

    def pool_opened(self, pool: Pool) -> None:
        """A pool exists from now on."""
        super().pool_opened(pool)
        self._metrics.pools.opened(pool)

    def pool_closed(self, pool: Pool) -> None:
        """A pool is closed."""
        super().pool_closed(pool)
        self._metrics.pools.closed(pool)

    def connection_ready(self, connection: ConnectionInfo) -> None:
        """A connection was made: TCP, TLS, AMQP handshake and channel in `connection.connect_ns`."""
        super().connection_ready(connection)
        self._metrics.connection_ready(connection)

    def connect_failed(self, connection: ConnectionInfo, reason: str, duration_ns: int) -> None:
        """A connection could not be made; `reason` is one of `errors.Reason`."""
        super().connect_failed(connection, reason, duration_ns)
        self._metrics.connections.failed(connection, reason)

    def connection_acquired(self, pool: Pool, result: str, waited_ns: int) -> None:
        """A thread got a connection: "hit" (was idle), "created" or "waited"."""
        if result == "hit":
            return  # of each call: there is nothing to tell
        super().connection_acquired(pool, result, waited_ns)
        self._metrics.connection_acquired(pool, result, waited_ns)

    def acquire_failed(self, pool: Pool, reason: str, waited_ns: int) -> None:
        """A thread got no connection: "timeout", "closed" or "connect_failed"."""
        super().acquire_failed(pool, reason, waited_ns)
        self._metrics.acquire_failed(pool, reason, waited_ns)

    def connection_lost(self, connection: ConnectionInfo, reason: str) -> None:
        """A connection broke; `reason` is one of `errors.Reason`."""
        super().connection_lost(connection, reason)
        self._metrics.connections.lost(connection, reason)

    def connection_closed(self, connection: ConnectionInfo, reason: str) -> None:
        """A connection is gone: "idle", "stale", "error" or "pool_closed"."""
        super().connection_closed(connection, reason)
        self._metrics.connections.closed(connection, reason)

    def connection_blocked(self, connection: ConnectionInfo) -> None:
        """The broker takes no messages on this connection: an alarm for memory or disk."""
        super().connection_blocked(connection)
        self._metrics.connections.blocked(connection)

    def connection_unblocked(self, connection: ConnectionInfo) -> None:
        """The broker takes messages again."""
        super().connection_unblocked(connection)
        self._metrics.connections.unblocked(connection)


def _live(scope: Scope | None) -> LiveSpan | None:
    """Return a scope's span, for exemplars; None without one."""
    return scope.live if isinstance(scope, SpanScope) else None
