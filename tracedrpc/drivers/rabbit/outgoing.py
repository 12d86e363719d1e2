"""A message on its way to the broker, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tracedrpc.drivers.rabbit.topology import DEFAULT_EXCHANGE, Exchange

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracedrpc._deadline import Deadline
    from tracedrpc.message import Invocation

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
        return Outgoing(
            DEFAULT_EXCHANGE, self.routing_key, self.body, self.headers, self.message_id,
            self.mandatory, self.expiration_ms, self.delivery_mode,
        )


class Shipment:
    """A message until the broker has taken it or nobody wants it any more.

    Attributes:
        invocation: the call or cast it belongs to; None for replies and heartbeats.
        deadline: until when it is worth sending.
        returned: the broker has sent it back; its confirm follows.
        outcome: what became of the last attempt; None while it is under way.
        is_followed: its sender waits for the outcome itself, so the courier need not.
    """

    __slots__ = ("attempts", "deadline", "invocation", "is_followed", "outcome", "outgoing", "returned")

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

    def is_wanted(self) -> bool:
        """Tell whether sending it (again) still helps anybody."""
        if self.invocation is not None and self.invocation.ended_ns:
            return False
        return not self.deadline.is_expired()
