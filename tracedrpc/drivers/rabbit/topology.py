"""Names and properties of exchanges and queues, as oslo.messaging 18.3.1 has them. Pure.

What others declare too follows the original, so that either may come first: the exchanges, the shared
queues, a fanout stream, and queues that are named after host and process. Queues of random names
are our own, and durable with an expiry instead of transient, because RabbitMQ 4.3 refuses queues
that are neither durable nor exclusive. See docs/decisions/0003.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracedrpc.options import Options

TRANSIENT_REFUSED: Final = (4, 3)
"""RabbitMQ from this version on refuses transient queues that are not exclusive."""
MIRRORS_GONE: Final = (4, 0)
"""RabbitMQ from this version on has no mirrored queues, and nothing to tell their consumers."""

_TYPE: Final = "x-queue-type"
_CANCEL: Final = "x-cancel-on-ha-failover"
OFFSET: Final = "x-stream-offset"
"""The argument of a consumer that says where in a stream it begins."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """An exchange to publish to or bind to; the name "" is the default exchange."""

    name: str
    kind: str = "topic"
    durable: bool = False
    auto_delete: bool = False


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue to consume from, with the exchange and key it is bound by (None: no binding).

    Attributes:
        own: nobody else declares or consumes it, now or later; deleted on a clean close.
        consumer_arguments: how to consume from it.
    """

    name: str
    exchange: Exchange | None
    routing_key: str
    durable: bool = False
    auto_delete: bool = False
    own: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict)
    consumer_arguments: Mapping[str, Any] = field(default_factory=dict)


DEFAULT_EXCHANGE: Final = Exchange("", "direct", durable=True)


# ---- exchanges --------------------------------------------------------------------------------


def topic_exchange(name: str, options: Options) -> Exchange:
    """Return the exchange that calls and casts go through."""
    durable = options.amqp_durable_queues or options.rabbit_quorum_queue
    return Exchange(name, "topic", durable=durable, auto_delete=options.amqp_auto_delete)


def fanout_exchange(topic: str, options: Options) -> Exchange:
    """Return the exchange of a topic's fanout casts."""
    durable = options.rabbit_transient_quorum_queue or options.rabbit_stream_fanout
    return Exchange(f"{topic}_fanout", "fanout", durable=durable, auto_delete=True)


# ---- queues -----------------------------------------------------------------------------------


def shared_queues(exchange: str, topic: str, server: str, options: Options) -> list[Queue]:
    """Return what the servers of a topic share: topic, and topic.server."""
    shared = topic_exchange(exchange, options)
    return [
        Queue(
            name, shared, name, durable=shared.durable, auto_delete=options.amqp_auto_delete,
            arguments=_kind(options, is_quorum=options.rabbit_quorum_queue),
            consumer_arguments=_consumer(options, is_quorum=options.rabbit_quorum_queue),
        )
        for name in (topic, f"{topic}.{server}")
    ]


def fanout_queue(topic: str, unique: str, options: Options) -> Queue:
    """Return the queue that one server's fanout casts come to."""
    return replace(
        _transient(f"{topic}_fanout_{unique}", options),
        exchange=fanout_exchange(topic, options), routing_key=topic,
    )


def fanout_stream(topic: str, options: Options) -> Queue:
    """Return the stream that the fanout casts of all servers of a topic come to."""
    ttl_s = options.rabbit_transient_queues_ttl
    arguments = {_TYPE: "stream"} | ({"x-max-age": f"{ttl_s}s"} if ttl_s else {})
    exchange = fanout_exchange(topic, options)
    return Queue(f"{topic}_fanout", exchange, topic, durable=True, arguments=arguments)


def reply_queue(unique: str, options: Options) -> Queue:
    """Return the queue that a transport's replies come to."""
    return _transient(f"reply_{unique}", options)


def _transient(name: str, options: Options) -> Queue:
    is_quorum, is_named = options.rabbit_transient_quorum_queue, options.use_queue_manager
    ttl_s = options.rabbit_transient_queues_ttl
    return Queue(
        name, None, "", durable=is_quorum or not is_named, own=not is_named,
        arguments=_kind(options, is_quorum=is_quorum) | ({"x-expires": ttl_s * 1000} if ttl_s else {}),
        consumer_arguments=_consumer(options, is_quorum=is_quorum),
    )


def _kind(options: Options, *, is_quorum: bool) -> dict[str, Any]:
    """Return the arguments that make it a classic queue, a mirrored one, or a quorum queue."""
    if not is_quorum:
        return {"x-ha-policy": "all"} if options.rabbit_ha_queues else {}
    limits = {
        "x-delivery-limit": options.rabbit_quorum_delivery_limit,
        "x-max-in-memory-length": options.rabbit_quorum_max_memory_length,
        "x-max-in-memory-bytes": options.rabbit_quorum_max_memory_bytes,
    }
    return {_TYPE: "quorum"} | {name: limit for name, limit in limits.items() if limit}


def _consumer(options: Options, *, is_quorum: bool) -> dict[str, Any]:
    """Return how to consume; RabbitMQ refuses the argument for a quorum queue, which needs it not."""
    return {_CANCEL: True} if options.enable_cancel_on_failover and not is_quorum else {}


# ---- brokers ----------------------------------------------------------------------------------


def for_broker(queue: Queue, version: tuple[int, ...]) -> Queue:
    """Return the queue as a broker of that version takes it."""
    if queue.durable or version < TRANSIENT_REFUSED:
        return queue
    return replace(queue, durable=True)


def consuming_for_broker(arguments: Mapping[str, Any], version: tuple[int, ...]) -> dict[str, Any]:
    """Return the arguments of a consumer as a broker of that version takes them."""
    return {
        name: value for name, value in arguments.items() if version < MIRRORS_GONE or name != _CANCEL
    }
