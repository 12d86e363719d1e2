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
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from tracedrpc import _log
from tracedrpc import semconv as names
from tracedrpc._log import DEBUG, ERROR, INFO, WARNING, line
from tracedrpc.message import NO_CARRIER

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
        peer: "host:port" of the broker node.
        purpose: "send", "replies" or "listen".
    """

    id: int
    peer: str
    purpose: str


@dataclass(frozen=True, slots=True)
class PoolStats:
    """A pool at one instant: counts of connections, of waiting threads, and since its creation."""

    idle: int
    in_use: int
    waiters: int
    max_size: int
    created: int
    closed: int


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

    # ---- scopes -------------------------------------------------------------------------------

    def call(self, invocation: Invocation) -> Scope:
        """Around a whole call or cast, in the caller's thread."""
        return SILENCE

    def process(self, incoming: Incoming) -> Scope:
        """Around a server's work on one request, in the worker's thread."""
        return SILENCE

    # ---- calls, on the client -----------------------------------------------------------------

    def call_finished(self, invocation: Invocation, error: BaseException | None) -> None:
        """A call or cast has ended; its caller's thread, inside the scope. The canonical line."""
        if _log.is_enabled(DEBUG):
            fields = _invocation(invocation) | {names.ELAPSED_MS: invocation.elapsed_s() * 1e3}
            line(DEBUG, "call_finished", fields | _error(error))

    def call_timed_out(self, invocation: Invocation) -> None:
        """A call got no reply in time; `invocation.stage` says how far it had come."""
        line(WARNING, "call_timed_out", _invocation(invocation) | {
            names.ELAPSED_MS: invocation.elapsed_s() * 1e3,
            names.TIMEOUT_PHASE: invocation.stage.value,
            names.REPLY_QUEUE: invocation.reply_queue or None,
        })

    def heartbeat_received(self, invocation: Invocation) -> None:
        """The server says that it works on this call; reply thread."""
        if _log.is_enabled(DEBUG):
            line(DEBUG, "heartbeat_received", _invocation(invocation) | {
                names.HEARTBEAT_COUNT: invocation.heartbeats,
            })

    def reply_discarded(self, msg_id: str, reason: str) -> None:
        """A reply that nobody waits for: "late" or "duplicate"; reply thread."""
        line(INFO, "reply_discarded", {names.MSG_ID: msg_id, names.REASON: reason})

    # ---- messages, both sides -----------------------------------------------------------------

    def publish_retried(
        self, invocation: Invocation | None, destination: str, reason: str, delay_s: float,
    ) -> None:
        """A publish failed and will be tried again; `invocation` is None for replies."""
        line(INFO, "publish_retried", _invocation(invocation) | {
            names.DESTINATION: destination, names.REASON: reason, names.DELAY_MS: delay_s * 1e3,
        })

    def message_returned(self, invocation: Invocation | None, destination: str) -> None:
        """The broker has no queue for a message; it is tried again while somebody wants it."""
        line(INFO, "message_returned", _invocation(invocation) | {names.DESTINATION: destination})

    def message_dropped(
        self, invocation: Invocation | None, destination: str, reason: str,
    ) -> None:
        """A message of ours was given up: "unroutable", "expired", "overflow" or "closed"."""
        line(WARNING, "message_dropped", _invocation(invocation) | {
            names.DESTINATION: destination, names.REASON: reason,
        })

    def message_discarded(self, queue: str, reason: str, body: bytes) -> None:
        """A message from the wire was refused or had been seen before; it is acknowledged.

        The body is given to be measured and fingerprinted only; nothing of it may be passed on.
        """
        level = INFO if reason == "duplicate" else WARNING
        if _log.is_enabled(level):
            line(level, "message_discarded", {
                names.QUEUE: queue, names.REASON: reason, names.SIZE_BYTES: len(body),
                names.SHA256: hashlib.sha256(body).hexdigest(),
            })

    # ---- requests, on the server --------------------------------------------------------------

    def request_finished(self, incoming: Incoming) -> None:
        """A request was handled and its reply, if any, handed over; worker thread."""
        if _log.is_enabled(DEBUG):
            line(DEBUG, "request_finished", _incoming(incoming))

    def request_failed(self, incoming: Incoming, error: BaseException, *, expected: bool) -> None:
        """A request's method raised, or there is no such method; worker thread."""
        level = DEBUG if expected else ERROR
        if _log.is_enabled(level):
            line(level, "request_failed", _incoming(incoming) | _error(error) | {
                names.STACK: None if expected else _frames(error),
            })

    def heartbeat_sent(self, incoming: Incoming) -> None:
        """A caller was told that its request is being worked on; scheduler thread."""
        if _log.is_enabled(DEBUG):
            line(DEBUG, "heartbeat_sent", _incoming(incoming))

    def server_started(self, target: Target, workers: int) -> None:
        """A server's queues are consumed from."""
        line(INFO, "server_started", _target(target) | {names.WORKERS: workers})

    def server_stopped(self, target: Target) -> None:
        """A server has ended and closed its connection."""
        line(INFO, "server_stopped", _target(target))

    # ---- connections and pools ----------------------------------------------------------------

    def pool_opened(self, pool: Pool) -> None:
        """A pool exists from now on; keep it and ask `stats()` when you like."""

    def pool_closed(self, pool: Pool) -> None:
        """A pool is closed; forget it."""
        line(DEBUG, "pool_closed", {})

    def connection_created(self, connection: ConnectionInfo, duration_ns: int) -> None:
        """A connection was made: TCP, TLS, AMQP handshake and channel in `duration_ns`."""
        line(INFO, "connection_created", _connection(connection) | {names.DURATION_MS: duration_ns / 1e6})

    def connect_failed(self, peer: str, purpose: str, reason: str, duration_ns: int) -> None:
        """A connection could not be made; `reason` is one of `errors.Reason`."""
        line(WARNING, "connect_failed", {
            names.SERVER_ADDRESS: peer, names.PURPOSE: purpose, names.REASON: reason,
            names.DURATION_MS: duration_ns / 1e6,
        })

    def connection_acquired(self, pool: Pool, result: str, waited_ns: int) -> None:
        """A thread got a connection: "hit" (was idle), "created" or "waited"."""

    def acquire_failed(self, pool: Pool, reason: str, waited_ns: int) -> None:
        """A thread got no connection: "timeout" or "closed"."""
        stats = pool.stats()
        line(WARNING, "acquire_failed", {
            names.REASON: reason, names.DURATION_MS: waited_ns / 1e6,
            names.POOL_IN_USE: stats.in_use, names.POOL_IDLE: stats.idle,
        })

    def connection_expired(self, connection: ConnectionInfo, idle_s: float) -> None:
        """An idle connection was closed because nobody had used it for `idle_s` seconds."""
        line(INFO, "connection_expired", _connection(connection) | {names.DURATION_MS: idle_s * 1e3})

    def connection_lost(self, connection: ConnectionInfo, reason: str) -> None:
        """A connection broke; `reason` is one of `errors.Reason`."""
        line(WARNING, "connection_lost", _connection(connection) | {names.REASON: reason})

    def connection_closed(self, connection: ConnectionInfo, reason: str) -> None:
        """A connection is gone: "idle", "stale", "error" or "pool_closed"."""
        line(DEBUG, "connection_closed", _connection(connection) | {names.REASON: reason})

    def connection_blocked(self, connection: ConnectionInfo) -> None:
        """The broker takes no messages on this connection: an alarm for memory or disk."""
        line(WARNING, "connection_blocked", _connection(connection))

    def connection_unblocked(self, connection: ConnectionInfo) -> None:
        """The broker takes messages again."""
        line(INFO, "connection_unblocked", _connection(connection))

    def consumer_started(self, connection: ConnectionInfo, queue: str) -> None:
        """A queue is consumed from."""
        line(DEBUG, "consumer_started", _connection(connection) | {names.QUEUE: queue})

    def consumer_cancelled(self, connection: ConnectionInfo, queue: str) -> None:
        """The broker ended a consumer, because its queue is gone; it will be declared again."""
        line(WARNING, "consumer_cancelled", _connection(connection) | {names.QUEUE: queue})

    def queue_adopted(self, name: str, difference: str) -> None:
        """A queue or exchange exists with other properties than we would declare; used as it is."""
        line(WARNING, "queue_adopted", {names.QUEUE: name, names.DIFFERENCE: difference})

    # ---- ourselves ----------------------------------------------------------------------------

    def background_failed(self, where: str, error: BaseException) -> None:
        """One of our own threads caught what it should not have met; it goes on."""
        line(ERROR, "background_failed", {names.WHERE: where, names.STACK: _frames(error)} | _error(error))

    def telemetry_failed(self, where: str, error: BaseException) -> None:
        """A telemetry hook raised; said once for each hook, the call is not disturbed."""
        line(ERROR, "telemetry_failed", {names.WHERE: where, names.STACK: _frames(error)} | _error(error))


