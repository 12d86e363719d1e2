"""Where messages go, as attributes: exchanges, routing keys, queues, and the brokers' addresses.

What is the same for every message of one kind is made once. All tables are bounded.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from tracedrpc import semconv as names
from tracedrpc._safe import SafeText, safe
from tracedrpc.message import Mode
from tracedrpc_otel.records import Fixed, word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracedrpc.clocks import Quality
    from tracedrpc.driver import Incoming
    from tracedrpc.message import Invocation
    from tracedrpc_otel.records import Attributes, Value

REPLY_TEMPLATE: Final = SafeText("reply_{id}")
_MOST: Final = 1024

_PUBLISH: Final = SafeText("publish")
_SEND: Final = SafeText("send")
_RECEIVE: Final = SafeText("receive")


def destination(exchange: str, routing_key: str, queue: str = "") -> SafeText:
    """Return `{exchange}:{routing key}[:{queue}]` as the conventions for RabbitMQ write it.

    Empty parts are left out, and so is a queue that is called like the routing key.
    """
    parts = (exchange, routing_key, "" if queue == routing_key else queue)
    return safe(":".join(part for part in parts if part))


# ---- requests ---------------------------------------------------------------------------------


def template(invocation: Invocation) -> SafeText:
    """Return the destination of a request with the server's name left open."""
    request = invocation.request
    target = request.target
    return _template(
        invocation.exchange, invocation.routing_key, target.topic or "", bool(target.server), request.mode,
    )


@lru_cache(_MOST)
def _template(exchange: str, routing_key: str, topic: str, has_server: bool, mode: Mode) -> SafeText:
    if mode is Mode.FANOUT:
        return destination(exchange, routing_key and f"{topic}_fanout")
    return destination(exchange, f"{topic}.{{server}}" if has_server else topic)


def queue_template(incoming: Incoming) -> SafeText:
    """Return the destination of a request that was received, with this server's name left open."""
    return _queue_template(incoming.exchange, incoming.routing_key, incoming.topic)


@lru_cache(_MOST)
def _queue_template(exchange: str, routing_key: str, topic: str) -> SafeText:
    is_directed = routing_key.startswith(f"{topic}.")
    return destination(exchange, f"{topic}.{{server}}" if is_directed else routing_key)


def publish(invocation: Invocation, template: SafeText) -> Fixed:
    """Return what the conventions for messaging say about the publish of all such requests."""
    return _publish(
        invocation.system, invocation.peer, invocation.address,
        invocation.exchange, invocation.routing_key, template,
    )


@lru_cache(_MOST)
def _publish(
    system: str, peer: str, address: str, exchange: str, routing_key: str, template: SafeText,
) -> Fixed:
    return Fixed({
        names.MESSAGING_SYSTEM: safe(system),
        names.OPERATION_NAME: _PUBLISH,
        names.OPERATION_TYPE: _SEND,
        **_broker(peer, address),
        **_sent_to(exchange, routing_key, template),
    })


def message_ids(invocation: Invocation) -> Attributes:
    """Return which message it was, and of which conversation."""
    request = invocation.request
    attributes: Attributes = {names.MESSAGE_ID: safe(request.unique_id)}
    if request.msg_id:
        attributes[names.CONVERSATION_ID] = safe(request.msg_id)
    return attributes


def sent_to(invocation: Invocation) -> Attributes:
    """Return which message it is and where it went."""
    where = _sent_to(invocation.exchange, invocation.routing_key, template(invocation))
    return {**where, names.MESSAGE_ID: safe(invocation.request.unique_id)}


@lru_cache(_MOST)
def _sent_to(exchange: str, routing_key: str, template: SafeText) -> Mapping[str, Value]:
    attributes: Attributes = {
        names.DESTINATION: destination(exchange, routing_key),
        names.DESTINATION_TEMPLATE: template,
    }
    if routing_key:
        attributes[names.ROUTING_KEY] = safe(routing_key)
    return attributes


