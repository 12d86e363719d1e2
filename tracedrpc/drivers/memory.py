"""The in-process driver: for unit tests, and for programs that are several services in one.

The same bytes as on RabbitMQ go from client to server, so what cannot be sent there cannot be sent
here. Transports with the same host and virtual host in their URL, "memory://orders/", share a
broker. There is no thread: who publishes hands the request to the server's workers, who answers
hands the reply to the waiting caller; with the executor "blocking" a whole call runs in the
caller's thread.
"""

from __future__ import annotations

from functools import partial
from os import urandom
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Final

from tracedrpc._scheduler import Scheduler
from tracedrpc.driver import Driver
from tracedrpc.drivers.memory_broker import Message, find_broker
from tracedrpc.drivers.memory_listener import MemoryListener
from tracedrpc.drivers.waiters import Waiters
from tracedrpc.exceptions import MessageUndeliverable
from tracedrpc.message import NO_CARRIER, Mode, Stage
from tracedrpc.wire.body import Properties
from tracedrpc.wire.headers import request_headers
from tracedrpc.wire.request import encode_request

if TYPE_CHECKING:
    from tracedrpc.driver import Listener
    from tracedrpc.drivers.memory_broker import MemoryBroker
    from tracedrpc.message import Invocation
    from tracedrpc.options import Options
    from tracedrpc.target import Target
    from tracedrpc.telemetry import Telemetry
    from tracedrpc.url import TransportURL

PEER: Final = "memory"
"""What telemetry shows in place of a broker's address."""


class MemoryDriver(Driver):
    """Carries messages within the process."""

    system = PEER

    def __init__(
        self,
        url: TransportURL,
        options: Options,
        telemetry: Telemetry,
        allowed_remote_exmods: list[str],
        default_exchange: str,
    ) -> None:
        hosts = ",".join(host.hostname or "" for host in url.hosts)
        self.broker: MemoryBroker = find_broker(f"{hosts}/{url.virtual_host or ''}")
        self.options = options
        self.telemetry = telemetry
        self.scheduler = Scheduler(telemetry)
        self.default_exchange = default_exchange
        self._waiters = Waiters(telemetry, allowed_remote_exmods, options.max_message_size)
        self._reply_queue = f"reply_{urandom(16).hex()}"
        self._waiters.inquire = self._inquire
        self.broker.open_replies(self._reply_queue, self._waiters)
        self._listeners: list[MemoryListener] = []

    def call(self, invocation: Invocation) -> Any:
        """Send a request and wait for its reply; see `Driver.call`."""
        invocation.reply_queue = self._reply_queue
        message = self._message(invocation)
        waiter = self._waiters.expect(invocation)
        try:
            self._publish(message)
            return self._waiters.result(waiter)
        finally:
            self._waiters.forget(waiter)
            self.broker.withdraw(message)

    def _inquire(self, invocation: Invocation) -> None:
        """Learn how the queue of a call stands that has timed out."""
        counts = self.broker.count((invocation.exchange, invocation.routing_key))
        if counts is None:
            invocation.queue_missing = True
        else:
            invocation.queue_messages, invocation.queue_consumers = counts

    def cast(self, invocation: Invocation) -> None:
        """Send a request that has no reply; see `Driver.cast`.

        When nobody listens it is kept for a server to come, but not longer than its time-out.
        """
        message = self._message(invocation)
        self._publish(message)
        if message.is_parked:
            self.scheduler.after(invocation.deadline.left_s(), partial(self._expire, message))
        else:
            invocation.stage = Stage.DONE

    def listen(self, target: Target) -> Listener:
        """Return a listener for the target's three queues, not yet started."""
        listener = MemoryListener(self, target)
        self._listeners.append(listener)
        return listener

    def cleanup(self) -> None:
        """Close everything; calls under way fail, parked casts are dropped."""
        self._waiters.close()
        self.scheduler.close()
        for listener in list(self._listeners):
            listener.close()
        self.broker.close_replies(self._reply_queue)
        for message in self.broker.withdraw_all(self):
            if message.invocation.request.mode is not Mode.CALL:  # a call's caller is told by its error
                self.drop(message, "closed")

    def forget(self, listener: MemoryListener) -> None:
        """Close this listener no more at the end: it has been closed."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def drop(self, message: Message, reason: str) -> None:
        """Tell that a message of ours is given up."""
        self.telemetry.message_dropped(message.invocation, message.address[1], reason)

    def _message(self, invocation: Invocation) -> Message:
        request = invocation.request
        target, scope, options = request.target, invocation.scope, self.options
        carrier = scope.carrier if scope is not None else NO_CARRIER
        queue = invocation.reply_queue or None
        body = encode_request(request, carrier, queue, carrier_in_context=options.context_carrier)
        now_ns = invocation.acquire_ns = invocation.acquired_ns = monotonic_ns()
        sent_ns = invocation.wall_ns(now_ns)
        headers = request_headers(carrier, sent_ns, request.timeout_s)
        is_fanout = request.mode is Mode.FANOUT
        topic = target.topic or ""
        key = f"{topic}.{target.server}" if target.server and not is_fanout else topic
        invocation.exchange = target.exchange or self.default_exchange
        invocation.routing_key = key
        invocation.body_bytes = len(body)
        invocation.peer = PEER
        address = (invocation.exchange, key)
        return Message(self, invocation, address, body, Properties(headers=headers), is_fanout=is_fanout)

    def _publish(self, message: Message) -> None:
        invocation = message.invocation
        invocation.attempts = 1
        invocation.published_ns = invocation.confirmed_ns = monotonic_ns()
        invocation.stage = Stage.QUEUE_OR_SERVER
        at_least_once = invocation.request.at_least_once
        park = not message.is_fanout and not at_least_once
        if self.broker.publish(message, park=park) or message.is_fanout:
            return
        if at_least_once:
            invocation.stage = Stage.UNROUTABLE
            raise MessageUndeliverable(None, *message.address, message.body)
        if message.is_parked:
            self.telemetry.message_returned(invocation, message.address[1])

    def _expire(self, message: Message) -> None:
        if self.broker.withdraw(message):
            self.drop(message, "unroutable")
