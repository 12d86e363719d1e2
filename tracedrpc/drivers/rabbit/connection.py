"""One connection to a broker, with its one channel. Always in one thread's hands, so without a lock."""

from __future__ import annotations

import contextlib
import itertools
import select
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from amqp import exceptions as amqp

from tracedrpc.drivers.rabbit import frames
from tracedrpc.drivers.rabbit.errors import BROKEN, Reason, reason_of
from tracedrpc.drivers.rabbit.link import QueueState
from tracedrpc.drivers.rabbit.outgoing import Outcome, Outgoing, Shipment
from tracedrpc.drivers.rabbit.readiness import make_poll
from tracedrpc.drivers.rabbit.topology import Exchange, Queue, consuming_for_broker, for_broker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tracedrpc.drivers.rabbit.edge import EdgeConnection, Intake
    from tracedrpc.drivers.rabbit.link import Delivery
    from tracedrpc.drivers.rabbit.waker import Waker
    from tracedrpc.telemetry import ConnectionInfo, Telemetry

next_id: Final = itertools.count(1).__next__
"""Numbers the connections of this process."""
CLOSE_S: Final = 1.0
"""How long a polite close may take before the socket is simply closed."""
SILENT_S: Final = 0.001
SILENT: Final = frozenset({Reason.TIMEOUT, Reason.HEARTBEAT})
"""Reasons after which nobody at the other end says goodbye."""


