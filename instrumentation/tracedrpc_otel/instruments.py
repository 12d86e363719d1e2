"""Every metric, as data: instruments are made from this table, and docs and tests compare with it.

Names are OpenTelemetry's where its conventions have one (RPC: release candidate, messaging:
development, as of 1.44); `tracedrpc.client.connection.*` has the shape of `db.client.connection.*`.
A counter of a moment keeps the moment's name after `tracedrpc.`.

Only durations are recorded one by one: a call costs its client one measurement and its server two.
All else is counted in plain integers and looked at when a reader collects.
"""

from __future__ import annotations

from typing import Final

from tracedrpc import semconv as names
from tracedrpc_otel.instrument import Instrument, Kind

CALL_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""The conventions' own, of RPC and of messaging."""
LONG_BUCKETS: Final = (30.0, 60.0, 120.0)
"""Put after them by `TRACEDRPC_LONG_BUCKETS=on`: a call of oslo.messaging may take 60 s by default."""
QUEUE_BUCKETS: Final = (0.001, 0.0025, *CALL_BUCKETS, *LONG_BUCKETS)
"""A queue takes less than a call when all is well, and minutes when it is not."""
CONNECTION_BUCKETS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
"""Those of the conventions for connection pools of databases."""

# ---- calls ------------------------------------------------------------------------------------

CLIENT_DURATION: Final = Instrument(
    "rpc.client.call.duration", Kind.HISTOGRAM, "s",
    "Duration of calls as their callers see it, retries included.",
    "a call has returned or raised",
    (
        names.RPC_SYSTEM, names.RPC_METHOD, names.ERROR_TYPE, names.RPC_STATUS,
        names.SERVER_ADDRESS, names.SERVER_PORT,
    ),
    CALL_BUCKETS,
)
SERVER_DURATION: Final = Instrument(
    "rpc.server.call.duration", Kind.HISTOGRAM, "s",
    "Duration of calls on their server, from the delivery to the reply; expected exceptions are no errors.",
    "a call has been answered",
    (names.RPC_SYSTEM, names.RPC_METHOD, names.ERROR_TYPE),
    CALL_BUCKETS,
)
SEND_DURATION: Final = Instrument(
    "messaging.client.operation.duration", Kind.HISTOGRAM, "s",
    "Duration of casts and fanouts as their senders see it, until the broker has taken them.",
    "a cast or fanout has returned or raised",
    (
        names.MESSAGING_SYSTEM, names.OPERATION_NAME, names.OPERATION_TYPE, names.DESTINATION_TEMPLATE,
        names.RPC_METHOD, names.ERROR_TYPE, names.SERVER_ADDRESS, names.SERVER_PORT,
    ),
    CALL_BUCKETS,
)
PROCESS_DURATION: Final = Instrument(
    "messaging.process.duration", Kind.HISTOGRAM, "s",
    "Duration of casts and fanouts on their server, from the delivery to the end of the method.",
    "a cast or fanout has been worked on",
    (
        names.MESSAGING_SYSTEM, names.OPERATION_NAME, names.OPERATION_TYPE, names.DESTINATION_TEMPLATE,
        names.RPC_METHOD, names.ERROR_TYPE,
    ),
    CALL_BUCKETS,
)
QUEUE_DURATION: Final = Instrument(
    "tracedrpc.server.queue.duration", Kind.HISTOGRAM, "s",
    "How long requests were in queues and on the way there, by both clocks; estimated where they disagree.",
    "a request that says when it was sent has been worked on",
    (names.DESTINATION_TEMPLATE, names.QUEUE_QUALITY),
    QUEUE_BUCKETS,
)
IN_FLIGHT: Final = Instrument(
    "tracedrpc.client.in_flight", Kind.UP_DOWN_COUNTER, "{request}",
    "Calls, casts and fanouts that have begun and not ended.",
    "at collection",
    (names.RPC_SYSTEM,),
)
ACTIVE_REQUESTS: Final = Instrument(
    "tracedrpc.server.active_requests", Kind.UP_DOWN_COUNTER, "{request}",
    "Requests that workers have in hand.",
    "at collection",
    (names.RPC_SYSTEM,),
)
TIMEOUTS: Final = Instrument(
    "tracedrpc.client.timeouts", Kind.COUNTER, "{timeout}",
    "Calls that got no reply in time, by how far they had come.",
    "moment call_timed_out",
    (names.TIMEOUT_PHASE,),
)
LATE: Final = Instrument(
    "tracedrpc.client.replies.late", Kind.COUNTER, "{reply}",
    "Replies that came after their call had timed out.",
    "moment reply_discarded, reason late",
)
DUPLICATE: Final = Instrument(
    "tracedrpc.client.replies.duplicate", Kind.COUNTER, "{reply}",
    "Replies to calls that had theirs.",
    "moment reply_discarded, reason duplicate",
)
ORPHAN: Final = Instrument(
    "tracedrpc.client.replies.orphan", Kind.COUNTER, "{reply}",
    "Replies to calls that nobody remembers.",
    "moment reply_discarded, reason unknown",
)
HEARTBEATS: Final = Instrument(
    "tracedrpc.client.heartbeats", Kind.COUNTER, "{heartbeat}",
    "Signs of life received from servers that work on our calls.",
    "moment heartbeat_received",
)
HEARTBEATS_SENT: Final = Instrument(
    "tracedrpc.server.heartbeats", Kind.COUNTER, "{heartbeat}",
    "Signs of life sent to callers.",
    "moment heartbeat_sent",
)
REDELIVERED: Final = Instrument(
    "tracedrpc.request_redelivered", Kind.COUNTER, "{request}",
    "Requests delivered again, because a server did not acknowledge them.",
    "moment request_redelivered",
)
EXCEEDED: Final = Instrument(
    "tracedrpc.deadline_exceeded", Kind.COUNTER, "{request}",
    "Requests answered after their callers had given up.",
    "moment deadline_exceeded",
)