# ---- fields -----------------------------------------------------------------------------------


def _invocation(invocation: Invocation | None) -> dict[str, Any]:
    if invocation is None:
        return {}
    request = invocation.request
    target = request.target
    ids = invocation.scope.ids if invocation.scope else NO_CARRIER
    return {
        names.RPC_METHOD: names.rpc_method(target.topic, target.namespace, request.method),
        names.MODE: request.mode.value,
        names.MSG_ID: request.msg_id,
        names.TARGET_SERVER: target.server,
        **ids,
    }


def _incoming(incoming: Incoming) -> dict[str, Any]:
    received, timeline = incoming.received, incoming.timeline
    ids = incoming.scope.ids if incoming.scope else NO_CARRIER
    handled_ns = timeline.handled_ns - timeline.handler_ns
    return {
        names.RPC_METHOD: names.rpc_method(incoming.topic, received.namespace, received.method),
        names.MODE: received.mode.value,
        names.MSG_ID: received.msg_id,
        names.QUEUE: incoming.queue,
        names.DURATION_MS: handled_ns / 1e6 if timeline.handled_ns else None,
        names.REDELIVERED: True if incoming.redelivered else None,
        **ids,
    }


def _target(target: Target) -> dict[str, Any]:
    return {names.QUEUE: target.topic, names.TARGET_SERVER: target.server}


def _connection(connection: ConnectionInfo) -> dict[str, Any]:
    return {
        names.CONNECTION_ID: connection.id,
        names.SERVER_ADDRESS: connection.peer,
        names.PURPOSE: connection.purpose,
    }


def _error(error: BaseException | None) -> dict[str, Any]:
    return {} if error is None else {names.ERROR_TYPE: type(error).__qualname__}


def _frames(error: BaseException, most: int = 6) -> str:
    """Return where an exception came from, innermost last, without its text or source lines."""
    frames = traceback.extract_tb(error.__traceback__)[-most:]
    return " > ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}:{frame.name}" for frame in frames)
