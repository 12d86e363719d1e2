"""A broker's exchanges and queues, as far as RPC needs them; where it loses something, it says so."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from amqp import Message as Properties

from tests.simulated.network import Weather, Wire
from tests.simulated.world import World

HEARTBEAT_S = 15
RETURN_CODE = 312


@dataclass
class Message:
    """A message: its content header and body as they came."""

    exchange: str
    key: str
    header: bytes
    body: bytes
    message_id: str
    dies_ns: int | None
    redelivered: bool = False


@dataclass
class Queue:
    name: str
    durable: bool
    auto_delete: bool
    expires_ms: int | None = None
    idle_since_ns: int = 0
    messages: deque = field(default_factory=deque)
    consumers: list = field(default_factory=list)


@dataclass
class Exchange:
    name: str
    kind: str
    durable: bool
    auto_delete: bool
    bindings: list = field(default_factory=list)


class Broker:
    """Everything that a broker knows; `Session` speaks for it on one connection."""

    def __init__(self, world: World, weather: Weather) -> None:
        self.world = world
        self.weather = weather
        self.queues: dict[str, Queue] = {}
        self.exchanges: dict[str, Exchange] = {}
        self.sessions: list = []
        self.is_up = True
        self.has_alarm = False
        self.twice_from_now = False
        """It delivers each message a second time, as after a failover."""
        self.lost: set[str] = set()
        """Ids of messages that it took and then lost, by its own or somebody's doing."""

    # ---- connections --------------------------------------------------------------------------

    def connect(self) -> Wire:
        """Accept a connection.

        Raises:
            ConnectionRefusedError: it is down.
        """
        from tests.simulated.session import Session

        if not self.is_up:
            raise ConnectionRefusedError(111, "connection refused")
        wire = Wire(self.world, self.weather, lambda wire: Session(self, wire))
        self.sessions.append(wire.session)
        return wire

    # ---- routing ------------------------------------------------------------------------------

    def message(self, exchange: str, key: str, header: bytes, body: bytes) -> Message:
        properties = Properties()
        properties._load_properties(60, header, 12)
        told = properties.properties
        limit_ms = told.get("expiration")
        dies_ns = None if limit_ms is None else self.world.now_ns + int(limit_ms) * 1_000_000
        return Message(exchange, key, header, body, told.get("message_id", ""), dies_ns)

    def route(self, message: Message) -> bool:
        """Put a message into its queues; False when there is none."""
        found = self._queues_for(message.exchange, message.key)
        for queue in found:
            queue.messages.extend([message] * (1 + self.twice_from_now))
            self.feed(queue)
        return bool(found)

    def _queues_for(self, exchange: str, key: str) -> list[Queue]:
        if not exchange:
            return [self.queues[key]] if key in self.queues else []
        known = self.exchanges[exchange]
        names = [queue for bound, queue in known.bindings if known.kind == "fanout" or bound == key]
        return [self.queues[name] for name in dict.fromkeys(names)]

    def feed(self, queue: Queue) -> None:
        """Hand messages to consumers that may have more, one after the other."""
        while queue.messages:
            first = queue.messages[0]
            if first.dies_ns is not None and first.dies_ns <= self.world.now_ns:
                queue.messages.popleft()
                continue
            ready = [consumer for consumer in queue.consumers if consumer.has_room()]
            if not ready:
                return
            consumer = ready[0]
            queue.consumers.remove(consumer)
            queue.consumers.append(consumer)
            consumer.deliver(queue.messages.popleft())

    def requeue(self, name: str, message: Message) -> None:
        """Take back what was delivered and not acknowledged."""
        queue = self.queues.get(name)
        if queue is None:
            self.lost.add(message.message_id)
            return
        message.redelivered = True
        queue.messages.appendleft(message)

    # ---- objects ------------------------------------------------------------------------------

    def delete_queue(self, name: str) -> int:
        """Delete a queue; its consumers are told."""
        queue = self.queues.pop(name, None)
        if queue is None:
            return 0
        self.lost.update(message.message_id for message in queue.messages)
        for exchange in list(self.exchanges.values()):
            self._unbind(exchange, name)
        for consumer in list(queue.consumers):
            consumer.cancelled()
        return len(queue.messages)

    def _unbind(self, exchange: Exchange, queue: str) -> None:
        had = bool(exchange.bindings)
        exchange.bindings = [pair for pair in exchange.bindings if pair[1] != queue]
        if had and not exchange.bindings and exchange.auto_delete:
            self.exchanges.pop(exchange.name, None)

    def drop_consumer(self, consumer) -> None:
        """End a consumer."""
        queue = self.queues.get(consumer.queue)
        if queue is not None and consumer in queue.consumers:
            queue.consumers.remove(consumer)
            if queue.auto_delete and not queue.consumers:
                self.delete_queue(queue.name)
            else:
                self.expire_later(queue)

    def expire_later(self, queue: Queue) -> None:
        """Delete a queue that nobody uses for as long as it says."""
        if queue.expires_ms is not None and not queue.consumers:
            queue.idle_since_ns = since_ns = self.world.now_ns
            self.world.after(queue.expires_ms / 1e3, lambda: self._expire(queue, since_ns))

    def _expire(self, queue: Queue, since_ns: int) -> None:
        is_idle = not queue.consumers and queue.idle_since_ns == since_ns
        if is_idle and self.queues.get(queue.name) is queue:
            self.delete_queue(queue.name)

    def has_work(self) -> bool:
        """Tell whether messages wait or are in somebody's hands."""
        channels = [channel for session in self.sessions for channel in session.channels.values()]
        return any(queue.messages for queue in self.queues.values()) or any(each.unacked for each in channels)

    # ---- troubles -----------------------------------------------------------------------------

    def stop(self) -> None:
        """Go down: every connection breaks, what is not durable is gone."""
        self.is_up = False
        for session in list(self.sessions):
            session.wire.cut()
            session.lost()
        for queue in [queue for queue in self.queues.values() if not queue.durable]:
            self.delete_queue(queue.name)
        for queue in self.queues.values():  # messages here are transient; durable queues stay, empty
            self.lost.update(message.message_id for message in queue.messages)
            queue.messages.clear()
        self.exchanges = {name: each for name, each in self.exchanges.items() if each.durable}

    def start(self) -> None:
        self.is_up = True

    def alarm(self, is_on: bool) -> None:
        """Take no more messages, or take them again."""
        self.has_alarm = is_on
        for session in list(self.sessions):
            session.alarm(is_on)
