"""A message on its way to the broker, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from time import monotonic_ns, time_ns
from typing import TYPE_CHECKING

from tracedrpc.drivers.rabbit.backoff import Backoff
from tracedrpc.drivers.rabbit.topology import DEFAULT_EXCHANGE, Exchange
from tracedrpc.message import Stage
from tracedrpc.wire.body import COMPRESSION, compress
from tracedrpc.wire.headers import request_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracedrpc._deadline import Deadline
    from tracedrpc.drivers.rabbit.errors import Reason
    from tracedrpc.message import Invocation
    from tracedrpc.telemetry import ConnectionInfo, PoolStats

PERSISTENT = 2
TRANSIENT = 1


class Outcome(StrEnum):
    """What the broker said of a message, or what kept it from saying anything."""

    CONFIRMED = "confirmed"
    RETURNED = "returned"
    NACKED = "nacked"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message: where to, and the bytes.

    Attributes:
        exchange: "" is the default exchange, which needs no declaration.
        headers: those that do not depend on when it is sent; see `Shipment.headers`.
        message_id: 32 hex digits, by which a returned message is recognised.
        mandatory: the broker must say so when no queue takes it.
        expiration_ms: the broker drops it from its queue after this time; None for never.
        delivery_mode: 2 survives a broker's restart in a durable queue, 1 does not.
    """

    exchange: Exchange
    routing_key: str
    body: bytes
    headers: Mapping[str, str]
    message_id: str
    mandatory: bool = True
    expiration_ms: int | None = None
    delivery_mode: int = PERSISTENT

    def direct(self) -> Outgoing:
        """Return the same message for the default exchange: routing key is the queue's name."""
        return replace(self, exchange=DEFAULT_EXCHANGE)

    def compressed(self, name: str) -> Outgoing:
        """Return the same message, its body compressed by "gzip" or "bz2"."""
        body, header = compress(self.body, name)
        return replace(self, body=body, headers={**self.headers, COMPRESSION: header})


class Shipment:
    """A message until the broker has taken it or nobody wants it any more.

    Attributes:
        invocation: the call or cast it belongs to; None for replies and heartbeats.
        deadline: until when it is worth sending.
        returned: the broker has sent it back; its confirm follows.
        outcome: what became of the last attempt; None while it is under way.
        is_followed: its sender waits for the outcome itself, so the courier need not.
    """

    __slots__ = (
        "_backoff", "attempts", "deadline", "invocation", "is_followed", "outcome", "outgoing",
        "refusal", "returned",
    )

    def __init__(
        self, outgoing: Outgoing, deadline: Deadline, invocation: Invocation | None = None,
        *, is_followed: bool = False,
    ) -> None:
        self.outgoing = outgoing
        self.deadline = deadline
        self.invocation = invocation
        self.is_followed = is_followed
        self.returned = False
        self.outcome: Outcome | None = None
        self.attempts = 0
        self.refusal: Reason | None = None
        """Why its connection broke, when it was the only message the broker could mean."""
        self._backoff: Backoff | None = None

    def headers(self) -> Mapping[str, str]:
        """Return the headers of an attempt made now: of a request, when it is sent and what time is left."""
        invocation = self.invocation
        if invocation is None:
            return self.outgoing.headers
        left_s = None if invocation.request.timeout_s is None else self.deadline.left_s()
        return request_headers(self.outgoing.headers, time_ns(), left_s)

    def expiration_ms(self) -> int | None:
        """Return how long the broker may keep an attempt made now; None for as long as it likes."""
        if self.outgoing.expiration_ms is None:
            return None
        return max(1, min(self.outgoing.expiration_ms, int(self.deadline.left_s() * 1e3)))

    def pause_s(self) -> float:
        """Return how long to wait before it is sent again: longer each time.

        Not at once: what was handed over may have arrived, and then its reply comes first.
        """
        if self._backoff is None:
            self._backoff = Backoff(0.1, 2.0, at_once=False)
        return self._backoff.next_s()

    # ---- how far it has come, for the call it belongs to ----------------------------------------

    def reached(self, stage: Stage) -> None:
        """Note a stage."""
        if self.invocation is not None:
            self.invocation.stage = stage

    def _goes_on(self, stage: Stage) -> None:
        """Note a stage of a further attempt; what came back once stays unroutable until it is taken."""
        if self.invocation is not None and self.invocation.stage is not Stage.UNROUTABLE:
            self.invocation.stage = stage

    def asks(self) -> None:
        """Note that its sender asks for a connection."""
        invocation = self.invocation
        if invocation is not None:
            self._goes_on(Stage.POOL_ACQUIRE)
            invocation.acquire_ns = invocation.acquire_ns or monotonic_ns()

    def waits(self, pool: PoolStats) -> None:
        """Note that no connection was idle when its sender asked for one."""
        invocation = self.invocation
        if invocation is not None and not invocation.acquired_ns:
            invocation.pool = invocation.pool or pool

    def connects(self, spent_ns: int) -> None:
        """Note how long its sender has spent on a connection that had to be made, in vain or not."""
        invocation = self.invocation
        if invocation is not None and not invocation.acquired_ns:
            invocation.connect_ns += spent_ns

    def holds(self, connection: ConnectionInfo) -> None:
        """Note that its sender holds a connection."""
        invocation = self.invocation
        if invocation is not None:
            invocation.acquired_ns = invocation.acquired_ns or monotonic_ns()
            self._goes_on(Stage.PUBLISH)
            invocation.peer = connection.peer
            invocation.address = connection.address
            invocation.attempts += 1

    def handed_over(self) -> None:
        """Note that its last byte was handed to the socket; its outcome may be known by now."""
        invocation = self.invocation
        if invocation is not None:
            invocation.published_ns = monotonic_ns()
            if invocation.stage is Stage.PUBLISH:
                invocation.stage = Stage.CONFIRM

    def came_back(self) -> None:
        """Note that the broker had no queue for it."""
        invocation = self.invocation
        if invocation is not None:
            invocation.stage = Stage.UNROUTABLE
            invocation.returned_ns = invocation.returned_ns or monotonic_ns()

    def is_wanted(self) -> bool:
        """Tell whether sending it (again) still helps anybody."""
        invocation = self.invocation
        if invocation is not None and invocation.request.msg_id and invocation.ended_ns:
            return False  # a call whose caller has gone; a cast's caller never waits for long
        return not self.deadline.is_expired()
