"""Words for each phase of a call, and what to do when the time went there or the call died there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracedrpc.anatomy import Phase
from tracedrpc.message import Stage

if TYPE_CHECKING:
    from collections.abc import Mapping

WORDS: Final[Mapping[Phase, str]] = {
    Phase.PREPARE: "preparing the request",
    Phase.CONNECT: "connecting to the broker",
    Phase.ACQUIRE: "waiting for a connection of the pool",
    Phase.PUBLISH: "publishing",
    Phase.UNROUTABLE: "while no queue took the message",
    Phase.CONFIRM: "waiting for the broker's confirm",
    Phase.QUEUE: "in the queue and on the way there",
    Phase.DISPATCH: "waiting for a worker of the server",
    Phase.HANDLER: "in the method",
    Phase.REPLY: "encoding the reply",
    Phase.RETURN: "on the way back",
    Phase.REMOTE: "in the queue, at a server and on the way back",
    Phase.WAKEUP: "waking the caller's thread",
    Phase.FINISH: "decoding the result",
}
"""After a number of milliseconds."""

ABOUT: Final[Mapping[Phase, str]] = {
    Phase.PREPARE:
        "The caller needs long to encode its arguments: send less, or references to it.",
    Phase.CONNECT:
        "Connections were being made while calls waited: look for connect_failed in the logs, at DNS and at "
        "TLS; keep connections longer with conn_pool_ttl and conn_pool_min_size.",
    Phase.ACQUIRE:
        "The pool's connections were used up: raise rpc_conn_pool_size, or give bulk traffic a transport of "
        "its own. Watch tracedrpc.client.connection.pending_requests.",
    Phase.PUBLISH:
        "Handing the message over took long: it is large, the network is slow, or the broker holds "
        "publishers back (connection_blocked in the logs).",
    Phase.UNROUTABLE:
        "No server listened on that topic or server name: start one, or correct the target.",
    Phase.CONFIRM:
        "The broker was slow to confirm: look at its disk, its memory alarms and its quorum queues.",
    Phase.QUEUE:
        "The message waited in its queue: add servers or workers, and look for the method that holds them. "
        "Watch tracedrpc.server.queue.duration.",
    Phase.DISPATCH:
        "The server had it and no worker was free: raise executor_thread_pool_size, or look for the method "
        "that holds the workers.",
    Phase.HANDLER:
        "The time went into the server's method: look below its span and into its logs.",
    Phase.REPLY:
        "The server needs long to encode the result: return less.",
    Phase.RETURN:
        "The reply was long on its way: look at the server's connections, the network, and at a caller too "
        "busy to read.",
    Phase.REMOTE:
        "The server does not say where the time went: no reply came, or it runs on oslo.messaging. With "
        "tracedrpc on both sides every phase is told.",
    Phase.WAKEUP:
        "The caller's process was too busy to wake its own thread: look at its CPU.",
    Phase.FINISH:
        "The caller needs long to decode the result: ask for less.",
}

AFTER_TIMEOUT: Final[Mapping[str, str]] = {
    Stage.POOL_ACQUIRE: ABOUT[Phase.ACQUIRE],
    Stage.CONNECT: "The broker could not be reached: look for connect_failed in the logs of the caller.",
    Stage.PUBLISH: ABOUT[Phase.PUBLISH],
    Stage.CONFIRM: ABOUT[Phase.CONFIRM],
    Stage.UNROUTABLE: ABOUT[Phase.UNROUTABLE],
    Stage.QUEUE_OR_SERVER:
        "Nobody took it up in time: the servers are down, or all their workers are busy. Look at the other "
        "calls to that topic, and at the consumers of its queue.",
    Stage.SERVER:
        "The server worked on it for longer than the caller waited: raise the timeout, or give "
        "call_monitor_timeout, which waits for as long as the server gives signs of life.",
    Stage.HEARTBEAT_LOST:
        "The server gave no more signs of life: it died or is stuck. Look at its last logs.",
    Stage.REPLY_LOST:
        "The connection that replies come on was lost: look for connection_lost in the caller's logs.",
    Stage.REPLY_DECODE:
        "The reply could not be decoded: look for message_discarded in the caller's logs.",
}
"""By `tracedrpc.timeout.phase`."""

AFTER_ERROR: Final = "{service} raised {type}: its logs of this trace have more (request_failed)."
