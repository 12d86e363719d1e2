"""What passes between the RPC layer and a driver: values, and the record of one call's way."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from time import monotonic_ns, time_ns
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracedrpc._deadline import Deadline
    from tracedrpc.target import Target
    from tracedrpc.telemetry import Scope

NO_CARRIER: Final[Mapping[str, str]] = {}
"""The trace context of a message that carries none."""


class Mode(StrEnum):
    """The three ways to send a request."""

    CALL = "call"
    CAST = "cast"
    FANOUT = "fanout"


class Stage(StrEnum):
    """How far a call has come, as its client knows; a time-out names the last one."""

    POOL_ACQUIRE = "pool_acquire"
    CONNECT = "connect"
    PUBLISH = "publish"
    CONFIRM = "confirm"
    UNROUTABLE = "unroutable"
    QUEUE_OR_SERVER = "queue_or_server"
    SERVER = "server"
    HEARTBEAT_LOST = "heartbeat_lost"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for, already serialized by the client's serializer.

    Attributes:
        target: where to; `topic` is set.
        method: the remote method.
        args: the method's keyword arguments, JSON-able.
        context: the request context, JSON-able. It is the caller's own: never changed.
        mode: call, cast or fanout.
        unique_id: 32 hex digits; servers use it to recognise a duplicate.
        msg_id: 32 hex digits of a call, which its reply carries; None for casts.
        timeout_s: the whole operation's limit in seconds; None for no limit.
        monitor_timeout_s: seconds without a heartbeat after which a call is given up, or None.
        retry: attempts after a failed publish; None or -1 for as many as the time allows.
        at_least_once: raise `MessageUndeliverable` at once when no queue takes the message.
    """

    target: Target
    method: str
    args: Mapping[str, Any]
    context: Mapping[str, Any]
    mode: Mode
    unique_id: str
    msg_id: str | None = None
    timeout_s: float | None = None
    monitor_timeout_s: float | None = None
    retry: int | None = None
    at_least_once: bool = False


@dataclass(frozen=True, slots=True)
class ServerTimes:
    """What a server says about its own time in the reply's headers.

    Attributes:
        sent_ns: the server's wall clock when it handed the reply over, ns since 1970.
        wait_us: delivery to handler: the wait for a worker, and decoding.
        handler_us: inside the endpoint's method.
        total_us: delivery to reply handed over.
    """

    sent_ns: int
    wait_us: int
    handler_us: int
    total_us: int


class Invocation:
    """One call or cast on its way, as its client sees it: the request, its deadline, what happened.

    Stamps are `time.monotonic_ns()`, 0 while a step has not been reached. The caller's thread
    writes most of them; the reply thread writes `replied_ns`, heartbeats and `server_times`, the
    thread that reads the broker's confirm writes `confirmed_ns`. Each is written by one thread.
    """

    __slots__ = (
        "acquire_ns",
        "acquired_ns",
        "attempts",
        "body_bytes",
        "confirmed_ns",
        "deadline",
        "ended_ns",
        "exchange",
        "heartbeat_gap_ns",
        "heartbeat_ns",
        "heartbeats",
        "peer",
        "published_ns",
        "replied_ns",
        "reply_queue",
        "request",
        "routing_key",
        "scope",
        "server_times",
        "stage",
        "started_ns",
        "started_wall_ns",
        "system",
        "woken_ns",
    )

    def __init__(
        self, request: Request, deadline: Deadline, scope: Scope | None = None, system: str = "rabbitmq",
    ) -> None:
        self.request = request
        self.system = system
        """What carries it, as the conventions for messaging name it: `Driver.system`."""
        self.deadline = deadline
        self.scope = scope
        """The telemetry scope of this call, for moments that other threads report."""
        self.started_ns = monotonic_ns()
        self.started_wall_ns = time_ns()
        self.acquire_ns = 0
        """A connection was first asked for: for the reply queue, then one to send on."""
        self.acquired_ns = 0
        self.published_ns = 0
        """The message's last byte was handed to the socket."""
        self.confirmed_ns = 0
        """The broker's confirm was read; for a call perhaps after its reply, or never."""
        self.replied_ns = 0
        """The reply's frame was read."""
        self.woken_ns = 0
        """The caller's thread runs again."""
        self.ended_ns = 0
        self.attempts = 0
        """Publishes, the first one included."""
        self.stage = Stage.POOL_ACQUIRE
        self.peer = ""
        """host:port of the broker node published to."""
        self.exchange = ""
        self.routing_key = ""
        self.reply_queue = ""
        self.body_bytes = 0
        self.heartbeats = 0
        self.heartbeat_ns = 0
        """The last heartbeat of the server, or of the start of the wait."""
        self.heartbeat_gap_ns = 0
        """The largest gap between two heartbeats."""
        self.server_times: ServerTimes | None = None

    def wall_ns(self, stamp_ns: int) -> int:
        """Return a monotonic stamp of this call as ns since 1970."""
        return self.started_wall_ns + stamp_ns - self.started_ns

    def elapsed_s(self) -> float:
        """Return the seconds since the call began."""
        return (monotonic_ns() - self.started_ns) / 1e9


