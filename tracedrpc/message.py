"""What passes between the RPC layer and a driver: values, and the record of one call's way."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from time import monotonic_ns, time_ns
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracedrpc._deadline import Deadline
    from tracedrpc.anatomy import Anatomy
    from tracedrpc.target import Target
    from tracedrpc.telemetry import PoolStats, Scope

NO_CARRIER: Final[Mapping[str, str]] = {}
"""The trace context of a message that carries none."""
W3C_KEYS: Final = frozenset({"traceparent", "tracestate"})
"""The entries of trace context in the W3C's format, https://www.w3.org/TR/trace-context/."""


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
    REPLY_LOST = "reply_lost"
    REPLY_DECODE = "reply_decode"
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
        trace: record this call whatever the sampler says.
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
    trace: bool = False


@dataclass(frozen=True, slots=True)
class ServerTimes:
    """What a server says about its own time in the reply's headers.

    Attributes:
        sent_ns: the server's wall clock when it handed the reply over, ns since 1970.
        wait_us: delivery to handler: the wait for a worker, and decoding.
        handler_us: inside the endpoint's method.
        total_us: delivery to reply handed over.
        server: the server's name (`Target.server`), "" when it does not say.
    """

    sent_ns: int
    wait_us: int
    handler_us: int
    total_us: int
    server: str = ""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What the broker says of a message that it took out of another queue.

    Attributes:
        reason: "expired", "rejected", "maxlen", "delivery_limit", or "other" for one not known here.
        queue: where it was taken from last.
        count: how often that happened there.
    """

    reason: str
    queue: str
    count: int


class Invocation:
    """One call or cast on its way, as its client sees it: the request, its deadline, what happened.

    Stamps are `time.monotonic_ns()`, 0 while a step has not been reached. The caller's thread
    writes most of them; the reply thread writes `replied_ns`, heartbeats and `server_times`, the
    thread that reads the broker's word writes `confirmed_ns` and `returned_ns`, and the one that
    publishes again what came back `published_ns`. Each is written by one thread at a time.
    """

    __slots__ = (
        "_anatomy",
        "acquire_ns",
        "acquired_ns",
        "address",
        "attempts",
        "body_bytes",
        "confirmed_ns",
        "connect_ns",
        "deadline",
        "ended_ns",
        "exchange",
        "heartbeat_gap_ns",
        "heartbeat_ns",
        "heartbeats",
        "peer",
        "pool",
        "published_ns",
        "queue_consumers",
        "queue_messages",
        "queue_missing",
        "replied_ns",
        "reply_queue",
        "request",
        "result",
        "returned_ns",
        "routing_key",
        "scope",
        "server",
        "server_times",
        "slow_ns",
        "stage",
        "started_ns",
        "started_wall_ns",
        "system",
        "woken_ns",
    )

    def __init__(  # noqa: PLR0915 - one line and one sentence for each slot
        self, request: Request, deadline: Deadline, scope: Scope | None = None, system: str = "rabbitmq",
        slow_s: float = 0.0,
    ) -> None:
        self.request = request
        self.slow_ns = int(slow_s * 1e9)
        """From this duration on a call counts as slow; 0 for never."""
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
        """A connection to send on was held for the first time."""
        self.connect_ns = 0
        """A duration: how much of the time before `acquired_ns` went into making connections."""
        self.pool: PoolStats | None = None
        """The pool when a connection was asked for and none was idle."""
        self.published_ns = 0
        """The message's last byte was handed to the socket; of the last attempt."""
        self.returned_ns = 0
        """The broker sent it back for the first time, because it had no queue for it."""
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
        """host:port of the broker node published to, as configured."""
        self.address = ""
        """The network address of that node."""
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
        self.server = ""
        """The name of the server that works or worked on it, as it says itself."""
        self.queue_messages: int | None = None
        """Messages that waited in the request's queue when the broker was asked, after a time-out."""
        self.queue_consumers: int | None = None
        self.queue_missing = False
        """The broker was asked, after a time-out, and has no such queue."""
        self.result: Any = None
        """What came back, not yet deserialized; for telemetry that was asked to tell it."""
        self._anatomy: Anatomy | None = None

    def began(self, began_ns: int) -> None:
        """Count it from an earlier instant: before its arguments were serialized."""
        self.started_wall_ns -= self.started_ns - began_ns
        self.started_ns = began_ns

    def went_plainly(self) -> bool:
        """Tell whether it is a call that was answered after one publish, on a connection that was there."""
        return (
            self.request.mode is Mode.CALL and self.attempts == 1 and self.stage is Stage.DONE
            and self.replied_ns > 0 and self.woken_ns > 0 and self.published_ns > 0 and self.ended_ns > 0
            and not (self.connect_ns or self.returned_ns or self.heartbeats)
        )

    def is_slow(self) -> bool:
        """Tell whether it took, by its end or until now, as long as what counts as slow."""
        return 0 < self.slow_ns <= (self.ended_ns or monotonic_ns()) - self.started_ns

    def wall_ns(self, stamp_ns: int) -> int:
        """Return a monotonic stamp of this call as ns since 1970."""
        return self.started_wall_ns + stamp_ns - self.started_ns

    def elapsed_s(self) -> float:
        """Return the seconds from the call's beginning to its end, or until now."""
        return ((self.ended_ns or monotonic_ns()) - self.started_ns) / 1e9


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
        timeout_s: how long the sender waits from then on; None when it does not say.
        dead_letter: set when the broker took it out of another queue.
        delivery_count: how often it was delivered before, as quorum queues say; 0 otherwise.
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
    timeout_s: float | None = None
    dead_letter: DeadLetter | None = None
    delivery_count: int = 0


class ServerTimeline:
    """Stamps of one request inside a server, `time.monotonic_ns()`, 0 while not reached."""

    __slots__ = (
        "delivered_ns", "delivered_wall_ns", "handed_ns", "handled_ns", "handler_ns", "replied_ns",
        "started_ns",
    )

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
        self.handed_ns = 0
        """The reply's last byte was handed to the socket; stays 0 when somebody else does that later."""

    def elapsed_ns(self) -> int:
        """Return how long the request has taken here: to its reply, of a cast to its method's end."""
        return (self.replied_ns or self.handled_ns or monotonic_ns()) - self.delivered_ns

    def wall_ns(self, stamp_ns: int) -> int:
        """Return a monotonic stamp of this request as ns since 1970."""
        return self.delivered_wall_ns + stamp_ns - self.delivered_ns

    def stamp_reply(self, server: str = "") -> ServerTimes:
        """Take the instant of the reply and return what the reply's headers say.

        Args:
            server: the server's name, for the caller to know who answered.
        """
        now_ns = self.replied_ns = monotonic_ns()
        handler_ns = self.handler_ns or now_ns
        handled_ns = self.handled_ns or now_ns
        return ServerTimes(
            sent_ns=self.wall_ns(now_ns),
            wait_us=(handler_ns - self.delivered_ns) // 1000,
            handler_us=(handled_ns - handler_ns) // 1000,
            total_us=(now_ns - self.delivered_ns) // 1000,
            server=server,
        )
