"""The RabbitMQ driver: builds the parts and joins them."""

from __future__ import annotations

import os
import weakref
from time import monotonic, monotonic_ns
from typing import TYPE_CHECKING, Any, Final

from tracedrpc._scheduler import Scheduler
from tracedrpc.driver import Driver
from tracedrpc.drivers.rabbit.connector import Connector
from tracedrpc.drivers.rabbit.courier import Courier
from tracedrpc.drivers.rabbit.errors import ConnectFailed
from tracedrpc.drivers.rabbit.keeper import Keeper
from tracedrpc.drivers.rabbit.listener import RabbitListener
from tracedrpc.drivers.rabbit.names import QueueNames
from tracedrpc.drivers.rabbit.outgoing import Outcome, Outgoing, Shipment
from tracedrpc.drivers.rabbit.pool import ConnectionPool
from tracedrpc.drivers.rabbit.publisher import Publisher
from tracedrpc.drivers.rabbit.questions import ASK_S, Questions
from tracedrpc.drivers.rabbit.replies import Replies
from tracedrpc.drivers.rabbit.topology import fanout_exchange, topic_exchange
from tracedrpc.drivers.waiters import Waiters
from tracedrpc.exceptions import (
    EncodeError,
    InvalidTarget,
    MessageDeliveryFailure,
    MessageUndeliverable,
)
from tracedrpc.message import NO_CARRIER, Mode, Stage
from tracedrpc.wire.request import encode_request

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracedrpc._deadline import Deadline
    from tracedrpc.drivers.rabbit.link import Link
    from tracedrpc.drivers.rabbit.topology import Exchange
    from tracedrpc.message import Invocation, Request
    from tracedrpc.options import Options
    from tracedrpc.target import Target
    from tracedrpc.telemetry import Telemetry
    from tracedrpc.url import TransportURL


MOST_NAME_BYTES: Final = 255
"""AMQP 0-9-1, 4.2.5.3: short strings carry a length of one octet."""

ASKED: Final = frozenset({Stage.CONFIRM, Stage.UNROUTABLE, Stage.QUEUE_OR_SERVER, Stage.REPLY_LOST})
"""Where a call may have died for reasons that its queue tells."""


