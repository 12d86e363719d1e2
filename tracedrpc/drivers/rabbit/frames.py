"""AMQP 0-9-1 frames for the hot path: publish, acknowledge, deliver, confirm, return. Pure.

py-amqp reads three times from the socket for each frame and parses every table in Python; these
few methods are most of an RPC's life, so they are packed and unpacked here. Everything else
(handshake, declarations, close) stays py-amqp's. Numbers are from the AMQP 0-9-1 specification,
sections 2.3.5 and 4.2, and RabbitMQ's "basic.nack" and confirm extensions.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from tracedrpc.drivers.rabbit.tables import read_headers

if TYPE_CHECKING:
    from collections.abc import Mapping

METHOD: Final = 1
HEADER: Final = 2
BODY: Final = 3
END: Final = b"\xce"

DELIVER: Final = b"\x00\x3c\x00\x3c"
RETURN: Final = b"\x00\x3c\x00\x32"
ACK: Final = b"\x00\x3c\x00\x50"
NACK: Final = b"\x00\x3c\x00\x78"
CANCEL: Final = b"\x00\x3c\x00\x1e"

_FRAME: Final = Struct(">BHI")
_TAG_BIT: Final = Struct(">QB")
_CONTENT: Final = Struct(">HHQH")
_LONG: Final = Struct(">I")
_SIGNED: Final = Struct(">q")
_ACK_FRAME: Final = Struct(">BHI4sQBc")
FRAME_OVERHEAD: Final = 8

_CONTENT_TYPE: Final = 1 << 15
_CONTENT_ENCODING: Final = 1 << 14
_HEADERS: Final = 1 << 13
_DELIVERY_MODE: Final = 1 << 12
_PRIORITY: Final = 1 << 11
_EXPIRATION: Final = 1 << 8
_MESSAGE_ID: Final = 1 << 7
_ALWAYS: Final = _CONTENT_TYPE | _CONTENT_ENCODING | _HEADERS | _DELIVERY_MODE | _PRIORITY | _MESSAGE_ID
_JSON_UTF8: Final = b"\x10application/json\x05utf-8"


def _short(text: str) -> bytes:
    data = text.encode()
    if len(data) > 255:  # noqa: PLR2004 - a short string's length is one octet
        raise ValueError(f"an AMQP name has at most 255 bytes, {text[:40]!r}... has {len(data)}")
    return bytes((len(data),)) + data


@lru_cache(maxsize=1024)
def _publish_method(channel: int, exchange: str, routing_key: str, mandatory: bool) -> bytes:
    payload = b"\x00\x3c\x00\x28\x00\x00" + _short(exchange) + _short(routing_key) + bytes((mandatory,))
    return _FRAME.pack(METHOD, channel, len(payload)) + payload + END


@lru_cache(maxsize=256)
def _header_key(key: str) -> bytes:
    return _short(key) + b"S"


def _table(headers: Mapping[str, str]) -> bytes:
    parts = []
    for key, value in headers.items():
        data = value.encode("utf-8", "replace")
        parts.append(_header_key(key) + _LONG.pack(len(data)) + data)
    fields = b"".join(parts)
    return _LONG.pack(len(fields)) + fields


def publish(
    channel: int, exchange: str, routing_key: str, mandatory: bool, body: bytes,
    headers: Mapping[str, str], message_id: str, expiration_ms: int | None,
    delivery_mode: int, frame_max: int,
) -> bytes:
    """Return the frames of one published message: method, header, body."""
    flags = _ALWAYS if expiration_ms is None else _ALWAYS | _EXPIRATION
    properties = b"".join((
        _JSON_UTF8, _table(headers), bytes((delivery_mode, 0)),
        b"" if expiration_ms is None else _short(str(expiration_ms)),
        _short(message_id),
    ))
    size = len(body)
    parts = [
        _publish_method(channel, exchange, routing_key, mandatory),
        _FRAME.pack(HEADER, channel, _CONTENT.size + len(properties)),
        _CONTENT.pack(60, 0, size, flags), properties, END,
    ]
    limit = frame_max - FRAME_OVERHEAD
    for start in range(0, size, limit):
        piece = body if size <= limit else body[start : start + limit]
        parts += (_FRAME.pack(BODY, channel, len(piece)), piece, END)
    return b"".join(parts)


def ack(channel: int, tag: int, *, multiple: bool) -> bytes:
    """Return the frame that acknowledges a delivery, or all up to it."""
    return _ACK_FRAME.pack(METHOD, channel, 13, ACK, tag, multiple, END)


def nack(channel: int, tag: int, *, multiple: bool, requeue: bool) -> bytes:
    """Return the frame that gives a delivery back, or all up to it."""
    return _ACK_FRAME.pack(METHOD, channel, 13, NACK, tag, multiple | requeue << 1, END)


def read_tag(payload: bytes) -> tuple[int, int]:
    """Return delivery tag and bits of an ack or nack."""
    tag, bits = _TAG_BIT.unpack_from(payload, 4)
    return tag, bits


def read_short(payload: bytes, at: int) -> tuple[str, int]:
    """Return a short string and where the next field begins."""
    end = at + 1 + payload[at]
    return payload[at + 1 : end].decode("utf-8", "replace"), end


def read_deliver(payload: bytes) -> tuple[str, int, bool, str, str]:
    """Return consumer tag, delivery tag, redelivered, exchange, routing key."""
    consumer, at = read_short(payload, 4)
    tag, redelivered = _TAG_BIT.unpack_from(payload, at)
    exchange, at = read_short(payload, at + 9)
    key, _ = read_short(payload, at)
    return consumer, tag, bool(redelivered), exchange, key


def body_size(header: bytes) -> int:
    """Return the size in bytes of the body that follows a content header."""
    size: int = _CONTENT.unpack_from(header)[2]
    return size


def split(data: bytes, frame_limit: int) -> tuple[list[tuple[int, int, bytes]], bytes]:
    """Cut bytes from the socket into whole frames (type, channel, payload) and a rest.

    Raises:
        ValueError: the bytes are not AMQP frames; the connection cannot go on.
    """
    found = []
    at, size = 0, len(data)
    while size - at >= FRAME_OVERHEAD:
        kind, channel, length = _FRAME.unpack_from(data, at)
        if length > frame_limit:
            raise ValueError(f"a frame of {length} bytes, {frame_limit} were agreed")
        end = at + 7 + length
        if end >= size:
            break
        if data[end] != END[0]:
            raise ValueError("a frame without its end mark")
        found.append((kind, channel, data[at + 7 : end]))
        at = end + 1
    return found, data[at:] if at else data


def read_properties(header: bytes) -> tuple[str | None, str | None, dict[str, Any], str | None]:
    """Return content type, content encoding, headers and message id of a content header.

    Raises:
        ValueError, IndexError, struct.error: the header is not well formed.
    """
    flags = _CONTENT.unpack_from(header)[3]
    at = _CONTENT.size
    kind = encoding = message_id = None
    headers: dict[str, Any] = {}
    if flags & _CONTENT_TYPE:
        kind, at = read_short(header, at)
    if flags & _CONTENT_ENCODING:
        encoding, at = read_short(header, at)
    if flags & _HEADERS:
        headers, at = read_headers(header, at)
    at += bool(flags & _DELIVERY_MODE) + bool(flags & _PRIORITY)
    for flag in (1 << 10, 1 << 9, _EXPIRATION):
        if flags & flag:
            _, at = read_short(header, at)
    if flags & _MESSAGE_ID:
        message_id, at = read_short(header, at)
    return kind, encoding, headers, message_id


def read_stream_offset(header: bytes) -> int | None:
    """Return the place in its stream of a message that came from one; None when it came from a queue.

    Raises:
        ValueError, IndexError, struct.error: the header is not well formed.
    """
    offset = read_properties(header)[2].get("x-stream-offset")
    return offset if isinstance(offset, int) else None
