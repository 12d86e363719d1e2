"""Receives replies: one queue, one connection and one thread for each transport."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from tracedrpc._deadline import FOREVER_S, Deadline
from tracedrpc.drivers.rabbit.consumer import Consumer
from tracedrpc.drivers.rabbit.errors import Reason, connect_failed, reason_of
from tracedrpc.drivers.rabbit.topology import reply_queue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tracedrpc.drivers.rabbit.connector import Connector
    from tracedrpc.drivers.rabbit.link import Delivery, Link
    from tracedrpc.drivers.rabbit.names import Lease, QueueNames
    from tracedrpc.drivers.rabbit.topology import Queue
    from tracedrpc.drivers.waiters import Waiters
    from tracedrpc.options import Options
    from tracedrpc.telemetry import Telemetry


ACK_EACH: Final = 64
"""So many replies are acknowledged together; each acknowledgement costs as much as a publish."""
ACK_AFTER_S: Final = 0.05


class Replies:
    """Starts with the first call, on the thread `tracedrpc-replies`; hands replies to the waiters.

    A caller that waits while nobody reads does the reading itself.

    The queue outlives a lost connection (it expires when unused for long), so that replies that
    came meanwhile are received after the reconnect.
    """

    def __init__(
        self, connector: Connector, waiters: Waiters, names: QueueNames, options: Options,
        telemetry: Telemetry,
    ) -> None:
        self._connector = connector
        self._waiters = waiters
        self._options = options
        self._telemetry = telemetry
        self._lock = threading.Lock()
        self._naming = threading.Lock()
        self._consumer: Consumer | None = None
        self._unacked = 0
        self._last_tag = 0
        self._ack_at = Deadline.after(0)
        self._is_closed = False
        self._names = names
        self._named: tuple[Lease, Queue] | None = None

    @cached_property
    def name(self) -> str:
        """Return the queue's name; the first time takes one."""
        return self._queue().name

    def _queue(self) -> Queue:
        with self._naming:
            if self._named is None:
                lease = self._names.lease("reply_")
                self._named = lease, reply_queue(lease.unique, self._options)
            return self._named[1]

    def _unname(self) -> None:
        with self._naming:
            if self._named is not None:
                self._named[0].release()

    def is_ready(self) -> bool:
        """Tell whether replies have begun to be received; `ensure` has nothing to do then."""
        consumer = self._consumer
        return consumer is not None and consumer.is_consuming()

    def is_connected(self) -> bool:
        """Tell whether the connection that replies come on lives, as far as is known."""
        consumer = self._consumer
        return consumer is not None and consumer.is_connected()

    def ensure(self, deadline: Deadline) -> None:
        """Return when replies are received; quick after the first time.

        Raises:
            ConnectFailed: no broker before the deadline.
        """
        if not self.is_ready():
            self._begun().wait_ready(deadline)

    def _begun(self) -> Consumer:
        with self._lock:
            consumer = self._consumer
            if self._is_closed:
                raise connect_failed(Reason.CLOSED, "any host: the transport is closed")
            if consumer is None or consumer.has_ended():
                consumer = self._consumer = self._start_consumer()
        return consumer

    def _start_consumer(self) -> Consumer:
        try:
            consumer = Consumer(
                "replies", "replies", self._connector, [self._queue()], self, 0,
                self._options, self._telemetry,
            )
            consumer.start()
        except (OSError, RuntimeError) as error:
            raise connect_failed(reason_of(error), "any host: no thread or file is left") from error
        return consumer

    def forget(self) -> None:
        """Let go in a child process."""
        if self._consumer is not None:
            self._consumer.forget()
        if self._named is not None:  # without its lock, which another thread may have held at the fork
            self._named[0].forget()

    def close(self) -> None:
        """Delete the queue, unless it is to be used again, and end the thread."""
        with self._lock:
            self._is_closed = True
            consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()
        self._unname()

    def consuming(self, queue: Queue) -> Mapping[str, Any]:
        """Return how to consume replies."""
        return queue.consumer_arguments

    def take(self, deliveries: list[Delivery], link: Link) -> None:
        """Hand replies to those who wait; acknowledge now and then, all at once.

        What is delivered again after a reconnect, because its acknowledgement had not been sent,
        finds nobody waiting and is discarded.
        """
        for delivery in deliveries:
            self._waiters.deliver(self.name, delivery.body, delivery.properties(), delivery.received_ns)
        if deliveries:
            if not self._unacked:
                self._ack_at = Deadline.after(ACK_AFTER_S)
            self._unacked += len(deliveries)
            self._last_tag = deliveries[-1].tag
        if self._unacked >= ACK_EACH or (self._unacked and self._ack_at.is_expired()):
            self._unacked = 0
            link.ack(self._last_tag)

    def rest_s(self) -> float:
        """Return how long the acknowledgement may wait for more replies to go with it."""
        return self._ack_at.left_s() if self._unacked else FOREVER_S

    def is_idle(self) -> bool:
        """Tell whether no call waits for its reply."""
        return not len(self._waiters)

    def read_for(self, is_done: Callable[[], bool], deadline: Deadline) -> None:
        """Let the calling thread read replies, if nobody else does, until it is done."""
        consumer = self._consumer
        if consumer is not None:
            consumer.read_for(is_done, deadline)

    def wake(self) -> None:
        """Let whoever reads see that a call has ended otherwise."""
        consumer = self._consumer
        if consumer is not None:
            consumer.wake()

    def unstarted(self, deliveries: list[Delivery]) -> int:  # noqa: ARG002 - nothing is ever given back
        """Nothing is kept here: replies are taken at once."""
        return 0

    def lost(self) -> None:
        """The broker delivers again what was not acknowledged."""
        self._unacked = 0
