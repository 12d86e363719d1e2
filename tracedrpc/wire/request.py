"""A request on the wire: oslo.messaging's keys, and what a server accepts of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tracedrpc.exceptions import DecodeError
from tracedrpc.message import W3C_KEYS, Mode, Received
from tracedrpc.wire import headers as names
from tracedrpc.wire.body import Properties, dumps, envelope, open_envelope
from tracedrpc.wire.coerce import encode_error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracedrpc.message import Request

T = TypeVar("T")

CONTEXT: Final = "_context_"
_CONTEXT_CHARS: Final = len(CONTEXT)
_TRACEPARENT: Final = CONTEXT + names.TRACEPARENT
_TRACESTATE: Final = CONTEXT + names.TRACESTATE

_REPLY_QUEUE: Final = re.compile(r"reply_[\w.:@-]+")
"""Names of reply queues. A request that names another queue would make us write into it."""
_MOST_NAME_CHARS: Final = 255
"""Longest queue name that AMQP 0-9-1 can express."""
_MOST_MONITOR_S: Final = 3600
"""Heartbeats come at least so often; a client that would wait longer is told sooner than it asked."""
_MOST_ARGS: Final = 10_000
_DEFAULT_VERSION: Final = "1.0"


def encode_request(
    request: Request,
    carrier: Mapping[str, str],
    reply_queue: str | None,
    *,
    carrier_in_context: bool = True,
) -> bytes:
    """Return the body of a request; the request itself is only read.

    Args:
        request: what is asked for.
        carrier: trace context to send along.
        reply_queue: where a call's reply goes; None for casts.
        carrier_in_context: also write trace context where peers on oslo.messaging look for it.

    Raises:
        EncodeError: arguments or context hold something that JSON cannot; `path` names it.
    """
    message = _message(request, reply_queue)
    if carrier_in_context and names.TRACEPARENT in carrier:
        _write_carrier(message, carrier)
    try:
        return envelope(dumps(message))
    except Exception as error:  # the arguments' own code runs here
        parts = {"args": request.args, "context": request.context}
        raise encode_error(parts, error) from error


def _message(request: Request, reply_queue: str | None) -> dict[str, Any]:
    target = request.target
    message: dict[str, Any] = {
        "method": request.method,
        "args": request.args,
        "_unique_id": request.unique_id,
    }
    if target.namespace is not None:
        message["namespace"] = target.namespace
    if target.version is not None:
        message["version"] = target.version
    if request.msg_id is not None:
        message["_msg_id"] = request.msg_id
        message["_reply_q"] = reply_queue
        message["_timeout"] = request.monitor_timeout_s
    for key, value in request.context.items():
        message[f"{CONTEXT}{key}"] = value
    return message


def _write_carrier(message: dict[str, Any], carrier: Mapping[str, str]) -> None:
    message[_TRACEPARENT] = carrier[names.TRACEPARENT]
    # A state that came in with the caller's context belongs to another parent.
    message.pop(_TRACESTATE, None)
    if names.TRACESTATE in carrier:
        message[_TRACESTATE] = carrier[names.TRACESTATE]


def decode_request(
    body: bytes | str | memoryview,
    properties: Properties,
    *,
    max_bytes: int,
    fanout: bool = False,
    carrier_keys: frozenset[str] = W3C_KEYS,
) -> Received:
    """Return the request in a body.

    Args:
        body: as it came from the wire.
        properties: as they came from the wire.
        max_bytes: the largest body accepted, also after decompression.
        fanout: it came from a fanout exchange.
        carrier_keys: the headers that carry trace context.

    Raises:
        DecodeError: and nothing else, whatever came; its `return_address` says whom to tell.
    """
    message = open_envelope(body, properties, max_bytes)
    msg_id, reply_queue = _return_address(message.get("_msg_id"), message.get("_reply_q"))
    try:
        return _received(message, properties.headers, msg_id, reply_queue, carrier_keys, fanout=fanout)
    except DecodeError as error:
        if msg_id is not None and reply_queue is not None:
            error.return_address = msg_id, reply_queue
        raise


def _received(
    message: dict[str, Any], headers: Mapping[str, Any], msg_id: str | None, reply_queue: str | None,
    carrier_keys: frozenset[str], *, fanout: bool,
) -> Received:
    get = message.get
    context = {
        key[_CONTEXT_CHARS:]: value
        for key, value in message.items()
        if key[:_CONTEXT_CHARS] == CONTEXT
    }
    carrier = names.carrier_of(headers, context, carrier_keys)
    context.pop(names.TRACEPARENT, None)
    context.pop(names.TRACESTATE, None)
    return Received(
        _method(get("method")),
        _args(get("args")),
        context,
        _optional(get("namespace"), str, "namespace"),
        _optional(get("version"), str, "version") or _DEFAULT_VERSION,
        _optional(get("_unique_id"), str, "_unique_id"),
        msg_id,
        reply_queue,
        _monitor(get("_timeout")),
        carrier,
        names.sent_ns(headers),
        Mode.CALL if msg_id else Mode.FANOUT if fanout else Mode.CAST,
        names.timeout_s(headers),
        names.dead_letter(headers),
        names.delivery_count(headers),
    )


def _method(value: Any) -> str:
    if not value or not isinstance(value, str):
        raise DecodeError("schema", "method is not a name")
    return value


def _args(value: Any) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > _MOST_ARGS:
        raise DecodeError("schema", f"args is not an object of at most {_MOST_ARGS} arguments")
    return value


def _return_address(msg_id: Any, reply_queue: Any) -> tuple[str | None, str | None]:
    """Return a call's id and reply queue, or two None of a cast."""
    if msg_id is None and reply_queue is None:
        return None, None
    if not msg_id or not isinstance(msg_id, str):
        raise DecodeError("schema", "_msg_id is missing or not a string")
    if not isinstance(reply_queue, str) or len(reply_queue) > _MOST_NAME_CHARS:
        raise DecodeError("schema", "_reply_q is missing or not a string")
    if not _REPLY_QUEUE.fullmatch(reply_queue):
        raise DecodeError("schema", "_reply_q is not the name of a reply queue")
    return msg_id, reply_queue


def _monitor(value: Any) -> float | None:
    """Return the monitor's limit. Whatever a client chose, its request is served: 0 is no limit."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DecodeError("schema", "_timeout is not a number")
    return min(value, _MOST_MONITOR_S) if value > 0 else None


def _optional(value: Any, kind: type[T], name: str) -> T | None:
    if value is None or isinstance(value, kind):
        return value
    raise DecodeError("schema", f"{name} is not a {kind.__name__}")
