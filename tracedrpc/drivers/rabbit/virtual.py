"""The `Link` to kombu's other transports: `kombu+memory://` and friends.

They have no publisher confirms, no returned messages and no heartbeats: a message counts as
confirmed when the transport has taken it. Meant for tests and small set-ups.
"""

from __future__ import annotations

import contextlib
from time import monotonic, monotonic_ns
from typing import TYPE_CHECKING, Any, Final

from amqp.exceptions import ChannelError

from tracedrpc.drivers.rabbit.link import QueueState
from tracedrpc.drivers.rabbit.outgoing import Outcome
from tracedrpc.wire.body import COMPRESSION, Properties

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tracedrpc.drivers.rabbit.errors import Reason
    from tracedrpc.drivers.rabbit.link import Delivery
    from tracedrpc.drivers.rabbit.outgoing import Shipment
    from tracedrpc.drivers.rabbit.topology import Exchange, Queue
    from tracedrpc.drivers.rabbit.waker import Waker
    from tracedrpc.telemetry import ConnectionInfo

POLL_S: Final = 0.02
"""These transports cannot be woken from another thread, so they are asked this often."""


class VirtualDelivery:
    """A delivery over a virtual transport."""

    def __init__(self, message: Any, queue: str) -> None:
        body = message.body
        self.message = message
        self.tag = 0
        self.consumer = queue
        self.exchange: str = message.delivery_info.get("exchange", "")
        self.routing_key: str = message.delivery_info.get("routing_key", "")
        self.redelivered = bool(message.delivery_info.get("redelivered"))
        self.body: bytes = body.encode() if isinstance(body, str) else bytes(body)
        self.received_ns = monotonic_ns()

    def properties(self) -> Properties:
        """Return content type, encoding and headers."""
        message = self.message
        headers = dict(message.headers or {})
        headers.pop(COMPRESSION, None)  # kombu has decompressed the body
        return Properties(message.content_type, message.content_encoding, headers)

    def stream_offset(self) -> int | None:
        """Return None: there are no streams."""
        return None


class VirtualLink:
    """One connection and channel of a virtual transport; polled instead of awaited."""

    heartbeat_s = 0.0
    is_blocked = False
    failure: Reason | None = None

    def __init__(
        self, connection: Any, info: ConnectionInfo, settled: Callable[[Shipment, Outcome], None],
    ) -> None:
        self.info = info
        self.used_s = monotonic()
        self.taken_ns = 0
        self.unsettled: dict[int, Shipment] = {}
        self._connection = connection
        self._channel = connection.channel()
        self._settled = settled
        self._declared: set[Exchange] = set()
        self._deliveries: list[Delivery] = []
        self._unacked: list[tuple[int, Any]] = []
        self._count = 0
        self._consumers = 0

    def declare_queue(self, queue: Queue) -> None:
        """Declare and bind a queue and its exchange."""
        self._channel.queue_declare(queue.name, durable=queue.durable, auto_delete=queue.auto_delete)
        if queue.exchange is not None:
            self._declare_exchange(queue.exchange)
            self._channel.queue_bind(queue.name, queue.exchange.name, queue.routing_key)

    def repair(self, queue: Queue) -> None:
        """Declare and bind again."""
        self._declared.clear()
        self.declare_queue(queue)

    def _declare_exchange(self, exchange: Exchange) -> None:
        if exchange.name and exchange not in self._declared:
            self._channel.exchange_declare(
                exchange.name, exchange.kind, durable=exchange.durable, auto_delete=False,
            )
            self._declared.add(exchange)

    def bind_again(self, queue: Queue) -> None:
        """Do nothing: there is nobody who could have unbound it."""

    def delete_queue(self, name: str) -> None:
        """Delete a queue of ours."""
        self._channel.queue_delete(name)

    def look_at(self, queue: str, timeout_s: float) -> QueueState:  # noqa: ARG002 - cannot block
        """Ask how a queue stands; nobody counts its consumers."""
        try:
            found = self._channel.queue_declare(queue, passive=True)
        except ChannelError:
            return QueueState(exists=False)
        return QueueState(exists=True, messages=found.message_count, consumers=None)

    def publish(self, shipment: Shipment, timeout_s: float) -> None:  # noqa: ARG002 - cannot block
        """Hand a message to the transport; it counts as confirmed."""
        outgoing = shipment.outgoing
        self._declare_exchange(outgoing.exchange)
        message = self._channel.prepare_message(
            outgoing.body.decode(), content_type="application/json", content_encoding="utf-8",
            headers=dict(shipment.headers()), properties={"message_id": outgoing.message_id},
        )
        shipment.attempts += 1
        self._channel.basic_publish(message, outgoing.exchange.name, outgoing.routing_key)
        self.used_s = monotonic()
        shipment.outcome = Outcome.CONFIRMED
        self._settled(shipment, Outcome.CONFIRMED)

    def watch(self, waker: Waker) -> None:
        """Cannot be woken; `read` never waits long."""

    def read(self, timeout_s: float) -> None:
        """Take in what has arrived; waits a few milliseconds at the most."""
        if not self._consumers:
            return
        with contextlib.suppress(TimeoutError):
            self._connection.drain_events(timeout=min(timeout_s, POLL_S))

    def is_stale(self) -> bool:
        """Return False: there is nobody who could close it."""
        return False

    def take_deliveries(self) -> list[Delivery]:
        """Return the messages read since the last time."""
        taken, self._deliveries = self._deliveries, []
        return taken

    def take_cancelled(self) -> list[str]:
        """Return nothing: there is nobody who could end a consumer."""
        return []

    def heartbeat(self, rate: int) -> None:
        """Do nothing: there are no heartbeats."""

    def limit_unacked(self, count: int) -> None:
        """Limit what is delivered ahead."""
        self._channel.basic_qos(0, count, False)

    def consume(self, queue: str, arguments: Mapping[str, Any]) -> None:  # noqa: ARG002 - RabbitMQ's
        """Consume from a queue."""
        self._channel.basic_consume(
            queue, no_ack=False, callback=lambda message: self._received(queue, message), consumer_tag=queue,
        )
        self._consumers += 1

    def _received(self, queue: str, message: Any) -> None:
        delivery = VirtualDelivery(message, queue)
        self._count += 1
        delivery.tag = self._count
        self._unacked.append((delivery.tag, message.delivery_tag))
        self._deliveries.append(delivery)

    def cancel(self, queue: str) -> None:
        """End a consumer."""
        self._channel.basic_cancel(queue)
        self._consumers -= 1

    def ack(self, tag: int) -> None:
        """Acknowledge all deliveries up to this one."""
        for theirs in self._take_unacked(tag):
            self._channel.basic_ack(theirs)

    def give_back(self, tag: int) -> None:
        """Put all unacknowledged deliveries up to this one back."""
        for theirs in self._take_unacked(tag):
            self._channel.basic_reject(theirs, requeue=True)

    def _take_unacked(self, tag: int) -> list[Any]:
        taken = [theirs for ours, theirs in self._unacked if ours <= tag]
        self._unacked = [pair for pair in self._unacked if pair[0] > tag]
        return taken

    def close(self) -> None:
        """Close the connection; kombu puts what was not acknowledged back."""
        self._connection.release()

    def abandon(self) -> None:
        """Close the connection."""
        self._connection.release()

    def forget(self) -> None:
        """Let go of it."""
