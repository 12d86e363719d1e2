"""Receives requests for one server and hands them to its workers."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from tracedrpc._deadline import FOREVER_S, Deadline
from tracedrpc.driver import Listener
from tracedrpc.drivers.rabbit.consumer import Consumer
from tracedrpc.drivers.rabbit.incoming import RabbitIncoming
from tracedrpc.drivers.rabbit.stream import StreamPosition
from tracedrpc.drivers.rabbit.topology import fanout_queue, fanout_stream, shared_queues
from tracedrpc.exceptions import DecodeError
from tracedrpc.message import Received
from tracedrpc.wire.dedup import Seen
from tracedrpc.wire.request import decode_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tracedrpc.driver import Incoming, Workers
    from tracedrpc.drivers.rabbit.connector import Connector
    from tracedrpc.drivers.rabbit.courier import Courier
    from tracedrpc.drivers.rabbit.link import Delivery, Link
    from tracedrpc.drivers.rabbit.names import Lease, QueueNames
    from tracedrpc.drivers.rabbit.publisher import Publisher
    from tracedrpc.drivers.rabbit.topology import Queue
    from tracedrpc.options import Options
    from tracedrpc.target import Target
    from tracedrpc.telemetry import Telemetry

START_S: Final = 10.0
"""How long a server tries to reach a broker before `start` fails."""
STOP_S: Final = 5.0


class RabbitListener(Listener):
    """Admits a request when a worker is free, acknowledges it, and only then lets it start.

    What waits for a worker stays unacknowledged, so that it goes to another server when this one
    dies or stops; the prefetch, a little above the number of workers, bounds it.
    """

    def __init__(
        self, target: Target, exchange: str, connector: Connector, publisher: Publisher,
        courier: Courier, names: QueueNames, options: Options, telemetry: Telemetry,
    ) -> None:
        self._topic = target.topic or ""
        self._server = target.server or ""
        self._slow_ns = int(options.slow_call_threshold * 1e9)
        self._exchange = target.exchange or exchange
        self._names = names
        self._lease: Lease | None = None
        self._position: StreamPosition | None = None
        self._connector = connector
        self._publisher = publisher
        self._courier = courier
        self._options = options
        self._telemetry = telemetry
        self._queues: list[Queue] = []
        self._fanout = ""
        self._seen = Seen(options.dedup_window, options.dedup_most)
        self._backlog: deque[Delivery] = deque()
        self._consumer: Consumer | None = None
        self._handle: Callable[[Incoming], None]
        self._workers: Workers

    def start(self, handle: Callable[[Incoming], None], workers: Workers) -> None:
        """Declare, consume, and hand requests to `handle` on a worker."""
        self._handle = handle
        self._workers = workers
        try:
            self._start(workers)
        except BaseException:
            self._unname()
            raise

    def _start(self, workers: Workers) -> None:
        fanout = self._fanout_queue()
        self._fanout = fanout.name
        self._queues = [*shared_queues(self._exchange, self._topic, self._server, self._options), fanout]
        prefetch = self._options.rabbit_qos_prefetch_count or workers.size + max(1, workers.size // 10)
        consumer = self._consumer = Consumer(
            f"listener-{self._topic}", "listen", self._connector, self._queues, self, prefetch,
            self._options, self._telemetry,
        )
        workers.when_free(consumer.wake)
        consumer.start()
        try:
            consumer.wait_ready(Deadline.after(START_S))
        except BaseException:
            consumer.close()
            raise

    def _fanout_queue(self) -> Queue:
        if self._options.rabbit_stream_fanout:
            stream = fanout_stream(self._topic, self._options)
            self._position = StreamPosition(stream.name)
            return stream
        self._lease = self._names.lease(f"{self._topic}_fanout_")
        return fanout_queue(self._topic, self._lease.unique, self._options)

    def _unname(self) -> None:
        if self._lease is not None:
            self._lease.release()

    def stop(self) -> None:
        """Cancel the consumers and give back what has not started."""
        if self._consumer is not None:
            self._consumer.stop(STOP_S)

    def close(self) -> None:
        """Delete the fanout queue, unless it is to be used again, and close the connection."""
        if self._consumer is not None:
            self._consumer.close()
        self._unname()

    def forget(self) -> None:
        """Let go in a child process."""
        if self._consumer is not None:
            self._consumer.forget()
        if self._lease is not None:
            self._lease.forget()

    # ---- on the listener's thread -------------------------------------------------------------

    def consuming(self, queue: Queue) -> Mapping[str, Any]:
        """Return how to consume from one of the queues; from a stream where this server stands."""
        if self._position is not None and queue.name == self._fanout:
            return self._position.begin()
        return queue.consumer_arguments

    def take(self, deliveries: list[Delivery], link: Link) -> None:
        """Acknowledge as many as there are free workers, then let those start."""
        if self._position is not None:
            deliveries = self._position.sift(deliveries, link)
        backlog = self._backlog
        backlog.extend(deliveries)
        admitted = []
        while backlog and self._workers.reserve():
            admitted.append(backlog.popleft())
        if not admitted:
            return
        try:
            link.ack(admitted[-1].tag)
        except BaseException:
            for _ in admitted:
                self._workers.submit(_nothing)  # the broker delivers them again
            raise
        if self._position is not None:
            self._position.passed(admitted)
        for delivery in admitted:
            self._workers.submit(lambda delivery=delivery: self._work(delivery))  # type: ignore[misc]

    def rest_s(self) -> float:
        """Return that nothing is due unless something comes or a worker is free."""
        return FOREVER_S if self._position is None else self._position.rest_s()

    def is_idle(self) -> bool:
        """Return False: requests are always waited for."""
        return False

    def unstarted(self, deliveries: list[Delivery]) -> int:
        """Forget what has not started and return its last tag."""
        self._backlog.extend(deliveries)
        tag = self._backlog[-1].tag if self._backlog else 0
        self._backlog.clear()
        return tag

    def lost(self) -> None:
        """Forget what was not acknowledged: the broker delivers it again."""
        self._backlog.clear()
        if self._position is not None:
            self._position.lost()

    # ---- on a worker --------------------------------------------------------------------------

    def _work(self, delivery: Delivery) -> None:
        if self._position is not None and self._position.is_known(delivery):
            return
        try:
            received = decode_request(
                delivery.body, delivery.properties(),
                fanout=delivery.consumer == self._fanout, max_bytes=self._options.max_message_size,
                carrier_keys=self._telemetry.carrier_keys,
            )
        except DecodeError as error:
            self._telemetry.message_discarded(delivery.consumer, error.reason, delivery.body)
            self._refuse(delivery, error)
            return
        if received.unique_id is not None and not self._seen.add(received.unique_id):
            self._telemetry.message_discarded(delivery.consumer, "duplicate", delivery.body)
            return
        if received.monitor_timeout_s is not None or received.msg_id is not None:
            received.context["client_timeout"] = received.monitor_timeout_s
        self._handle(self._incoming(received, delivery))

    def _refuse(self, delivery: Delivery, error: DecodeError) -> None:
        """Tell the caller, where it can be seen who that is, instead of letting it time out."""
        if error.return_address is None:
            return
        msg_id, reply_queue = error.return_address
        unread = Received("", {}, {}, msg_id=msg_id, reply_queue=reply_queue)
        try:
            self._incoming(unread, delivery).fail(error)
        except Exception as failure:  # noqa: BLE001 - a worker's job must not raise
            self._telemetry.background_failed("server", failure)

    def _incoming(self, received: Received, delivery: Delivery) -> RabbitIncoming:
        return RabbitIncoming(
            received, delivery, self._topic, self._server, self._publisher, self._courier,
            self._options, self._slow_ns,
        )


def _nothing() -> None:
    """Give a reserved worker back."""