# ---- messages ---------------------------------------------------------------------------------

RETRIES: Final = Instrument(
    "tracedrpc.publish.retries", Kind.COUNTER, "{retry}",
    "Publishes that failed and were tried again, by why they failed.",
    "moment publish_retried",
    (names.REASON,),
)
RETURNED: Final = Instrument(
    "tracedrpc.message_returned", Kind.COUNTER, "{message}",
    "Messages that the broker sent back because it had no queue for them.",
    "moment message_returned",
)
DROPPED: Final = Instrument(
    "tracedrpc.message_dropped", Kind.COUNTER, "{message}",
    "Messages of ours that were given up.",
    "moment message_dropped",
    (names.REASON,),
)
DISCARDED: Final = Instrument(
    "tracedrpc.message_discarded", Kind.COUNTER, "{message}",
    "Messages from the wire that were refused or had been seen before.",
    "moment message_discarded",
    (names.REASON,),
)

# ---- connections and pools --------------------------------------------------------------------

COUNT: Final = Instrument(
    "tracedrpc.client.connection.count", Kind.UP_DOWN_COUNTER, "{connection}",
    "Connections of the pool: idle, or used by a thread.",
    "at collection, `pool.stats()`",
    (names.POOL_NAME, names.STATE),
)
MAX: Final = Instrument(
    "tracedrpc.client.connection.max", Kind.UP_DOWN_COUNTER, "{connection}",
    "Most connections that the pool may have: rpc_conn_pool_size.",
    "at collection, `pool.stats()`",
    (names.POOL_NAME,),
)
IDLE_MAX: Final = Instrument(
    "tracedrpc.client.connection.idle.max", Kind.UP_DOWN_COUNTER, "{connection}",
    "Most connections that may be idle: all of them, until they expire.",
    "at collection, `pool.stats()`",
    (names.POOL_NAME,),
)
IDLE_MIN: Final = Instrument(
    "tracedrpc.client.connection.idle.min", Kind.UP_DOWN_COUNTER, "{connection}",
    "Connections that are kept however long they are idle: conn_pool_min_size.",
    "at collection, `pool.stats()`",
    (names.POOL_NAME,),
)
PENDING: Final = Instrument(
    "tracedrpc.client.connection.pending_requests", Kind.UP_DOWN_COUNTER, "{request}",
    "Threads that wait for a connection.",
    "at collection, `pool.stats()`",
    (names.POOL_NAME,),
)
ACQUIRED: Final = Instrument(
    "tracedrpc.client.connection.acquired", Kind.COUNTER, "{connection}",
    "Connections handed to threads. Less the successful ones of wait_time, these are the hits, which "
    "waited for nothing and would cost each call a measurement.",
    "at collection, `pool.stats().acquired`",
    (names.POOL_NAME,),
)
USE_TIME: Final = Instrument(
    "tracedrpc.client.connection.use_time", Kind.COUNTER, "s",
    "How long all connections together were in threads' hands; its rate is how many are on average. A "
    "sum and no histogram, because a use lasts some 50 us and a measurement costs a quarter of that.",
    "at collection, `pool.stats().used_ns`",
    (names.POOL_NAME,),
)
POOL_TIMEOUTS: Final = Instrument(
    "tracedrpc.client.connection.timeouts", Kind.COUNTER, "{timeout}",
    "Threads that got no connection in time.",
    "moment acquire_failed, reason timeout",
    (names.POOL_NAME,),
)
WAIT_TIME: Final = Instrument(
    "tracedrpc.client.connection.wait_time", Kind.HISTOGRAM, "s",
    "How long threads waited for a connection, connecting included; only those that had to wait.",
    "moments connection_acquired, result waited or created, and acquire_failed",
    (names.POOL_NAME, names.POOL_RESULT),
    CONNECTION_BUCKETS,
)
CREATE_TIME: Final = Instrument(
    "tracedrpc.client.connection.create_time", Kind.HISTOGRAM, "s",
    "How long it took to make connections: TCP, TLS, AMQP handshake and channel.",
    "moment connection_ready",
    (names.PURPOSE, names.SERVER_ADDRESS, names.SERVER_PORT),
    CONNECTION_BUCKETS,
)
CONNECT_FAILED: Final = Instrument(
    "tracedrpc.connect_failed", Kind.COUNTER, "{connection}",
    "Connections that could not be made.",
    "moment connect_failed",
    (names.PURPOSE, names.REASON, names.SERVER_ADDRESS, names.SERVER_PORT),
)
LOST: Final = Instrument(
    "tracedrpc.connection_lost", Kind.COUNTER, "{connection}",
    "Connections that broke.",
    "moment connection_lost",
    (names.PURPOSE, names.REASON, names.SERVER_ADDRESS, names.SERVER_PORT),
)
CLOSED: Final = Instrument(
    "tracedrpc.connection_closed", Kind.COUNTER, "{connection}",
    "Connections that are gone, for whatever reason.",
    "moment connection_closed",
    (names.PURPOSE, names.REASON),
)
RECONNECTS: Final = Instrument(
    "tracedrpc.connection.reconnects", Kind.COUNTER, "{connection}",
    "Connections made where one of the same purpose had been lost.",
    "moment connection_ready after connection_lost",
    (names.PURPOSE,),
)
BLOCKED: Final = Instrument(
    "tracedrpc.connection.blocked", Kind.UP_DOWN_COUNTER, "{connection}",
    "Connections on which the broker takes no messages now: an alarm for memory or disk.",
    "at collection: connection_blocked without connection_unblocked",
)

