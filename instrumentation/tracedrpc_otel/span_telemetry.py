"""Spans and their events: scopes become spans, moments become events of the right one."""

from __future__ import annotations

import os
from time import monotonic_ns, time_ns
from typing import TYPE_CHECKING

from opentelemetry import trace

from tracedrpc import semconv as names
from tracedrpc._safe import safe
from tracedrpc.telemetry import SILENCE, Scope, Telemetry
from tracedrpc_otel.attributes import ClientStarts, ServerStarts
from tracedrpc_otel.client_spans import CallScope
from tracedrpc_otel.connection_leaves import WayIn
from tracedrpc_otel.destinations import address_attributes, broker
from tracedrpc_otel.forks import weakly
from tracedrpc_otel.late_replies import DeadCalls
from tracedrpc_otel.queue_times import QueueTimes
from tracedrpc_otel.records import EventRecord
from tracedrpc_otel.scopes import PassingScope, scope_here
from tracedrpc_otel.server_spans import ProcessScope, UnrecordedRequest

if TYPE_CHECKING:
    from tracedrpc.driver import Incoming
    from tracedrpc.message import Invocation
    from tracedrpc.target import Target
    from tracedrpc.telemetry import ConnectionInfo, Pool
    from tracedrpc_otel.records import Attributes
    from tracedrpc_otel.scopes import Kit


