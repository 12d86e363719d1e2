"""The edge to py-amqp: its connection, reading the socket in large pieces.

kombu makes and owns the connection, with its handshake, TLS and declarations. What this module
changes: frames are read many at a time, and the few methods of the hot path (deliver, confirm,
return) go straight to an `Intake` instead of through py-amqp's generic tables.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections import deque
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Final

from amqp.exceptions import UnexpectedFrame
from amqp.method_framing import frame_handler
from kombu.transport import pyamqp

from tracedrpc._deadline import Deadline
from tracedrpc.drivers.rabbit import frames
from tracedrpc.wire.body import Properties

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tracedrpc.drivers.rabbit.link import Delivery

WAIT_S: Final = 5.0
"""How long an answer of the broker is waited for where py-amqp would wait for ever."""
PIECE_BYTES: Final = 256 * 1024
"""How much is read from the socket at once."""


NOT_READABLE: Final = Properties("unreadable properties", None, {})
"""Stands for a content header that is not well formed; nobody accepts its content type."""


class AmqpDelivery:
    """A delivery over AMQP; its properties are read when somebody asks."""

    __slots__ = ("body", "consumer", "exchange", "header", "received_ns", "redelivered", "routing_key", "tag")

    def __init__(self, method: bytes, header: bytes, body: bytes) -> None:
        envelope = frames.read_deliver(method)
        self.consumer, self.tag, self.redelivered, self.exchange, self.routing_key = envelope
        self.header = header
        self.body = body
        self.received_ns = monotonic_ns()

    def properties(self) -> Properties:
        """Return content type, encoding and headers."""
        try:
            kind, encoding, headers, _ = frames.read_properties(self.header)
        except (ValueError, IndexError, struct.error):
            return NOT_READABLE
        return Properties(kind, encoding, headers)

    def stream_offset(self) -> int | None:
        """Return its place in the stream that it came from."""
        try:
            return frames.read_stream_offset(self.header)
        except (ValueError, IndexError, struct.error):
            return None


class Intake:
    """Collects what the hot path's methods bring, in order; whoever reads the connection takes it."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.returned: list[str | None] = []
        """Message ids that came back; the confirm of each follows."""
        self.cancelled: list[str] = []
        """Consumer tags that the broker ended."""
        self.on_confirm: Callable[[int, bool, bool], None] | None = None
        """Called with tag, multiple, whether it is an ack, while the connection is read."""
        self._method: bytes | None = None
        self._header = b""
        self._parts: list[bytes] = []
        self._missing = 0

    def handler(self, connection: Any, callback: Callable[..., Any]) -> Callable[[Any], bool]:
        """Return the frame handler that py-amqp asks for (its constructor's `frame_handler`)."""
        others = frame_handler(connection, callback)

        def on_frame(frame: tuple[int, int, bytes]) -> bool:
            if self._take(frame):
                connection.bytes_recv += 1
                return True
            return bool(others(frame))

        return on_frame

    def _take(self, frame: tuple[int, int, bytes]) -> bool:
        kind, _, payload = frame
        if kind == frames.METHOD:
            return self._take_method(payload)
        if self._method is None:
            return False
        if kind == frames.HEADER:
            self._header = payload
            self._missing = frames.body_size(payload)
        elif kind == frames.BODY:
            self._parts.append(payload)
            self._missing -= len(payload)
        else:
            return False
        if self._missing <= 0:
            self._complete()
        return True

    def _take_method(self, payload: bytes) -> bool:
        method = payload[:4]
        if method in {frames.DELIVER, frames.RETURN}:
            self._method = payload
        elif method in {frames.ACK, frames.NACK}:
            tag, bits = frames.read_tag(payload)
            if self.on_confirm is not None:
                self.on_confirm(tag, bool(bits & 1), method == frames.ACK)
        elif method == frames.CANCEL:
            self.cancelled.append(frames.read_short(payload, 4)[0])
        else:
            return False
        return True

    def _complete(self) -> None:
        method, parts = self._method or b"", self._parts
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        self._method, self._parts = None, []
        if method[:4] == frames.DELIVER:
            self.deliveries.append(AmqpDelivery(method, self._header, body))
        else:
            self.returned.append(frames.read_properties(self._header)[3])