class Connection:
    """The `Link` to a real broker, over py-amqp."""

    def __init__(
        self, amqp_connection: EdgeConnection, intake: Intake, info: ConnectionInfo, telemetry: Telemetry,
        settled: Callable[[Shipment, Outcome], None],
    ) -> None:
        self.info = info
        self.unsettled: dict[int, Shipment] = {}
        self.used_s = monotonic()
        self.taken_ns = 0
        self.declared: set[Exchange] = set()
        self._amqp = amqp_connection
        self._intake = intake
        self._telemetry = telemetry
        self._settled = settled
        self._tag = 0
        intake.on_confirm = self._on_confirm
        self._channel: Any = amqp_connection.channel()
        self._number: int = self._channel.channel_id
        amqp_connection.transport.sock.settimeout(None)
        self._fd: int = amqp_connection.transport.sock.fileno()
        self._poll = make_poll()
        self._poll.register(self._fd, select.POLLIN)
        self._waker: Waker | None = None
        self.is_blocked = False
        self.failure: Reason | None = None
        amqp_connection.on_blocked = self._on_blocked
        amqp_connection.on_unblocked = self._on_unblocked

    # ---- what it is ---------------------------------------------------------------------------

    @property
    def broker_version(self) -> tuple[int, ...]:
        """Return the broker's version, e.g. (3, 10, 8); (0,) when it does not tell."""
        text = str(self._amqp.server_properties.get("version", "0"))
        return tuple(int(part) for part in text.split(".")[:3] if part.isdigit()) or (0,)

    @property
    def heartbeat_s(self) -> float:
        """Return the heartbeat interval agreed with the broker; 0 for none."""
        return float(self._amqp.heartbeat or 0)

    # ---- declaring ----------------------------------------------------------------------------

    def confirm_publishes(self) -> None:
        """Ask the broker to confirm what is published; needed before `publish`."""
        self._channel.confirm_select()

    def declare_exchange(self, exchange: Exchange) -> None:
        """Declare an exchange, or use the one that exists with other properties."""
        if not exchange.name or exchange in self.declared:
            return
        self._adopting(exchange.name, lambda channel, passive: channel.exchange_declare(
            exchange.name, exchange.kind, passive=passive,
            durable=exchange.durable, auto_delete=exchange.auto_delete,
        ))
        self.declared.add(exchange)

    def declare_queue(self, queue: Queue) -> None:
        """Declare and bind a queue, or use the one that exists with other properties."""
        queue = for_broker(queue, self.broker_version)
        self._adopting(queue.name, lambda channel, passive: channel.queue_declare(
            queue.name, passive=passive, durable=queue.durable,
            auto_delete=queue.auto_delete, arguments=dict(queue.arguments),
        ))
        if queue.exchange is not None:
            self.declare_exchange(queue.exchange)
            self._channel.queue_bind(queue.name, queue.exchange.name, queue.routing_key)

    def _adopting(self, name: str, declare: Callable[[Any, bool], Any]) -> None:
        """Declare on a channel of its own, which a refusal closes; then look whether it exists."""
        try:
            with self._amqp.channel() as channel:
                declare(channel, False)
        except amqp.PreconditionFailed as refusal:
            with self._amqp.channel() as channel:
                declare(channel, True)
            self._telemetry.queue_adopted(name, refusal.reply_text or "")

    def repair(self, queue: Queue) -> None:
        """Declare and bind again what the broker has lost."""
        if queue.exchange is not None:
            self.declared.discard(queue.exchange)
        self.declare_queue(queue)

    def bind_again(self, queue: Queue) -> None:
        """Bind a queue as it should be bound, on a channel of its own; declare what turns out to be gone."""
        if queue.exchange is None:
            return
        try:
            with self._amqp.channel() as channel:
                channel.queue_bind(queue.name, queue.exchange.name, queue.routing_key)
        except amqp.NotFound:
            self.repair(queue)
        except amqp.ChannelError:  # what this user may not do any more has been done before
            return

    def delete_queue(self, name: str) -> None:
        """Delete a queue of ours."""
        self._channel.queue_delete(name)

    def look_at(self, queue: str, timeout_s: float) -> QueueState | None:
        """Ask how a queue stands, by a passive declaration on a channel of its own; None: not told."""
        writable = select.poll()
        writable.register(self._fd, select.POLLOUT)
        if not writable.poll(0):
            raise TimeoutError("the broker does not read what was sent to it")
        with self._amqp.within(timeout_s):
            try:
                with self._amqp.channel() as channel:
                    found = channel.queue_declare(queue, passive=True)
            except amqp.NotFound:
                return QueueState(exists=False)
            except amqp.ChannelError:  # it is somebody's own, or may not be asked about
                return None
        return QueueState(exists=True, messages=found.message_count, consumers=found.consumer_count)

    # ---- publishing ---------------------------------------------------------------------------

    def publish(self, shipment: Shipment, timeout_s: float) -> None:
        """Hand a message to the socket; the broker's word is settled by a later `read`."""
        outgoing: Outgoing = shipment.outgoing
        if outgoing.exchange not in self.declared:
            with self._amqp.within(timeout_s):
                self.declare_exchange(outgoing.exchange)
        data = frames.publish(
            self._number, outgoing.exchange.name, outgoing.routing_key, outgoing.mandatory,
            outgoing.body, shipment.headers(), outgoing.message_id, shipment.expiration_ms(),
            outgoing.delivery_mode, self._amqp.frame_max,
        )
        shipment.outcome = None
        shipment.returned = False
        shipment.attempts += 1
        self._tag += 1
        self.unsettled[self._tag] = shipment
        try:
            self._send(data, timeout_s)
        except BaseException:
            del self.unsettled[self._tag]  # its sender knows already
            raise

    def _send(self, data: bytes, timeout_s: float) -> None:
        self._amqp.send(data, timeout_s)
        self.used_s = monotonic()

    def _on_blocked(self, _reason: str) -> None:
        self.is_blocked = True
        self._telemetry.connection_blocked(self.info)

    def _on_unblocked(self) -> None:
        self.is_blocked = False
        self._telemetry.connection_unblocked(self.info)

    def _on_confirm(self, tag: int, multiple: bool, is_ack: bool) -> None:
        self._mark_returned()
        if multiple:
            tags = [waiting for waiting in self.unsettled if waiting <= tag]
        else:
            tags = [tag] if tag in self.unsettled else []
        for each in tags:
            shipment = self.unsettled.pop(each)
            if shipment.returned:
                self._settle(shipment, Outcome.RETURNED)
            else:
                self._settle(shipment, Outcome.CONFIRMED if is_ack else Outcome.NACKED)

    def _mark_returned(self) -> None:
        """A returned message is announced before its confirm, by its id and without its tag."""
        returned = self._intake.returned
        while returned:
            message_id = returned.pop()
            for shipment in self.unsettled.values():
                if shipment.outgoing.message_id == message_id:
                    shipment.returned = True

    def _settle(self, shipment: Shipment, outcome: Outcome) -> None:
        shipment.outcome = outcome
        self._settled(shipment, outcome)

    # ---- reading ------------------------------------------------------------------------------

    def watch(self, waker: Waker) -> None:
        """Let `read` return early when that waker is woken."""
        self._waker = waker
        self._poll.register(waker.fileno(), select.POLLIN)

    def read(self, timeout_s: float) -> None:
        """Take in what has arrived; wait at most `timeout_s` for the first of it."""
        if self._amqp.has_pending():
            self._amqp.read_available()
            return
        for fd, _ in self._poll.poll(timeout_s * 1000):
            if fd == self._fd:
                self._amqp.read_available()
            elif self._waker is not None:
                self._waker.drain()

    def is_stale(self) -> bool:
        """Tell whether the broker has closed it while nobody looked; takes in what has arrived."""
        try:
            self.read(0)
        except BROKEN as error:
            self.failure = reason_of(error)
            return True
        return not self._amqp.connected

    def take_deliveries(self) -> list[Delivery]:
        """Return the messages read since the last time."""
        taken, self._intake.deliveries = self._intake.deliveries, []
        return taken

    def take_cancelled(self) -> list[str]:
        """Return the consumers that the broker ended since the last time."""
        taken, self._intake.cancelled = self._intake.cancelled, []
        return taken

    def heartbeat(self, rate: int) -> None:
        """Send a heartbeat when one is due; raises when the broker has been silent too long."""
        self._amqp.heartbeat_tick(rate=rate)

    # ---- consuming ----------------------------------------------------------------------------

    def limit_unacked(self, count: int) -> None:
        """Let the broker send at most `count` unacknowledged messages to each consumer."""
        self._channel.basic_qos(0, count, False)

    def consume(self, queue: str, arguments: Mapping[str, Any]) -> None:
        """Consume from a queue; its name is the consumer's tag."""
        taken = consuming_for_broker(arguments, self.broker_version)
        self._channel.basic_consume(queue, consumer_tag=queue, arguments=taken)
        self._telemetry.consumer_started(self.info, queue)

    def cancel(self, queue: str) -> None:
        """End a consumer; what was under way is still delivered before this returns."""
        with self._amqp.within(CLOSE_S):
            self._channel.basic_cancel(queue)

    def ack(self, tag: int) -> None:
        """Acknowledge all deliveries up to this one."""
        self._send(frames.ack(self._number, tag, multiple=True), self.heartbeat_s or 30.0)

    def give_back(self, tag: int) -> None:
        """Put all unacknowledged deliveries up to this one back into their queues."""
        self._send(frames.nack(self._number, tag, multiple=True, requeue=True), CLOSE_S)

    # ---- the end ------------------------------------------------------------------------------

    def close(self) -> None:
        """Say goodbye to the broker, at the longest for `CLOSE_S`."""
        with contextlib.suppress(*BROKEN), self._amqp.within(CLOSE_S):
            self.read(0)
            self._amqp.close()
        self.abandon()

    def forget(self) -> None:
        """Let go of it in a child process: the socket is the parent's, nothing is sent."""
        self._amqp.forget()

    def abandon(self) -> None:
        """Close the socket without a word; what was unsettled is lost."""
        with contextlib.suppress(*BROKEN):
            self._amqp.abandon(SILENT_S if self.failure in SILENT else CLOSE_S)
        unsettled, self.unsettled = self.unsettled, {}
        for shipment in unsettled.values():
            shipment.refusal = self.failure if len(unsettled) == 1 else None
            self._settle(shipment, Outcome.LOST)
