"""A request as a worker gets it from RabbitMQ, and the way of its reply."""

from __future__ import annotations

import os
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Final

from tracedrpc._deadline import Deadline
from tracedrpc.driver import Incoming
from tracedrpc.drivers.rabbit.outgoing import TRANSIENT, Outgoing, Shipment
from tracedrpc.drivers.rabbit.topology import DEFAULT_EXCHANGE
from tracedrpc.exceptions import EncodeError, MessageDeliveryFailure
from tracedrpc.message import NO_CARRIER, ServerTimeline
from tracedrpc.wire.failure import serialize_failure
from tracedrpc.wire.headers import heartbeat_headers, reply_headers
from tracedrpc.wire.reply import encode_failure, encode_heartbeat, encode_result

if TYPE_CHECKING:
    from tracedrpc.drivers.rabbit.courier import Courier
    from tracedrpc.drivers.rabbit.link import Delivery
    from tracedrpc.drivers.rabbit.publisher import Publisher
    from tracedrpc.message import Received
    from tracedrpc.options import Options

HAND_OVER_S: Final = 2.0
"""How long a worker may spend on handing over a reply; the courier goes on after it."""


class RabbitIncoming(Incoming):
    """One request; its worker replies, the scheduler's thread sends heartbeats."""

    def __init__(
        self, received: Received, delivery: Delivery, topic: str, server: str,
        publisher: Publisher, courier: Courier, options: Options, slow_ns: int = 0,
    ) -> None:
        self.received = received
        self.topic = topic
        self.slow_ns = slow_ns
        self.timeline = ServerTimeline(delivery.received_ns)
        self.redelivered = delivery.redelivered
        self.queue = delivery.consumer
        self.exchange = delivery.exchange
        self.routing_key = delivery.routing_key
        self.body_bytes = len(delivery.body)
        self._server = server
        self._publisher = publisher
        self._courier = courier
        self._options = options

    def reply(self, result: Any) -> None:
        """Send the result."""
        if self.received.msg_id is not None:
            unique_id = os.urandom(16).hex()
            body = encode_result(self.received.msg_id, unique_id, result)
            most = self._options.max_message_size
            if len(body) > most:
                text = f"the reply has {len(body)} bytes, max_message_size allows {most}"
                raise EncodeError("result", text)
            self._send(unique_id, body)

    def fail(self, error: BaseException) -> None:
        """Send the exception."""
        if self.received.msg_id is not None:
            unique_id = os.urandom(16).hex()
            self._send(unique_id, encode_failure(self.received.msg_id, unique_id, serialize_failure(error)))

    def heartbeat(self) -> None:
        """Tell the caller that the request is being worked on; lost heartbeats are not sent again."""
        if self.received.msg_id is None:
            return
        unique_id = os.urandom(16).hex()
        body = encode_heartbeat(self.received.msg_id, unique_id)
        deadline = Deadline.after(min(HAND_OVER_S, (self.received.monitor_timeout_s or 2.0) / 2))
        headers = heartbeat_headers(self._server, self.scope.carrier if self.scope else NO_CARRIER)
        shipment = Shipment(self._outgoing(unique_id, body, headers), deadline, is_followed=True)
        try:
            self._publisher.send(shipment, deadline, retry=0)
        except MessageDeliveryFailure:
            return

    def _send(self, unique_id: str, body: bytes) -> None:
        carrier = self.scope.carrier if self.scope else NO_CARRIER
        headers = reply_headers(self.timeline.stamp_reply(self._server), carrier)
        shipment = Shipment(self._outgoing(unique_id, body, headers), self._worth_sending())
        try:
            self._publisher.send(shipment, Deadline.after(HAND_OVER_S), retry=0)
            self.timeline.handed_ns = monotonic_ns()
        except MessageDeliveryFailure:
            self._courier.send_later(shipment, 0.0)

    def _worth_sending(self) -> Deadline:
        return Deadline.after(self._options.kombu_missing_consumer_retry_timeout)

    def _outgoing(self, unique_id: str, body: bytes, headers: dict[str, str]) -> Outgoing:
        outgoing = Outgoing(
            DEFAULT_EXCHANGE, self.received.reply_queue or "", body, headers, unique_id,
            delivery_mode=TRANSIENT,
        )
        name = self._options.kombu_compression
        return outgoing.compressed(name) if name else outgoing