@dataclass(frozen=True, slots=True)
class Received:
    """A request as a server received it: decoded, checked, not yet deserialized.

    Attributes:
        method, args, namespace, version: what to call; version defaults to "1.0".
        context: the request context; trace context is already taken out of it.
        unique_id: the sender's id of this message, or None from peers that send none.
        msg_id: set on a call: the reply must carry it.
        reply_queue: set on a call: where the reply goes.
        monitor_timeout_s: how often the caller wants to hear from us at least, or None.
        carrier: trace context as found in the headers or else in the context:
            "traceparent" and perhaps "tracestate", unchecked strings.
        sent_ns: the sender's wall clock when it sent, ns since 1970; 0 when not told.
        mode: call when a reply is expected, fanout when it came from a fanout exchange.
    """

    method: str
    args: dict[str, Any]
    context: dict[str, Any]
    namespace: str | None = None
    version: str = "1.0"
    unique_id: str | None = None
    msg_id: str | None = None
    reply_queue: str | None = None
    monitor_timeout_s: float | None = None
    carrier: Mapping[str, str] = field(default_factory=dict)
    sent_ns: int = 0
    mode: Mode = Mode.CALL


class ServerTimeline:
    """Stamps of one request inside a server, `time.monotonic_ns()`, 0 while not reached."""

    __slots__ = ("delivered_ns", "delivered_wall_ns", "handled_ns", "handler_ns", "replied_ns", "started_ns")

    def __init__(self, delivered_ns: int = 0) -> None:
        now_ns = monotonic_ns()
        self.delivered_ns = delivered_ns or now_ns
        """The delivery was read from the socket."""
        self.delivered_wall_ns = time_ns() - (now_ns - self.delivered_ns)
        self.started_ns = now_ns
        """A worker took it up."""
        self.handler_ns = 0
        """The endpoint's method was entered."""
        self.handled_ns = 0
        """The endpoint's method was left."""
        self.replied_ns = 0
        """The instant stamped into the reply."""

    def wall_ns(self, stamp_ns: int) -> int:
        """Return a monotonic stamp of this request as ns since 1970."""
        return self.delivered_wall_ns + stamp_ns - self.delivered_ns

    def stamp_reply(self) -> ServerTimes:
        """Take the instant of the reply and return what the reply's headers say about times."""
        now_ns = self.replied_ns = monotonic_ns()
        handler_ns = self.handler_ns or now_ns
        handled_ns = self.handled_ns or now_ns
        return ServerTimes(
            sent_ns=self.wall_ns(now_ns),
            wait_us=(handler_ns - self.delivered_ns) // 1000,
            handler_us=(handled_ns - handler_ns) // 1000,
            total_us=(now_ns - self.delivered_ns) // 1000,
        )
