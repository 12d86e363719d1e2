"""The seam: the core says here what happened, once; whoever wants to know subclasses `Telemetry`.

*Scopes* go around work with `with` and always end. *Moments* are plain calls and write one log
line each, so this module is also the catalogue of log events. *State* is pulled: keep the pool
given to `pool_opened` and ask `pool.stats()`.

Nothing here may block, raise or change a result. What a subclass raises is caught and reported
once by `guarded`. Arguments, results, contexts, credentials and exception texts are never passed
on from here: names, ids, sizes, times, outcomes and exception types only.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from tracedrpc import _fields, _log
from tracedrpc import semconv as names
from tracedrpc._log import DEBUG, ERROR, INFO, WARNING, limited, line
from tracedrpc.exceptions import MessagingTimeout
from tracedrpc.message import NO_CARRIER, W3C_KEYS
from tracedrpc.story import where_died, where_spent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracedrpc.driver import Incoming
    from tracedrpc.message import Invocation
    from tracedrpc.target import Target


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """One connection to a broker, as telemetry speaks of it.

    Attributes:
        id: counts from 1 in each process.
        peer: "host:port" of the broker node, as configured.
        purpose: "send", "replies" or "listen".
        address: its network address, "" before it is known.
        ready_ns: when it could be used, `time.monotonic_ns()`; 0 before.
        connect_ns: how long that took.
    """

    id: int
    peer: str
    purpose: str
    address: str = ""
    ready_ns: int = 0
    connect_ns: int = 0


@dataclass(frozen=True, slots=True)
class PoolStats:
    """A pool at one instant: counts of connections, of waiting threads, and since its creation.

    Attributes:
        used_ns: how long all its connections together have been in somebody's hands.
    """

    idle: int
    in_use: int
    waiters: int
    max_size: int
    created: int
    closed: int
    min_size: int = 0
    acquired: int = 0
    used_ns: int = 0


class Pool(Protocol):
    """What telemetry may ask of a pool, at any time and from any thread."""

    name: str

    def stats(self) -> PoolStats:
        """Return the counts of this instant."""
        ...


class Scope:
    """Goes around work: `with telemetry.call(...) as scope`. This one does nothing."""

    carrier: Mapping[str, str] = NO_CARRIER
    """Trace context to send along: "traceparent" and perhaps "tracestate"; or empty."""
    ids: Mapping[str, str] = NO_CARRIER
    """What log lines about this work should say: trace_id, span_id, trace_flags; or empty."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        return None

    def failed(self, error: BaseException, *, expected: bool = False) -> None:
        """The work failed and the core handled it; `expected` when the method declares the class."""


SILENCE: Final = Scope()


