"""What the driver asks of a connection to a broker: the small interface to everything below it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracedrpc.drivers.rabbit.errors import Reason
    from tracedrpc.drivers.rabbit.outgoing import Shipment
    from tracedrpc.drivers.rabbit.topology import Queue
    from tracedrpc.drivers.rabbit.waker import Waker
    from tracedrpc.telemetry import ConnectionInfo
    from tracedrpc.wire.body import Properties


@dataclass(frozen=True, slots=True)
class QueueState:
    """What the broker says of a queue.

    Attributes:
        exists: False when there is none of that name; the counts mean nothing then.
        messages: that wait for a consumer; delivered ones do not count.
        consumers: None where they are not counted.
    """

    exists: bool
    messages: int = 0
    consumers: int | None = 0


class Delivery(Protocol):
    """One message as it came from a queue.

    Attributes:
        tag: counts up on its connection; by it the message is acknowledged.
        consumer: the queue it came from.
        received_ns: `time.monotonic_ns()` when it was read.
    """

    tag: int
    consumer: str
    exchange: str
    routing_key: str
    redelivered: bool
    body: bytes
    received_ns: int

    def properties(self) -> Properties:
        """Return content type, encoding and headers."""
        ...

    def stream_offset(self) -> int | None:
        """Return its place in the stream that it came from; None when that was no stream."""
        ...


class Link(Protocol):
    """An open connection with its one channel, in one thread's hands.

    Whoever holds it reads it: confirms, returned messages and deliveries are settled or collected
    by `read`. Any method may raise one of `errors.BROKEN`; then it is of no more use and its
    holder calls `abandon`.
    """

    info: ConnectionInfo
    used_s: float
    taken_ns: int
    """Since when a borrower of the pool holds it; 0 while none does."""
    unsettled: dict[int, Shipment]
    is_blocked: bool
    """The broker takes no messages on it now; `read` learns when it does again."""
    failure: Reason | None
    """Why it broke; whoever holds it writes it before `abandon`."""

    @property
    def heartbeat_s(self) -> float:
        """Return the heartbeat interval agreed with the broker; 0 for none."""
        ...

    def declare_queue(self, queue: Queue) -> None:
        """Declare and bind a queue and its exchange, or use those that exist."""
        ...

    def repair(self, queue: Queue) -> None:
        """Declare and bind again what the broker has lost."""
        ...

    def bind_again(self, queue: Queue) -> None:
        """Bind a queue as it should be bound; declare what turns out to be gone."""
        ...

    def delete_queue(self, name: str) -> None:
        """Delete a queue of ours."""
        ...

    def look_at(self, queue: str, timeout_s: float) -> QueueState | None:
        """Ask how a queue stands; None when the broker does not say."""
        ...

    def publish(self, shipment: Shipment, timeout_s: float) -> None:
        """Hand a message to the socket; the broker's word is settled by a later `read`."""
        ...

    def watch(self, waker: Waker) -> None:
        """Let `read` return early when that waker is woken, and put the waker to sleep again."""
        ...

    def read(self, timeout_s: float) -> None:
        """Take in what has arrived; wait at most `timeout_s` for the first of it."""
        ...

    def is_stale(self) -> bool:
        """Tell whether the broker has closed it while nobody looked."""
        ...

    def take_deliveries(self) -> list[Delivery]:
        """Return the messages read since the last time."""
        ...

    def take_cancelled(self) -> list[str]:
        """Return the queues whose consumers the broker ended since the last time."""
        ...

    def heartbeat(self, rate: int) -> None:
        """Send a heartbeat when one is due; raises when the broker has been silent too long."""
        ...

    def limit_unacked(self, count: int) -> None:
        """Let the broker send at most `count` unacknowledged messages to each consumer."""
        ...

    def consume(self, queue: str, arguments: Mapping[str, Any]) -> None:
        """Consume from a queue, in the way that the arguments say."""
        ...

    def cancel(self, queue: str) -> None:
        """End a consumer; what was under way is still delivered before this returns."""
        ...

    def ack(self, tag: int) -> None:
        """Acknowledge all deliveries up to this one."""
        ...

    def give_back(self, tag: int) -> None:
        """Put all unacknowledged deliveries up to this one back into their queues."""
        ...

    def close(self) -> None:
        """Say goodbye to the broker, at the longest for a second or two."""
        ...

    def abandon(self) -> None:
        """Close without a word; what was unsettled is lost."""
        ...

    def forget(self) -> None:
        """Let go of it in a child process: the socket is the parent's, nothing is sent."""
        ...