class EdgeConnection(pyamqp.Connection):
    """py-amqp's connection with one reader and one writer for everything: ours.

    The socket is in blocking mode, but for moments that need a time-out: so the usual read or write
    is one system call.

    Attributes:
        until: when py-amqp's own waits end, all together; without it each ends after `WAIT_S`.
    """

    def __init__(self, *args: Any, until: Deadline | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.until = until
        self._rest = b""
        self._frames: deque[tuple[int, int, bytes]] = deque()

    def connect(self, callback: Callable[[], Any] | None = None) -> Any:
        """Connect, and leave no socket behind when that fails, in whatever way."""
        try:
            return super().connect(callback)
        except BaseException:
            self.collect()
            raise

    @contextlib.contextmanager
    def within(self, limit_s: float) -> Iterator[None]:
        """Bound py-amqp's own waits in the block, all together."""
        self.until = Deadline.after(limit_s)
        try:
            yield
        finally:
            self.until = None

    # ---- writing ------------------------------------------------------------------------------

    def send(self, data: bytes, timeout_s: float) -> None:
        """Hand bytes to the socket, which usually takes them at once.

        Raises:
            TimeoutError: it did not take all of them; the connection is of no more use.
        """
        sock = self._sock()
        sent = 0
        if not isinstance(sock, ssl.SSLSocket):
            with contextlib.suppress(BlockingIOError):
                sent = _native(sock).send(data, socket.MSG_DONTWAIT)
        if sent < len(data):
            self._send_slowly(sock, data[sent:], timeout_s)
        self.bytes_sent += 1

    def _send_slowly(self, sock: socket.socket, data: bytes, timeout_s: float) -> None:
        sock.settimeout(max(0.001, timeout_s))
        try:
            sock.sendall(data)
        finally:
            sock.settimeout(None)

    def _sock(self) -> socket.socket:
        # Not `self.transport`, which connects again when the connection was closed.
        sock: socket.socket | None = self._transport and self._transport.sock
        if sock is None:
            raise ConnectionResetError("the connection was closed")
        return sock

    def abandon(self, limit_s: float) -> None:
        """Close the socket without a word of AMQP; TLS says goodbye and waits for an answer."""
        with contextlib.suppress(OSError):
            self._sock().settimeout(limit_s)
        self.collect()

    def forget(self) -> None:
        """Close this process' copy of the socket and say nothing to the other end."""
        with contextlib.suppress(OSError):
            sock = self._sock()
            self._transport.sock = None
            sock.close()

    # ---- reading ------------------------------------------------------------------------------

    def blocking_read(self, timeout: float | None = None) -> bool:
        """Handle one frame, for py-amqp's own waits (declare-ok and the like).

        Raises:
            TimeoutError: none came in `timeout` seconds, or before `until`.
        """
        while not self._frames:
            left_s = WAIT_S if self.until is None else max(0.001, self.until.left_s())
            self._sock()
            with self._transport.having_timeout(left_s if timeout is None else min(timeout, left_s)) as sock:
                self._feed(sock.recv(PIECE_BYTES))
        return bool(self.on_inbound_frame(self._frames.popleft()))

    def has_pending(self) -> bool:
        """Tell whether something was read already that polling the socket would not show."""
        sock = self._transport and self._transport.sock
        return bool(self._frames) or (isinstance(sock, ssl.SSLSocket) and sock.pending() > 0)

    def read_available(self) -> None:
        """Handle every frame that has arrived, without waiting; the last ones before a close too."""
        try:
            self._receive_available()
        finally:
            pending = self._frames
            while pending:
                self.on_inbound_frame(pending.popleft())

    def _receive_available(self) -> None:
        sock = self._sock()
        try:
            if isinstance(sock, ssl.SSLSocket):
                self._receive_tls(sock)
            else:
                self._feed(_native(sock).recv(PIECE_BYTES, socket.MSG_DONTWAIT))
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return

    def _receive_tls(self, sock: ssl.SSLSocket) -> None:
        sock.setblocking(False)  # not `settimeout(0)`, which for eventlet is a time-out
        try:
            while True:
                self._feed(sock.recv(PIECE_BYTES))
        finally:
            sock.setblocking(True)

    def _feed(self, data: bytes) -> None:
        if not data:
            self._transport.connected = False
            raise ConnectionResetError("the broker closed the connection")
        try:
            found, self._rest = frames.split(self._rest + data if self._rest else data, self.frame_max)
        except ValueError as error:
            raise UnexpectedFrame(str(error)) from error
        self._frames.extend(found)


def _native(sock: socket.socket) -> socket.socket:
    """Return the system's socket inside one of eventlet's, which waits whatever the flags say."""
    return getattr(sock, "fd", sock)


class EdgeTransport(pyamqp.Transport):
    """kombu's transport for py-amqp, with our connection."""

    Connection = EdgeConnection