# ---- ourselves --------------------------------------------------------------------------------

TELEMETRY_DROPPED: Final = Instrument(
    "tracedrpc.telemetry.dropped", Kind.COUNTER, "{item}",
    "Spans, metric points and log records that did not reach their endpoint, of what `configure()` set up.",
    "at collection, `Configured.dropped`",
    (names.SIGNAL,),
)

INSTRUMENTS: Final = (
    CLIENT_DURATION, SERVER_DURATION, QUEUE_DURATION, SEND_DURATION, PROCESS_DURATION,
    IN_FLIGHT, ACTIVE_REQUESTS, TIMEOUTS, LATE, DUPLICATE, ORPHAN, HEARTBEATS, HEARTBEATS_SENT,
    REDELIVERED, EXCEEDED,
    RETRIES, RETURNED, DROPPED, DISCARDED,
    COUNT, MAX, IDLE_MAX, IDLE_MIN, PENDING, ACQUIRED, USE_TIME, POOL_TIMEOUTS, WAIT_TIME, CREATE_TIME,
    CONNECT_FAILED, LOST, CLOSED, RECONNECTS, BLOCKED,
    TELEMETRY_DROPPED,
)
"""In the order of the documentation."""

COUNTED: Final = (
    TIMEOUTS, LATE, DUPLICATE, ORPHAN, HEARTBEATS, HEARTBEATS_SENT, REDELIVERED, EXCEEDED,
    RETRIES, RETURNED, DROPPED, DISCARDED, POOL_TIMEOUTS,
)
"""Counters of moments that are about no connection."""


def as_markdown() -> str:
    """Return the table for `docs/telemetry.md`, one row an instrument."""
    rows = ["| instrument | kind | unit | attributes | recorded | |", "|---|---|---|---|---|---|"]
    for one in INSTRUMENTS:
        keys = ", ".join(f"`{key}`" for key in one.attributes) or "none"
        cells = (f"`{one.name}`", one.kind.value, f"`{one.unit}`", keys, one.recorded, one.description)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)
