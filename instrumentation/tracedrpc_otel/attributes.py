"""Names and attributes that are the same for every call of one method, made once.

A client can be made to call anything and a server can be sent anything, so the tables are bounded:
what does not fit is told under the one name `_OTHER`, with the true name as an attribute.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from opentelemetry.trace import SpanKind

from tracedrpc import semconv as names
from tracedrpc._safe import SafeText, safe
from tracedrpc.message import Mode
from tracedrpc_otel.records import Fixed, Start, word

if TYPE_CHECKING:
    from collections.abc import Hashable

    from tracedrpc.driver import Incoming
    from tracedrpc.message import Invocation

TABLE_LIMIT: Final = 1000
NAME_LIMIT: Final = 128
"""Longest method in a span's name, in characters."""

OTHER: Final = SafeText(names.OTHER)
_SYSTEM: Final = SafeText(names.SYSTEM_VALUE)
_SEND: Final = SafeText("send")
_PROCESS: Final = SafeText("process")

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
        key = (target.topic, target.namespace, request.method[:NAME_LIMIT], request.mode, system)
        start = self._table.get(key)
        if start is not None:
            return start
        method = method_name(*key[:3])
        start = _client_start(method, request.mode, system)
        if self._table.keep(key, start):
            return start
        return _other(_client_start(OTHER, request.mode, system), method)


class ServerStarts:
    """How the spans of each (topic, namespace, method, mode) begin on the server.

    Only methods that exist are kept, or a flood of made-up ones would push out the true ones.
    """

    def __init__(self, limit: int = TABLE_LIMIT) -> None:
        self._table: Table[_Server, Start] = Table(limit)

    def of(self, incoming: Incoming) -> Start:
        """Return the start of a request's span."""
        key = _server_key(incoming)
        start = self._table.get(key)
        return start if start is not None else _server_start(method_name(*key[:3]), *key[3:])

    def is_named(self, incoming: Incoming, start: Start) -> bool:
        """Tell whether a request whose method was found may be called after it.

        It may when its method is remembered, or can be: False when there are too many already.
        """
        return start.is_kept or self._table.keep(_server_key(incoming), replace(start, is_kept=True))

    def other(self, mode: Mode) -> str:
        """Return the name of the span of a request whose method must not name it."""
        return _server_start(OTHER, mode, "").name


def _server_key(incoming: Incoming) -> _Server:
    received = incoming.received
    method = received.method[:NAME_LIMIT]
    return (incoming.topic, received.namespace, method, received.mode, incoming.system)


def method_name(topic: str | None, namespace: str | None, method: str) -> SafeText:
    """Return `rpc.method`, safe and short, for any text a peer may have sent."""
    return safe(names.rpc_method(topic, namespace, method[:NAME_LIMIT]), NAME_LIMIT)


def _other(start: Start, method: SafeText) -> Start:
    attributes = Fixed({**start.attributes, names.RPC_METHOD_ORIGINAL: method})
    return Start(start.name, start.kind, attributes, start.rpc_method)


def _client_start(method: SafeText, mode: Mode, system: str) -> Start:
    if mode is Mode.CALL:
        return Start(method, SpanKind.CLIENT, _rpc(method), method)
    attributes = _messaging(system, method, mode, word(mode), _SEND)
    return Start(f"{mode.value} {method}", SpanKind.PRODUCER, attributes, method)


def _server_start(method: SafeText, mode: Mode, system: str) -> Start:
    if mode is Mode.CALL:
        return Start(method, SpanKind.SERVER, _rpc(method), method)
    attributes = _messaging(system, method, mode, _PROCESS, _PROCESS)
    return Start(f"process {method}", SpanKind.CONSUMER, attributes, method)


def _rpc(method: SafeText) -> Fixed:
    return Fixed({
        names.RPC_SYSTEM: _SYSTEM,
        names.RPC_METHOD: method,
        names.MODE: word(Mode.CALL),
    })


def _messaging(
    system: str, method: SafeText, mode: Mode, operation: SafeText, operation_type: SafeText,
) -> Fixed:
    return Fixed({
        names.MESSAGING_SYSTEM: safe(system),
        names.OPERATION_NAME: operation,
        names.OPERATION_TYPE: operation_type,
        names.RPC_METHOD: method,  # the one key that finds calls and casts of a method alike
        names.MODE: word(mode),
    })
