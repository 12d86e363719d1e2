"""Exchanges and queues inside one process: what a RabbitMQ node is to the memory driver."""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Final, Protocol
from weakref import WeakValueDictionary

from tracedrpc.message import Stage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracedrpc.drivers.waiters import Waiters
    from tracedrpc.message import Invocation
    from tracedrpc.wire.body import Properties

    Address = tuple[str, str]
    """Exchange and routing key."""

_brokers: Final[WeakValueDictionary[str, MemoryBroker]] = WeakValueDictionary()
_brokers_lock: Final = threading.Lock()


class Message:
    """One message on its way, as its bytes."""

    __slots__ = ("address", "body", "invocation", "is_fanout", "is_parked", "properties", "sender")

    def __init__(
        self, sender: Any, invocation: Invocation, address: Address, body: bytes, properties: Properties,
        *, is_fanout: bool,
    ) -> None:
        self.sender = sender
        """The driver that sent it."""
        self.invocation = invocation
        self.address = address
        self.body = body
        self.properties = properties
        self.is_fanout = is_fanout
        self.is_parked = False
        """It waits for somebody to declare a queue for it."""


class Consumer(Protocol):
    """What a broker hands messages to."""

    def reserve(self) -> bool:
        """Reserve a worker; asked under the broker's lock."""
        ...

    def take(self, queue: MemoryQueue, message: Message) -> None:
        """Have the message worked on by the worker reserved before."""
        ...


class MemoryQueue:
    """One queue; only the broker touches it, under its lock."""

    __slots__ = ("address", "consumers", "fanout", "messages", "owners")

    def __init__(self, address: Address, fanout: Address | None = None) -> None:
        self.address = address
        self.fanout = fanout
        """The exchange and topic whose casts to everybody it receives, or None."""
        self.messages: deque[Message] = deque()
        self.owners: set[Consumer] = set()
        """Who has declared it; it goes when the last one does."""
        self.consumers: deque[Consumer] = deque()

    @property
    def name(self) -> str:
        """The queue's name, as in RabbitMQ the routing key."""
        return self.address[1]

    def next_consumer(self) -> Consumer | None:
        """Reserve a worker for the first message at the next consumer that has one free."""
        for _ in range(len(self.consumers) if self.messages else 0):
            self.consumers.rotate(-1)
            if self.consumers[-1].reserve():
                return self.consumers[-1]
        return None


