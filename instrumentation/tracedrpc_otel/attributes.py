"""Names and attributes that are the same for every call of one method, made once.

A client can be made to call anything and a server can be sent anything, so the tables are bounded:
what does not fit is told under the one name `_OTHER`, with the true name as an attribute.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar

from opentelemetry.trace import SpanKind

from tracedrpc import semconv as names
from tracedrpc._safe import safe
from tracedrpc.message import Mode
from tracedrpc_otel.records import Start

if TYPE_CHECKING:
    from collections.abc import Hashable

    from tracedrpc.driver import Incoming
    from tracedrpc.message import Invocation
    from tracedrpc_otel.records import Attributes

TABLE_LIMIT: Final = 1000
NAME_LIMIT: Final = 128
"""Longest method in a span's name, in characters."""

REPLY_TEMPLATE: Final = "reply_{id}"
EXCEPTION_EVENT: Final = "exception"

REMOTE_ERROR: Final = "REMOTE_ERROR"
TIMEOUT: Final = "TIMEOUT"
UNDELIVERABLE: Final = "UNDELIVERABLE"
"""Values of `rpc.response.status_code`; oslo.messaging's protocol has none of its own."""

Key = TypeVar("Key", bound="Hashable")
Value = TypeVar("Value")


class Table(Generic[Key, Value]):
    """Remembers what was made for the first `limit` keys. Threads may at worst make one twice."""

    def __init__(self, limit: int = TABLE_LIMIT) -> None:
        self._limit = limit
        self._kept: dict[Key, Value] = {}

    def get(self, key: Key) -> Value | None:
        """Return what is kept for a key."""
        return self._kept.get(key)

    def keep(self, key: Key, value: Value) -> bool:
        """Keep a value; False when the table is full."""
        if len(self._kept) >= self._limit and key not in self._kept:
            return False
        self._kept[key] = value
        return True

    def __len__(self) -> int:
        return len(self._kept)


_Client = tuple[str | None, str | None, str, Mode, str]
_Server = tuple[str, str | None, str, Mode, str]


class ClientStarts:
    """How the spans of each (topic, namespace, method, mode) begin on the client."""

    def __init__(self, limit: int = TABLE_LIMIT) -> None:
        self._table: Table[_Client, Start] = Table(limit)

    def of(self, invocation: Invocation) -> Start:
        """Return the start of a call's or cast's span."""
        request, system = invocation.request, invocation.system
        target = request.target
        key = (target.topic, target.namespace, request.method, request.mode, system)
        start = self._table.get(key)
        if start is not None:
            return start
        method = method_name(*key[:3])
        start = _client_start(method, request.mode, system)
        if self._table.keep(key, start):
            return start
        return _other(_client_start(names.OTHER, request.mode, system), method)


class ServerStarts:
    """How the spans of each (topic, namespace, method, mode) begin on the server.

    Only methods that exist are kept, or a flood of made-up ones would push out the true ones: the
    scope calls `keep` when a request's method was found.
    """

    def __init__(self, limit: int = TABLE_LIMIT) -> None:
        self._table: Table[_Server, Start] = Table(limit)

    def of(self, incoming: Incoming) -> Start:
        """Return the start of a request's span."""
        key = _server_key(incoming)
        start = self._table.get(key)
        return start if start is not None else _server_start(method_name(*key[:3]), *key[3:])

    def keep(self, incoming: Incoming, start: Start) -> bool:
        """Remember a method that was found; False when there are too many already."""
        return self._table.keep(_server_key(incoming), start)

    def other(self, mode: Mode) -> str:
        """Return the name of the span of a request whose method must not name it."""
        return _server_start(names.OTHER, mode, "").name


def _server_key(incoming: Incoming) -> _Server:
    received = incoming.received
    return (incoming.topic, received.namespace, received.method, received.mode, incoming.system)


def method_name(topic: str | None, namespace: str | None, method: str) -> str:
    """Return `rpc.method`, safe and short, for any text a peer may have sent."""
    return safe(names.rpc_method(topic, namespace, method[:NAME_LIMIT]), NAME_LIMIT)


def _other(start: Start, method: str) -> Start:
    attributes = {**start.attributes, names.RPC_METHOD_ORIGINAL: method}
    return Start(start.name, start.kind, attributes, start.method)


def _client_start(method: str, mode: Mode, system: str) -> Start:
    if mode is Mode.CALL:
        return Start(method, SpanKind.CLIENT, _rpc(method), method)
    attributes = _messaging(system, method, mode, mode.value, "send")
    return Start(f"{mode.value} {method}", SpanKind.PRODUCER, attributes, method)


def _server_start(method: str, mode: Mode, system: str) -> Start:
    if mode is Mode.CALL:
        return Start(method, SpanKind.SERVER, _rpc(method), method)
    attributes = _messaging(system, method, mode, "process", "process")
    return Start(f"process {method}", SpanKind.CONSUMER, attributes, method)


def _rpc(method: str) -> Attributes:
    return {
        names.RPC_SYSTEM: names.SYSTEM_VALUE,
        names.RPC_METHOD: method,
        names.MODE: Mode.CALL.value,
    }


def _messaging(system: str, method: str, mode: Mode, operation: str, operation_type: str) -> Attributes:
    return {
        names.MESSAGING_SYSTEM: system,
        names.OPERATION_NAME: operation,
        names.OPERATION_TYPE: operation_type,
        names.RPC_METHOD: method,  # the one key that finds calls and casts of a method alike
        names.MODE: mode.value,
    }


# ---- destinations -----------------------------------------------------------------------------


def destination(exchange: str, routing_key: str, queue: str = "") -> str:
    """Return `{exchange}:{routing key}[:{queue}]` as the conventions for RabbitMQ write it.

    Empty parts are left out, and so is a queue that is called like the routing key.
    """
    parts = (exchange, routing_key, "" if queue == routing_key else queue)
    return safe(":".join(part for part in parts if part))


def template(invocation: Invocation) -> str:
    """Return the destination of a request with the server's name left open."""
    request = invocation.request
    topic = request.target.topic or ""
    if request.mode is Mode.FANOUT:
        key = invocation.routing_key and f"{topic}_fanout"
    else:
        key = f"{topic}.{{server}}" if request.target.server else topic
    return destination(invocation.exchange, key)


def message_attributes(invocation: Invocation) -> Attributes:
    """Return what the conventions for messaging say about one sent request."""
    request = invocation.request
    attributes: Attributes = {
        names.DESTINATION: destination(invocation.exchange, invocation.routing_key),
        names.DESTINATION_TEMPLATE: template(invocation),
        names.MESSAGE_ID: safe(request.unique_id),
    }
    if invocation.routing_key:
        attributes[names.ROUTING_KEY] = safe(invocation.routing_key)
    if request.msg_id:
        attributes[names.CONVERSATION_ID] = safe(request.msg_id)
    return attributes


def address_attributes(peer: str) -> Attributes:
    """Return `server.address` and `server.port` of "host:port"."""
    host, _, port = peer.rpartition(":")
    if not host or not port.isdecimal():
        return {names.SERVER_ADDRESS: safe(peer)} if peer else {}
    return {names.SERVER_ADDRESS: safe(host.strip("[]")), names.SERVER_PORT: int(port)}
