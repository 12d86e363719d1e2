"""What reads bytes that anybody may have sent, each as a function of bytes that must not raise."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

from tracedrpc._safe import LIMIT, safe
from tracedrpc.drivers.rabbit.edge import AmqpDelivery
from tracedrpc.exceptions import DecodeError, InvalidTransportURL
from tracedrpc.url import TransportURL
from tracedrpc.wire.body import COMPRESSION, Properties
from tracedrpc.wire.failure import MOST_CHARS, rebuild_failure
from tracedrpc.wire.reply import decode_reply, find_msg_id
from tracedrpc.wire.request import decode_request
from tracedrpc_otel.propagation import TraceContext, parse_tracestate

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_BYTES = 64 * 1024
KINDS = (
    "application/json", None, "", "application/json; charset=utf-8", "text/plain", "application/x-python",
)
ENCODINGS = ("utf-8", None, "", "UTF8", "binary", "utf-16")
COMPRESSIONS = (None, None, "application/x-gzip", "application/x-bz2", "application/x-lzma", "gzip", 7, "")
DELIVER = b"\x00\x3c\x00\x3c\x01t" + struct.pack(">QB", 1, 0) + b"\x01e\x01k"
CONTENT_HEADER = struct.pack(">HHQ", 60, 0, 0)


def message(data: bytes) -> tuple[bytes, Properties]:
    """Return a body and its properties; three bytes choose the properties, 0 0 0 the usual ones."""
    choice = data[:3].ljust(3, b"\0")
    compression = COMPRESSIONS[choice[2] % len(COMPRESSIONS)]
    headers: dict[str, Any] = {} if compression is None else {COMPRESSION: compression}
    return data[3:], Properties(KINDS[choice[0] % len(KINDS)], ENCODINGS[choice[1] % len(ENCODINGS)], headers)


def request(data: bytes) -> None:
    body, properties = message(data)
    try:
        received = decode_request(body, properties, max_bytes=MOST_BYTES)
    except DecodeError:
        return
    assert received.method
    assert isinstance(received.args, dict)
    assert (received.msg_id is None) == (received.reply_queue is None)


def reply(data: bytes) -> None:
    body, properties = message(data)
    find_msg_id(body)
    try:
        read = decode_reply(body, properties, MOST_BYTES)
    except DecodeError:
        return
    assert read.msg_id
    if read.failure is not None:
        failure(read.failure.encode("utf-8", "replace"))


def failure(data: bytes) -> None:
    error = rebuild_failure(text_of(data), ("tracedrpc.exceptions", "json"))
    assert isinstance(error, Exception)
    assert len(str(error)) <= 8 * MOST_CHARS


def context(data: bytes) -> None:
    parent, _, state = text_of(data).partition("\n")
    carrier = {"traceparent": value_of(parent), "tracestate": value_of(state)}
    found = TraceContext().read(carrier)
    assert found is None or found.is_valid
    parse_tracestate(carrier["tracestate"])


def content_header(data: bytes) -> None:
    delivery = AmqpDelivery(DELIVER, CONTENT_HEADER + data, b"{}")
    properties = delivery.properties()
    delivery.stream_offset()
    try:
        decode_request(b'{"method": "x"}', properties, max_bytes=MOST_BYTES)
    except DecodeError:
        return


def safe_text(data: bytes) -> None:
    text = safe(text_of(data))
    assert len(text) <= 6 * LIMIT
    assert not any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in text)
    text.encode("utf-8")


def transport_url(data: bytes) -> None:
    try:
        url = TransportURL.parse(None, text_of(data) or "rabbit://")
    except InvalidTransportURL:
        return
    again = TransportURL.parse(None, str(url))
    assert str(again) == str(url), (str(url), str(again))
    assert (again.transport, again.hosts) == (url.transport, url.hosts), (str(url), str(again))
    repr(url), format(url), hash(url)


def text_of(data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def value_of(text: str) -> Any:
    """Return the JSON value that a text is, else the text: headers hold values of any type."""
    try:
        return json.loads(text)
    except ValueError:
        return text


TARGETS: dict[str, Callable[[bytes], None]] = {
    "request": request, "reply": reply, "failure": failure, "context": context,
    "content_header": content_header, "safe": safe_text, "transport_url": transport_url,
}