class SpanTelemetry(Telemetry):  # noqa: PLR0904 - one method for each thing that can happen
    """The log lines of the core, and spans.

    Args:
        kit: what scopes work with.
    """

    def __init__(self, kit: Kit) -> None:
        self.carrier_keys = kit.wire.keys
        self._kit = kit
        self._client_starts = ClientStarts()
        self._server_starts = ServerStarts()
        self._queue_times = QueueTimes()
        self._dead_calls = DeadCalls()
        os.register_at_fork(after_in_child=weakly(self._queue_times.forget))
        os.register_at_fork(after_in_child=weakly(self._dead_calls.forget))

    # ---- scopes -------------------------------------------------------------------------------

    def call(self, invocation: Invocation) -> Scope:
        """Around a whole call or cast, in the caller's thread."""
        kit = self._kit
        if kit.sink.is_on():
            return CallScope(invocation, self._client_starts.of(invocation), kit)
        here = trace.get_current_span().get_span_context()
        return PassingScope(kit.wire, here) if here.is_valid or kit.wire.carries_baggage else SILENCE

    def process(self, incoming: Incoming) -> Scope:
        """Around a server's work on one request, in the worker's thread."""
        kit = self._kit
        if kit.sink.is_on():
            return ProcessScope(incoming, self._server_starts, kit, self._queue_times)
        carrier = incoming.received.carrier
        remote = kit.wire.read(carrier)
        if self._measures_queues():
            return UnrecordedRequest(incoming, remote, kit, self._queue_times)
        if remote is None and not kit.wire.carries_baggage:
            return SILENCE
        return PassingScope(kit.wire, remote, kit.wire.context(remote, carrier))

    def _measures_queues(self) -> bool:
        """Tell whether somebody wants to know queue times though there are no spans."""
        return False

    # ---- moments of one call ------------------------------------------------------------------

    def call_timed_out(self, invocation: Invocation) -> None:
        """A call got no reply in time; `invocation.stage` says how far it had come."""
        super().call_timed_out(invocation)
        scope = inner(invocation.scope)
        if isinstance(scope, CallScope) and scope.live is not None and scope.is_recording():
            self._dead_calls.bury(invocation, scope.start.rpc_method, scope.live.span_context)

    def reply_discarded(self, msg_id: str, reason: str) -> None:
        """A reply that nobody waits for: "late", "duplicate" or "unknown"; reply thread."""
        super().reply_discarded(msg_id, reason)
        late = self._dead_calls.late_reply(msg_id) if reason == "late" else None
        if late is not None:
            self._kit.sink.leaf(*late)

    def heartbeat_received(self, invocation: Invocation) -> None:
        """The server says that it works on this call; reply thread."""
        super().heartbeat_received(invocation)
        scope = inner(invocation.scope)
        if isinstance(scope, CallScope):
            scope.heartbeat(invocation)

    def publish_retried(
        self, invocation: Invocation | None, destination: str, reason: str, delay_s: float,
    ) -> None:
        """A publish failed and will be tried again; `invocation` is None for replies."""
        super().publish_retried(invocation, destination, reason, delay_s)
        attributes: Attributes = {
            names.DESTINATION: safe(destination),
            names.REASON: safe(reason),
            names.DELAY_MS: delay_s * 1e3,
        }
        self._of_message(invocation, "publish_retried", attributes)

    def message_returned(self, invocation: Invocation | None, destination: str) -> None:
        """The broker has no queue for a message; it is tried again while somebody wants it."""
        super().message_returned(invocation, destination)
        self._of_message(invocation, "message_returned", {names.DESTINATION: safe(destination)})

    def message_dropped(self, invocation: Invocation | None, destination: str, reason: str) -> None:
        """A message of ours was given up: "unroutable", "expired", "overflow" or "closed"."""
        super().message_dropped(invocation, destination, reason)
        attributes: Attributes = {names.DESTINATION: safe(destination), names.REASON: safe(reason)}
        self._of_message(invocation, "message_dropped", attributes)

    # ---- moments of one request ---------------------------------------------------------------

    def heartbeat_sent(self, incoming: Incoming) -> None:
        """A caller was told that its request is being worked on; scheduler thread."""
        super().heartbeat_sent(incoming)
        scope = inner(incoming.scope)
        if isinstance(scope, ProcessScope):
            scope.heartbeat()

    def deadline_exceeded(self, incoming: Incoming, overrun_ns: int) -> None:
        """A request was answered when its caller had given up, `overrun_ns` before; worker thread."""
        super().deadline_exceeded(incoming, overrun_ns)
        scope = inner(incoming.scope)
        if isinstance(scope, ProcessScope):
            scope.overran(overrun_ns)

    def server_started(self, target: Target, workers: int) -> None:
        """A server's queues are consumed from."""
        super().server_started(target, workers)
        self._queue_times.serve(workers)

    def consumer_started(self, connection: ConnectionInfo, queue: str) -> None:
        """A queue is consumed from."""
        super().consumer_started(connection, queue)
        self._queue_times.listen()

    # ---- moments of connections ---------------------------------------------------------------

    def connection_created(self, connection: ConnectionInfo) -> None:
        """A connection is about to be made; `connection_ready` or `connect_failed` follows."""
        super().connection_created(connection)
        self._here("connection_created", _connection(connection))

    def connection_ready(self, connection: ConnectionInfo) -> None:
        """A connection was made: TCP, TLS, AMQP handshake and channel in `connection.connect_ns`."""
        super().connection_ready(connection)
        took_ms = connection.connect_ns / 1e6
        self._here("connection_ready", _connection(connection) | {names.DURATION_MS: took_ms})
        ready_ns = connection.ready_ns or monotonic_ns()
        _way_here().attempted(connection, ready_ns - connection.connect_ns, ready_ns)

    def connect_failed(self, connection: ConnectionInfo, reason: str, duration_ns: int) -> None:
        """A connection could not be made; `reason` is one of `errors.Reason`."""
        super().connect_failed(connection, reason, duration_ns)
        self._here("connect_failed", _connection(connection) | {
            names.REASON: safe(reason), names.DURATION_MS: duration_ns / 1e6,
        })
        now_ns = monotonic_ns()
        _way_here().attempted(connection, now_ns - duration_ns, now_ns, reason)

    def connection_acquired(self, pool: Pool, result: str, waited_ns: int) -> None:
        """A thread got a connection: "hit" (was idle), "created" or "waited"."""
        super().connection_acquired(pool, result, waited_ns)
        _way_here().asked(pool.name, result)
        self._of_pool(pool, "connection_acquired", result, waited_ns)

    def acquire_failed(self, pool: Pool, reason: str, waited_ns: int) -> None:
        """A thread got no connection: "timeout", "closed" or "connect_failed"."""
        super().acquire_failed(pool, reason, waited_ns)
        _way_here().asked(pool.name, reason)
        self._of_pool(pool, "acquire_failed", reason, waited_ns)

    def connection_expired(self, connection: ConnectionInfo, idle_s: float) -> None:
        """An idle connection was closed because nobody had used it for `idle_s` seconds."""
        super().connection_expired(connection, idle_s)
        self._here("connection_expired", _connection(connection) | {names.DURATION_MS: idle_s * 1e3})

    def connection_lost(self, connection: ConnectionInfo, reason: str) -> None:
        """A connection broke; `reason` is one of `errors.Reason`."""
        super().connection_lost(connection, reason)
        self._here("connection_lost", _connection(connection) | {names.REASON: safe(reason)})

    def connection_closed(self, connection: ConnectionInfo, reason: str) -> None:
        """A connection is gone: "idle", "stale", "error" or "pool_closed"."""
        super().connection_closed(connection, reason)
        self._here("connection_closed", _connection(connection) | {names.REASON: safe(reason)})

    def connection_blocked(self, connection: ConnectionInfo) -> None:
        """The broker takes no messages on this connection: an alarm for memory or disk."""
        super().connection_blocked(connection)
        self._here("connection_blocked", _connection(connection))

    def connection_unblocked(self, connection: ConnectionInfo) -> None:
        """The broker takes messages again."""
        super().connection_unblocked(connection)
        self._here("connection_unblocked", _connection(connection))

    # ---- where events go ----------------------------------------------------------------------

    def _of_message(self, invocation: Invocation | None, name: str, attributes: Attributes) -> None:
        """Tell an event of a call's or cast's publish, or else of what this thread does now."""
        scope = None if invocation is None else inner(invocation.scope)
        if invocation is None or not isinstance(scope, CallScope):
            self._here(name, attributes)
        elif scope.is_recording():
            attributes |= address_attributes(invocation.peer)
            attributes[names.ATTEMPT] = invocation.attempts
            scope.published(invocation, EventRecord(name, time_ns(), attributes))

    def _of_pool(self, pool: Pool, name: str, result: str, waited_ns: int) -> None:
        if trace.get_current_span().is_recording():
            stats = pool.stats()
            self._here(name, {
                names.POOL_NAME: safe(pool.name),
                names.POOL_RESULT: safe(result),
                names.DURATION_MS: waited_ns / 1e6,
                names.POOL_IN_USE: stats.in_use,
                names.POOL_IDLE: stats.idle,
                names.POOL_WAITERS: stats.waiters,
            })

    def _here(self, name: str, attributes: Attributes) -> None:
        """Tell an event of the span that is current in this thread; there is never a root of its own."""
        record, scope = EventRecord(name, time_ns(), attributes), scope_here()
        if scope is not None and scope.is_current():
            scope.event(record)
        else:
            self._kit.router.on_current_span(record)


def inner(scope: Scope | None) -> Scope | None:
    """Return our own scope; the core may have put a guard around it."""
    return getattr(scope, "inner", scope)


def _way_here() -> WayIn:
    """Return where to note what this thread learns of connections: for the call it makes, if it does."""
    scope = scope_here()
    if scope is None:
        return WayIn()
    scope.way = scope.way or WayIn()
    return scope.way


def _connection(connection: ConnectionInfo) -> Attributes:
    return {
        **broker(connection.peer, connection.address),
        names.CONNECTION_ID: connection.id,
        names.PURPOSE: safe(connection.purpose),
    }
