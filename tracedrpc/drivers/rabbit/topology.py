"""Names and properties of exchanges and queues, as oslo.messaging 18.3.1 has them. Pure.

The shared queues follow the original, so that both may declare first. Our own queues (replies,
fanout) are durable with an expiry instead of transient, because RabbitMQ 4.3 refuses queues that
are neither durable nor exclusive; nobody else declares them. See docs/decisions/0003.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracedrpc.options import Options

TRANSIENT_REFUSED: Final = (4, 3)
"""RabbitMQ from this version on refuses transient queues that are not exclusive."""


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
        own: nobody else declares or consumes it; deleted on a clean close.
    """

    name: str
    exchange: Exchange | None
    routing_key: str
    durable: bool = False
    auto_delete: bool = False
    own: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict)


DEFAULT_EXCHANGE: Final = Exchange("", "direct", durable=True)


def topic_exchange(name: str, options: Options) -> Exchange:
    """Return the exchange that calls and casts go through."""
    durable = options.amqp_durable_queues or options.rabbit_quorum_queue
    return Exchange(name, "topic", durable=durable, auto_delete=options.amqp_auto_delete)


def fanout_exchange(topic: str) -> Exchange:
    """Return the exchange of a topic's fanout casts."""
    return Exchange(f"{topic}_fanout", "fanout", auto_delete=True)


def server_queues(exchange: str, topic: str, server: str, unique: str, options: Options) -> list[Queue]:
    """Return what a server consumes: topic, topic.server and its own fanout queue."""
    shared = topic_exchange(exchange, options)
    names = (topic, f"{topic}.{server}")
    return [
        *(
            Queue(
                name, shared, name,
                durable=shared.durable, auto_delete=options.amqp_auto_delete,
                arguments={"x-queue-type": "quorum"} if options.rabbit_quorum_queue else {},
            )
            for name in names
        ),
        Queue(
            f"{topic}_fanout_{unique}", fanout_exchange(topic), topic,
            durable=True, own=True, arguments=_expiry(options),
        ),
    ]


def reply_queue(unique: str, options: Options) -> Queue:
    """Return the queue that a transport's replies come to."""
    return Queue(f"reply_{unique}", None, "", durable=True, own=True, arguments=_expiry(options))


def _expiry(options: Options) -> dict[str, Any]:
    ttl_s = options.rabbit_transient_queues_ttl
    return {"x-expires": ttl_s * 1000} if ttl_s else {}


def for_broker(queue: Queue, version: tuple[int, ...]) -> Queue:
    """Return the queue as a broker of that version takes it."""
    if queue.durable or version < TRANSIENT_REFUSED:
        return queue
    return replace(queue, durable=True)