class Telemetry:  # noqa: PLR0904 - one method for each thing that can happen
    """Scopes are silent and moments write one log line; `tracedrpc_otel` adds spans and metrics."""

    carrier_keys: frozenset[str] = W3C_KEYS
    """The headers of a request that carry trace context; a listener for another format has its own."""

    # ---- scopes -------------------------------------------------------------------------------

    def call(self, invocation: Invocation) -> Scope:
        """Around a whole call or cast, in the caller's thread."""
        return SILENCE

    def process(self, incoming: Incoming) -> Scope:
        """Around a server's work on one request, in the worker's thread."""
        return SILENCE

    # ---- calls, on the client -----------------------------------------------------------------

    def call_finished(self, invocation: Invocation, error: BaseException | None) -> None:
        """A call or cast has ended; its caller's thread, inside the scope. The canonical line.

        A warning with the sentence that says why when it was slow, else for debugging
        (`TRACEDRPC_LOG_CALLS=info`: for information); one that timed out has had its warning.
        """
        is_slow = invocation.is_slow() and not isinstance(error, MessagingTimeout)
        if not _log.is_enabled(WARNING if is_slow else _log.CALLS):
            return
        fields = _fields.of_invocation(invocation) | _fields.of_error(error)
        if is_slow:
            fields[names.WHY] = where_spent(invocation)
        fields |= {names.SERVER_NAME: invocation.server or None} | _fields.of_phases(invocation)
        if not is_slow:
            line(_log.CALLS, "call_finished", fields)
        elif not limited(WARNING, "call_finished", fields, names.RPC_METHOD):
            line(DEBUG, "call_finished", fields)

    def call_timed_out(self, invocation: Invocation) -> None:
        """A call got no reply in time; `invocation.stage` says how far it had come."""
        if _log.is_enabled(WARNING):
            line(WARNING, "call_timed_out", _fields.of_invocation(invocation) | {
                names.TIMEOUT_PHASE: invocation.stage.value,
                names.WHY: where_died(invocation),
                names.REPLY_QUEUE: invocation.reply_queue or None,
                names.SERVER_NAME: invocation.server or None,
                names.QUEUE_MESSAGES: invocation.queue_messages,
                names.QUEUE_CONSUMERS: invocation.queue_consumers,
                **_fields.of_phases(invocation),
            })

    def heartbeat_received(self, invocation: Invocation) -> None:
        """The server says that it works on this call; reply thread."""
        if _log.is_enabled(DEBUG):
            line(DEBUG, "heartbeat_received", _fields.of_invocation(invocation) | {
                names.HEARTBEAT_COUNT: invocation.heartbeats,
            })

    def reply_discarded(self, msg_id: str, reason: str) -> None:
        """A reply that nobody waits for: "late", "duplicate" or "unknown"; reply thread."""
        level = WARNING if reason == "late" else INFO
        limited(level, "reply_discarded", {names.MSG_ID: msg_id, names.REASON: reason}, names.REASON)

    # ---- messages, both sides -----------------------------------------------------------------

    def publish_retried(
        self, invocation: Invocation | None, destination: str, reason: str, delay_s: float,
    ) -> None:
        """A publish failed and will be tried again; `invocation` is None for replies."""
        limited(INFO, "publish_retried", _fields.of_invocation(invocation) | {
            names.DESTINATION: destination, names.REASON: reason, names.DELAY_MS: delay_s * 1e3,
        }, names.DESTINATION)

    def message_returned(self, invocation: Invocation | None, destination: str) -> None:
        """The broker has no queue for a message; it is tried again while somebody wants it."""
        limited(INFO, "message_returned", _fields.of_invocation(invocation) | {
            names.DESTINATION: destination,
        }, names.DESTINATION)

    def message_dropped(
        self, invocation: Invocation | None, destination: str, reason: str,
    ) -> None:
        """A message of ours was given up: "unroutable", "expired", "overflow" or "closed"."""
        limited(WARNING, "message_dropped", _fields.of_invocation(invocation) | {
            names.DESTINATION: destination, names.REASON: reason,
        }, names.DESTINATION)

    def message_discarded(self, queue: str, reason: str, body: bytes) -> None:
        """A message from the wire was refused or had been seen before; it is acknowledged.

        The body is given to be measured and fingerprinted only; nothing of it may be passed on.
        """
        level = INFO if reason == "duplicate" else WARNING
        if _log.is_enabled(level):
            limited(level, "message_discarded", {
                names.QUEUE: queue, names.REASON: reason, names.SIZE_BYTES: len(body),
                names.SHA256: hashlib.sha256(body).hexdigest(),
            }, names.QUEUE)

    # ---- requests, on the server --------------------------------------------------------------

    def request_finished(self, incoming: Incoming) -> None:
        """A request was handled and its reply, if any, handed over; worker thread.

        A warning when it was slow, else of the level of `call_finished`.
        """
        is_slow = incoming.is_slow()
        if not _log.is_enabled(WARNING if is_slow else _log.CALLS):
            return
        fields = _fields.of_incoming(incoming) | _fields.of_timeline(incoming.timeline)
        if not is_slow:
            line(_log.CALLS, "request_finished", fields)
        elif not limited(WARNING, "request_finished", fields, names.RPC_METHOD):
            line(DEBUG, "request_finished", fields)

    def request_failed(self, incoming: Incoming, error: BaseException, *, expected: bool) -> None:
        """A request's method raised, or there is no such method; worker thread."""
        level = DEBUG if expected else ERROR
        if _log.is_enabled(level):
            line(level, "request_failed", _fields.of_incoming(incoming) | _fields.of_error(error) | {
                names.EXPECTED: expected or None,
                names.STACK: None if expected else _fields.frames(error),
                **_fields.of_timeline(incoming.timeline),
            })

    def request_redelivered(self, incoming: Incoming) -> None:
        """A request had been delivered before, to a server that did not acknowledge it; worker thread."""
        line(INFO, "request_redelivered", _fields.of_incoming(incoming) | {
            names.DELIVERY_COUNT: incoming.received.delivery_count or None,
        })

    def deadline_exceeded(self, incoming: Incoming, overrun_ns: int) -> None:
        """A request was answered when its caller had given up, `overrun_ns` before; worker thread."""
        line(WARNING, "deadline_exceeded", _fields.of_incoming(incoming) | {
            names.OVERRUN_MS: overrun_ns / 1e6, **_fields.of_timeline(incoming.timeline),
        })

    def heartbeat_sent(self, incoming: Incoming) -> None:
        """A caller was told that its request is being worked on; scheduler thread."""
        if _log.is_enabled(DEBUG):
            line(DEBUG, "heartbeat_sent", _fields.of_incoming(incoming))

    def server_started(self, target: Target, workers: int) -> None:
        """A server's queues are consumed from."""
        line(INFO, "server_started", _fields.of_target(target) | {names.WORKERS: workers})

    def server_stopped(self, target: Target) -> None:
        """A server has ended and closed its connection."""
        line(INFO, "server_stopped", _fields.of_target(target))

    # ---- connections and pools ----------------------------------------------------------------

    def transport_opened(self, conf: Any) -> None:
        """A transport was made from this configuration, or from None; look at it, keep nothing."""

    def pool_opened(self, pool: Pool) -> None:
        """A pool exists from now on; keep it and ask `stats()` when you like."""

    def pool_closed(self, pool: Pool) -> None:
        """A pool is closed; forget it."""
        line(DEBUG, "pool_closed", {names.POOL_NAME: pool.name})

    def connection_created(self, connection: ConnectionInfo) -> None:
        """A connection is about to be made; `connection_ready` or `connect_failed` follows."""
        line(DEBUG, "connection_created", _fields.of_connection(connection))

    def connection_ready(self, connection: ConnectionInfo) -> None:
        """A connection was made: TCP, TLS, AMQP handshake and channel in `connection.connect_ns`."""
        limited(INFO, "connection_ready", _fields.of_connection(connection) | {
            names.PEER_ADDRESS: connection.address or None,
            names.DURATION_MS: connection.connect_ns / 1e6,
        }, names.SERVER_ADDRESS)

    def connect_failed(self, connection: ConnectionInfo, reason: str, duration_ns: int) -> None:
        """A connection could not be made; `reason` is one of `errors.Reason`."""
        limited(WARNING, "connect_failed", _fields.of_connection(connection) | {
            names.REASON: reason, names.DURATION_MS: duration_ns / 1e6,
        }, names.SERVER_ADDRESS)

    def acquire_started(self, pool: Pool) -> None:
        """A thread asks for a connection; `connection_acquired` or `acquire_failed` follows."""

    def connection_acquired(self, pool: Pool, result: str, waited_ns: int) -> None:
        """A thread got a connection: "hit" (was idle), "created" or "waited"."""

    def acquire_failed(self, pool: Pool, reason: str, waited_ns: int) -> None:
        """A thread got no connection: "timeout", "closed" or "connect_failed"."""
        if reason != "connect_failed":  # that has been told
            limited(WARNING, "acquire_failed", {
                names.POOL_NAME: pool.name, names.REASON: reason, names.DURATION_MS: waited_ns / 1e6,
                **_fields.of_pool(pool.stats()),
            }, names.POOL_NAME)

    def connection_expired(self, connection: ConnectionInfo, idle_s: float) -> None:
        """An idle connection was closed because nobody had used it for `idle_s` seconds."""
        line(INFO, "connection_expired", _fields.of_connection(connection) | {
            names.DURATION_MS: idle_s * 1e3,
        })

    def connection_lost(self, connection: ConnectionInfo, reason: str) -> None:
        """A connection broke; `reason` is one of `errors.Reason`."""
        fields = _fields.of_connection(connection) | {names.REASON: reason}
        limited(WARNING, "connection_lost", fields, names.SERVER_ADDRESS)

    def connection_closed(self, connection: ConnectionInfo, reason: str) -> None:
        """A connection is gone: "idle", "stale", "error" or "pool_closed"."""
        line(DEBUG, "connection_closed", _fields.of_connection(connection) | {names.REASON: reason})

    def connection_blocked(self, connection: ConnectionInfo) -> None:
        """The broker takes no messages on this connection: an alarm for memory or disk."""
        limited(WARNING, "connection_blocked", _fields.of_connection(connection), names.SERVER_ADDRESS)

    def connection_unblocked(self, connection: ConnectionInfo) -> None:
        """The broker takes messages again."""
        limited(INFO, "connection_unblocked", _fields.of_connection(connection), names.SERVER_ADDRESS)

    def consumer_started(self, connection: ConnectionInfo, queue: str) -> None:
        """A queue is consumed from."""
        line(DEBUG, "consumer_started", _fields.of_connection(connection) | {names.QUEUE: queue})

    def consumer_cancelled(self, connection: ConnectionInfo, queue: str) -> None:
        """The broker ended a consumer, because its queue is gone; it will be declared again."""
        fields = _fields.of_connection(connection) | {names.QUEUE: queue}
        limited(WARNING, "consumer_cancelled", fields, names.QUEUE)

    def queue_adopted(self, name: str, difference: str) -> None:
        """A queue or exchange exists with other properties than we would declare; used as it is."""
        fields = {names.QUEUE: name, names.DIFFERENCE: difference}
        limited(WARNING, "queue_adopted", fields, names.QUEUE)

    # ---- ourselves ----------------------------------------------------------------------------

    def background_failed(self, where: str, error: BaseException) -> None:
        """One of our own threads caught what it should not have met; it goes on."""
        limited(ERROR, "background_failed", {
            names.WHERE: where, names.STACK: _fields.frames(error), **_fields.of_error(error),
        }, names.WHERE)

    def telemetry_failed(self, where: str, error: BaseException) -> None:
        """A telemetry hook raised; said once for each hook, the call is not disturbed."""
        line(ERROR, "telemetry_failed", {
            names.WHERE: where, names.STACK: _fields.frames(error), **_fields.of_error(error),
        })
