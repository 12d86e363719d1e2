"""The server's half of the memory driver."""

from __future__ import annotations

from contextvars import Context
from functools import partial
from os import urandom
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from tracedrpc.driver import Incoming, Listener
from tracedrpc.exceptions import DecodeError
from tracedrpc.message import NO_CARRIER, ServerTimeline
from tracedrpc.wire.body import Properties
from tracedrpc.wire.dedup import Seen
from tracedrpc.wire.failure import serialize_failure
from tracedrpc.wire.headers import heartbeat_headers, reply_headers
from tracedrpc.wire.reply import encode_failure, encode_heartbeat, encode_result
from tracedrpc.wire.request import decode_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tracedrpc.driver import Workers
    from tracedrpc.drivers.memory import MemoryDriver
    from tracedrpc.drivers.memory_broker import MemoryQueue, Message
    from tracedrpc.message import Received
    from tracedrpc.target import Target


class MemoryListener(Listener):
    """Takes requests from a server's queues, in the threads of those who send them."""

    def __init__(self, driver: MemoryDriver, target: Target) -> None:
        self.target = target
        self._driver = driver
        self._queues: list[MemoryQueue] = []
        self._seen = Seen(driver.options.dedup_window, driver.options.dedup_most)
        self._handle: Callable[[Incoming], None]
        self._workers: Workers

    def start(self, handle: Callable[[Incoming], None], workers: Workers) -> None:
        """Declare the queues and take what waits in them."""
        self._handle, self._workers = handle, workers
        workers.when_free(self._wake)
        target = self.target
        exchange = target.exchange or self._driver.default_exchange
        self._queues = self._driver.broker.declare(self, exchange, target.topic or "", target.server or "")
        self._driver.broker.consume(self, self._queues)

    def stop(self) -> None:
        """Take nothing more; the queues keep what comes."""
        self._driver.broker.cancel(self, self._queues)

    def close(self) -> None:
        """Give up the queues; casts that wait in them are lost."""
        queues, self._queues = self._queues, []
        self._driver.broker.cancel(self, queues)
        for message in self._driver.broker.delete(self, queues):
            message.sender.drop(message, "closed")
        self._driver.forget(self)

    def _wake(self) -> None:
        self._driver.broker.hand_over(self._queues)

    def reserve(self) -> bool:
        """Reserve a worker; asked by the broker."""
        return self._workers.reserve()

    def take(self, queue: MemoryQueue, message: Message) -> None:
        """Have a message worked on by the worker reserved before; called by the broker."""
        self._workers.submit(partial(self._work, queue, message, monotonic_ns()))

    def _work(self, queue: MemoryQueue, message: Message, delivered_ns: int) -> None:
        driver, size = self._driver, self._driver.options.max_message_size
        timeline = ServerTimeline(delivered_ns)
        try:
            received = decode_request(
                message.body, message.properties, fanout=message.is_fanout, max_bytes=size,
                carrier_keys=driver.telemetry.carrier_keys,
            )
        except DecodeError as error:
            driver.telemetry.message_discarded(queue.name, error.reason, message.body)
            return
        if received.unique_id is not None and not self._seen.add(received.unique_id):
            driver.telemetry.message_discarded(queue.name, "duplicate", message.body)
            return
        self._handle(MemoryIncoming(driver, self.target, queue, message, received, timeline))


class MemoryIncoming(Incoming):
    """A request of the memory driver."""

    system = "memory"

    def __init__(
        self,
        driver: MemoryDriver,
        target: Target,
        queue: MemoryQueue,
        message: Message,
        received: Received,
        timeline: ServerTimeline,
    ) -> None:
        self.received = received
        self.timeline = timeline
        self.topic = target.topic or ""
        self.slow_ns = int(driver.options.slow_call_threshold * 1e9)
        self.queue = queue.name
        self.exchange, self.routing_key = message.address
        self.body_bytes = len(message.body)
        self._driver = driver
        self._server = target.server or ""

    def reply(self, result: Any) -> None:
        """Send the result; a no-op for casts."""
        msg_id = self.received.msg_id
        if msg_id is not None:
            self._send(encode_result(msg_id, urandom(16).hex(), result))

    def fail(self, error: BaseException) -> None:
        """Send the exception; a no-op for casts."""
        msg_id = self.received.msg_id
        if msg_id is not None:
            self._send(encode_failure(msg_id, urandom(16).hex(), serialize_failure(error)))

    def heartbeat(self) -> None:
        """Tell the caller that the request is being worked on."""
        msg_id = self.received.msg_id
        if msg_id is not None:
            self._deliver(
                encode_heartbeat(msg_id, urandom(16).hex()), heartbeat_headers(self._server, self._carrier()),
            )

    def _carrier(self) -> Mapping[str, str]:
        return self.scope.carrier if self.scope is not None else NO_CARRIER

    def _send(self, body: bytes) -> None:
        self._deliver(body, reply_headers(self.timeline.stamp_reply(self._server), self._carrier()))
        self.timeline.handed_ns = monotonic_ns()

    def _deliver(self, body: bytes, headers: dict[str, str]) -> None:
        """Hand a reply to its caller, in an empty context: what is told of it there is not ours."""
        queue = self.received.reply_queue or ""
        waiters = self._driver.broker.reply_waiters(queue)
        if waiters is None:
            self._driver.telemetry.message_dropped(None, queue, "unroutable")
        else:
            Context().run(waiters.deliver, queue, body, Properties(headers=headers), monotonic_ns())