def received_from(incoming: Incoming) -> Attributes:
    """Return what the conventions for messaging say about one received request."""
    attributes: Attributes = {
        names.DESTINATION: destination(incoming.exchange, incoming.routing_key, incoming.queue),
    }
    if incoming.routing_key:
        attributes[names.ROUTING_KEY] = safe(incoming.routing_key)
    if incoming.received.unique_id:
        attributes[names.MESSAGE_ID] = safe(incoming.received.unique_id)
    return attributes


# ---- replies ----------------------------------------------------------------------------------


def reply_received(system: str, queue: str) -> Fixed:
    """Return what the conventions for messaging say about the receiving of all replies of a queue."""
    return _reply(system, _RECEIVE, _RECEIVE, queue)


def reply_published(system: str, queue: str | None) -> Fixed:
    """Return what the conventions for messaging say about the publish of all replies to a queue."""
    return _reply(system, _PUBLISH, _SEND, queue or "")


def reply_queued(system: str, queue: str, quality: Quality) -> Attributes:
    """Return what is to be said about a reply's time on its way and in its queue."""
    attributes: Attributes = {
        names.SYNTHETIC: True,
        names.QUEUE_QUALITY: word(quality),
        names.MESSAGING_SYSTEM: safe(system),
        names.DESTINATION_TEMPLATE: REPLY_TEMPLATE,
    }
    if queue:
        attributes[names.DESTINATION] = safe(queue)
    return attributes


def request_queued(incoming: Incoming, quality: Quality) -> Attributes:
    """Return what is to be said about a request's time in its queue."""
    return {
        names.SYNTHETIC: True,
        names.QUEUE_QUALITY: word(quality),
        names.MESSAGING_SYSTEM: safe(incoming.system),
        names.DESTINATION: destination(incoming.exchange, incoming.routing_key, incoming.queue),
        names.DESTINATION_TEMPLATE: queue_template(incoming),
    }


@lru_cache(_MOST)
def _reply(system: str, operation: SafeText, operation_type: SafeText, queue: str) -> Fixed:
    attributes: Attributes = {
        names.MESSAGING_SYSTEM: safe(system),
        names.OPERATION_NAME: operation,
        names.OPERATION_TYPE: operation_type,
        names.DESTINATION_TEMPLATE: REPLY_TEMPLATE,
        names.DESTINATION_TEMPORARY: True,
    }
    if queue:
        attributes[names.DESTINATION] = safe(queue)
    return Fixed(attributes)


def conversation(msg_id: str | None) -> Attributes:
    """Return which call a reply belongs to."""
    return {names.CONVERSATION_ID: safe(msg_id)} if msg_id else {}


# ---- brokers ----------------------------------------------------------------------------------


def broker(peer: str, address: str) -> Attributes:
    """Return which broker it was: `server.*` as configured and `network.peer.*` as used.

    Args:
        peer: "host:port".
        address: the network address, "" when it is not known.
    """
    return dict(_broker(peer, address))


def shared_broker(peer: str, address: str) -> Fixed:
    """Return the same, to be shared."""
    return _broker(peer, address)


def address_attributes(peer: str) -> Attributes:
    """Return `server.address` and `server.port` of "host:port", a broker as configured."""
    return dict(_broker(peer, ""))


@lru_cache(_MOST)
def _broker(peer: str, address: str) -> Fixed:
    host, _, port = peer.rpartition(":")
    has_port = bool(host) and port.isdecimal()
    attributes: Attributes = {}
    if peer:
        attributes[names.SERVER_ADDRESS] = safe(host.strip("[]") if has_port else peer)
    if has_port:
        attributes[names.SERVER_PORT] = int(port)
    if address:
        attributes[names.PEER_ADDRESS] = safe(address)
        if has_port:
            attributes[names.PEER_PORT] = int(port)
    return Fixed(attributes)