class RabbitDriver(Driver):
    """Carries requests and replies through RabbitMQ. No I/O until something is sent or listened to."""

    def __init__(
        self, url: TransportURL, options: Options, telemetry: Telemetry,
        allowed_remote_exmods: Sequence[str], default_exchange: str,
    ) -> None:
        self._url = url
        self._options = options
        self._telemetry = telemetry
        self._allowed = allowed_remote_exmods
        self._exchange = default_exchange
        self._exchanges: dict[str, Exchange] = {}
        self._fanouts: dict[str, Exchange] = {}
        self._names = QueueNames(options)
        self._listeners: weakref.WeakSet[RabbitListener] = weakref.WeakSet()
        self._build()
        _drivers.add(self)

    def _build(self) -> None:
        options, telemetry = self._options, self._telemetry
        self.scheduler = Scheduler(telemetry)
        self._courier = Courier(self.scheduler, telemetry)
        self._connector = Connector(self._url, options, telemetry, self._courier.settled)
        self._pool: ConnectionPool[Link] = ConnectionPool(
            self._open_sender, telemetry,
            max_size=options.rpc_conn_pool_size, min_size=options.conn_pool_min_size,
            ttl_s=options.conn_pool_ttl,
        )
        self._keeper = Keeper(self._pool, options, telemetry)
        self._publisher = Publisher(self._pool, self._keeper, self._connector.lookout, options, telemetry)
        self._waiters = Waiters(telemetry, self._allowed, options.max_message_size)
        self._courier.serve(self._publisher, self._waiters)
        self._replies = Replies(self._connector, self._waiters, self._names, options, telemetry)
        self._questions = Questions(self._pool, telemetry)
        self._waiters.on_failed = self._replies.wake
        self._waiters.inquire = self._inquire

    def _open_sender(self, deadline: Deadline) -> Link:
        link = self._connector.open("send", deadline)
        self._keeper.watch()
        return link

    # ---- sending ------------------------------------------------------------------------------

    def call(self, invocation: Invocation) -> Any:
        """Send a request and wait for its reply."""
        replies, waiters = self._replies, self._waiters
        request = invocation.request
        invocation.reply_queue = replies.name
        outgoing = self._outgoing(invocation, replies.name)
        invocation.acquire_ns = monotonic_ns()
        waiter = waiters.expect(invocation)
        try:
            if not replies.is_ready():
                self._await_replies(invocation)
            shipment = Shipment(outgoing, invocation.deadline, invocation)
            self._publisher.send(shipment, invocation.deadline, request.retry)
            return waiters.result(waiter, replies.read_for)
        except MessageDeliveryFailure as failure:
            if invocation.deadline.is_expired():
                raise waiters.give_up(waiter) from failure
            raise
        finally:
            invocation.ended_ns = invocation.ended_ns or monotonic_ns()
            waiters.forget(waiter)

    def _await_replies(self, invocation: Invocation) -> None:
        began_ns = monotonic_ns()
        try:
            self._replies.ensure(invocation.deadline)
        except ConnectFailed as error:
            invocation.stage = Stage.CONNECT
            method = invocation.request.method
            raise MessageDeliveryFailure(f"no reply queue for {method}: {error}") from error
        finally:
            invocation.connect_ns += monotonic_ns() - began_ns

    def _inquire(self, invocation: Invocation) -> None:
        """Learn of a call that has timed out what the broker and the connection of the replies know."""
        is_on_its_way = invocation.published_ns and invocation.stage is not Stage.UNROUTABLE
        if is_on_its_way and not self._replies.is_connected():
            invocation.stage = Stage.REPLY_LOST
        limit_s = min(ASK_S, invocation.deadline.at_s + ASK_S - monotonic())
        if invocation.stage not in ASKED or limit_s <= 0:
            return
        state = self._questions.ask(invocation.routing_key, limit_s)
        if state is None:
            return
        invocation.queue_missing = not state.exists
        if state.exists:
            invocation.queue_messages, invocation.queue_consumers = state.messages, state.consumers

    def cast(self, invocation: Invocation) -> None:
        """Send a request without a reply and wait until the broker has taken it."""
        outgoing = self._outgoing(invocation, None)
        shipment = Shipment(outgoing, invocation.deadline, invocation, is_followed=True)
        request = invocation.request
        try:
            outcome = self._publisher.deliver(shipment, invocation.deadline, request.retry)
            if outcome is Outcome.RETURNED:
                self._not_routed(shipment, outgoing)
            else:
                invocation.stage = Stage.DONE
        finally:
            if shipment.is_followed:
                invocation.ended_ns = monotonic_ns()

    def _not_routed(self, shipment: Shipment, outgoing: Outgoing) -> None:
        invocation = shipment.invocation
        if invocation is not None and invocation.request.at_least_once:
            raise MessageUndeliverable(None, outgoing.exchange.name, outgoing.routing_key, None)
        shipment.is_followed = False
        self._courier.keep_trying(shipment)

    def _outgoing(self, invocation: Invocation, reply_queue: str | None) -> Outgoing:
        request, options = invocation.request, self._options
        target = request.target
        scope = invocation.scope
        carrier = scope.carrier if scope is not None else NO_CARRIER
        body = encode_request(request, carrier, reply_queue, carrier_in_context=options.context_carrier)
        topic = target.topic or ""
        is_fanout = request.mode is Mode.FANOUT
        if is_fanout:
            exchange, key = self._fanout_exchange(topic), ""
        else:
            exchange = self._topic_exchange(target.exchange or self._exchange)
            key = f"{topic}.{target.server}" if target.server else topic
        _check(request, exchange.name, key, len(body), options.max_message_size)
        invocation.exchange, invocation.routing_key = exchange.name, key
        invocation.body_bytes = len(body)
        left_s = invocation.deadline.left_s()
        outgoing = Outgoing(
            exchange, key, body, carrier, request.unique_id, mandatory=not is_fanout,
            expiration_ms=max(1, int(left_s * 1000)) if reply_queue else None,
        )
        name = options.kombu_compression
        return outgoing.compressed(name) if name else outgoing

    def _topic_exchange(self, name: str) -> Exchange:
        exchange = self._exchanges.get(name)
        if exchange is None:
            exchange = self._exchanges[name] = topic_exchange(name, self._options)
        return exchange

    def _fanout_exchange(self, topic: str) -> Exchange:
        exchange = self._fanouts.get(topic)
        if exchange is None:
            exchange = self._fanouts[topic] = fanout_exchange(topic, self._options)
        return exchange

    # ---- listening ----------------------------------------------------------------------------

    def listen(self, target: Target) -> RabbitListener:
        """Return a listener for topic, topic.server and fanout."""
        listener = RabbitListener(
            target, self._exchange, self._connector, self._publisher, self._courier, self._names,
            self._options, self._telemetry,
        )
        self._listeners.add(listener)
        return listener

    # ---- the end ------------------------------------------------------------------------------

    def cleanup(self) -> None:
        """Close everything; calls under way fail."""
        self._waiters.close()
        self._publisher.close()
        self._courier.close()
        self.scheduler.close()
        self._replies.close()
        self._keeper.close()
        self._pool.close()
        _drivers.discard(self)

    def forget(self) -> None:
        """Begin anew in a child process: threads are gone and sockets are the parent's."""
        self._pool.forget()
        self._replies.forget()
        for listener in self._listeners:
            listener.forget()
        self._build()


def _check(request: Request, exchange: str, key: str, size: int, most: int) -> None:
    """Refuse at the door what no broker or server would take."""
    for name in (exchange, f"{key}_fanout_{'0' * 32}"):
        if len(name.encode()) > MOST_NAME_BYTES:
            raise InvalidTarget(f"AMQP names have at most {MOST_NAME_BYTES} bytes", request.target)
    if size > most:
        raise EncodeError("args", f"the request has {size} bytes, max_message_size allows {most}")


_drivers: weakref.WeakSet[RabbitDriver] = weakref.WeakSet()


def _after_fork() -> None:
    for driver in list(_drivers):
        driver.forget()


os.register_at_fork(after_in_child=_after_fork)