class MemoryBroker:
    """Routes messages. It decides under its lock and hands over outside; it has no thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: dict[Address, MemoryQueue] = {}
        self._fanouts: dict[Address, list[MemoryQueue]] = {}
        self._parked: dict[Address, deque[Message]] = {}
        self._replies: dict[str, Waiters] = {}

    # ---- queues -------------------------------------------------------------------------------

    def declare(self, owner: Consumer, exchange: str, topic: str, server: str) -> list[MemoryQueue]:
        """Declare the three queues of a server and return them: topic, topic.server, fanout."""
        with self._lock:
            shared = [self._declare((exchange, name)) for name in (topic, f"{topic}.{server}")]
            own = MemoryQueue((exchange, f"{topic}_fanout_{server}"), (exchange, topic))
            self._fanouts.setdefault((exchange, topic), []).append(own)
            queues = [*shared, own]
            for queue in queues:
                queue.owners.add(owner)
        return queues

    def consume(self, consumer: Consumer, queues: Iterable[MemoryQueue]) -> None:
        """Let a consumer take from its queues; what waits there arrives."""
        with self._lock:
            for queue in queues:
                queue.consumers.append(consumer)
        self.hand_over(queues)

    def _declare(self, address: Address) -> MemoryQueue:
        queue = self._queues.setdefault(address, MemoryQueue(address))
        for message in self._parked.pop(address, ()):
            message.is_parked = False
            message.invocation.stage = Stage.QUEUE_OR_SERVER
            message.invocation.published_ns = monotonic_ns()
            queue.messages.append(message)
        return queue

    def cancel(self, consumer: Consumer, queues: Iterable[MemoryQueue]) -> None:
        """Consume no more; the queues stay and keep what comes."""
        with self._lock:
            for queue in queues:
                if consumer in queue.consumers:
                    queue.consumers.remove(consumer)

    def delete(self, owner: Consumer, queues: Iterable[MemoryQueue]) -> list[Message]:
        """Give queues up; those that nobody else has declared go.

        Returns:
            messages that are lost. Calls are not: they wait for another server.
        """
        lost: list[Message] = []
        with self._lock:
            for queue in queues:
                queue.owners.discard(owner)
                if not queue.owners:
                    lost += self._delete(queue)
        return lost

    def _delete(self, queue: MemoryQueue) -> list[Message]:
        if queue.fanout is not None:
            self._fanouts[queue.fanout].remove(queue)
        else:
            self._queues.pop(queue.address, None)
        for message in queue.messages:
            if message.invocation.request.msg_id is not None:
                self._park(message)
        return [message for message in queue.messages if not message.is_parked]

    def count(self, address: Address) -> tuple[int, int] | None:
        """Return how many messages wait in a queue and how many consumers it has, or None without one."""
        with self._lock:
            queue = self._queues.get(address)
            return None if queue is None else (len(queue.messages), len(queue.consumers))

    # ---- requests -----------------------------------------------------------------------------

    def publish(self, message: Message, *, park: bool) -> bool:
        """Route a message and hand it over.

        Args:
            message: what to send.
            park: keep it until somebody declares a queue for it, when nobody has yet.

        Returns:
            False when no queue took it.
        """
        with self._lock:
            queues = self._route(message)
            for queue in queues:
                queue.messages.append(message)
            if not queues and park:
                self._park(message)
        self.hand_over(queues)
        return bool(queues)

    def _route(self, message: Message) -> list[MemoryQueue]:
        if message.is_fanout:
            return list(self._fanouts.get(message.address, ()))
        queue = self._queues.get(message.address)
        return [] if queue is None else [queue]

    def _park(self, message: Message) -> None:
        message.is_parked = True
        invocation = message.invocation
        invocation.stage = Stage.UNROUTABLE
        invocation.returned_ns = invocation.returned_ns or monotonic_ns()
        self._parked.setdefault(message.address, deque()).append(message)

    def hand_over(self, queues: Iterable[MemoryQueue]) -> None:
        """Let consumers take messages as long as they have workers free."""
        for queue in queues:
            while (pair := self._next(queue)) is not None:
                consumer, message = pair
                consumer.take(queue, message)

    def _next(self, queue: MemoryQueue) -> tuple[Consumer, Message] | None:
        with self._lock:
            consumer = queue.next_consumer()
            return None if consumer is None else (consumer, queue.messages.popleft())

    def withdraw(self, message: Message) -> bool:
        """Take a parked message back; False when it is not parked (any more)."""
        with self._lock:
            if not message.is_parked:
                return False
            self._unpark(message)
            return True

    def withdraw_all(self, sender: object) -> list[Message]:
        """Take back every parked message of one sender."""
        with self._lock:
            parked = [message for queue in self._parked.values() for message in queue]
            own = [message for message in parked if message.sender is sender]
            for message in own:
                self._unpark(message)
        return own

    def _unpark(self, message: Message) -> None:
        message.is_parked = False
        waiting = self._parked[message.address]
        waiting.remove(message)
        if not waiting:
            del self._parked[message.address]

    # ---- replies ------------------------------------------------------------------------------

    def open_replies(self, queue: str, waiters: Waiters) -> None:
        """Create a reply queue."""
        self._replies[queue] = waiters

    def close_replies(self, queue: str) -> None:
        """Delete a reply queue."""
        self._replies.pop(queue, None)

    def reply_waiters(self, queue: str) -> Waiters | None:
        """Return who reads a reply queue; None when it does not exist."""
        return self._replies.get(queue)


def find_broker(name: str) -> MemoryBroker:
    """Return the process's broker of that name; it lives as long as somebody holds it."""
    with _brokers_lock:
        broker = _brokers.get(name)
        if broker is None:
            broker = _brokers[name] = MemoryBroker()
        return broker
