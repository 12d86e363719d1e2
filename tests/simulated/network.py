"""Connections between engine and broker: frames travel, wait, are cut in two, or never arrive."""

from __future__ import annotations

import errno
import select
import socket
from collections import deque
from dataclasses import dataclass

from tests.simulated.primitives import File
from tests.simulated.world import World

GREETING_BYTES = 8


@dataclass
class Weather:
    """What the network does to frames from now on.

    Attributes:
        delay_s: how long a frame may take at the most.
        cut: how likely a frame is the last one of its connection.
    """

    delay_s: float = 0.0005
    cut: float = 0.0


class Pipe:
    """One direction of a connection: bytes in, frames out, in order, each after its own delay."""

    def __init__(self, wire: Wire, deliver) -> None:
        self._wire = wire
        self._deliver = deliver
        self._rest = b""
        self._last_ns = 0
        self._under_way: deque[tuple[bytes, bool]] = deque()
        self._has_greeted = False

    def write(self, data: bytes) -> None:
        self._rest += data
        while (size := self._next_size()) and size <= len(self._rest):
            frame, self._rest = self._rest[:size], self._rest[size:]
            self._carry(frame)

    def _next_size(self) -> int:
        """Return the size of the next frame, 0 when it is not known yet; the greeting is one too."""
        if self._rest[:4] == b"AMQP":
            return GREETING_BYTES
        if len(self._rest) < GREETING_BYTES - 1:
            return 0
        return GREETING_BYTES + int.from_bytes(self._rest[3:7], "big")

    def _carry(self, frame: bytes) -> None:
        wire, world = self._wire, self._wire.world
        if wire.is_silent or wire.is_cut:
            return
        weather = wire.weather
        at_ns = max(self._last_ns, world.now_ns + int(world.random.uniform(0.2, 1) * weather.delay_s * 1e9))
        self._last_ns = at_ns
        is_last = world.random.random() < weather.cut
        kept = frame[: world.random.choice((0, len(frame) // 2, len(frame)))] if is_last else frame
        self._under_way.append((kept, is_last))
        world.after((at_ns - world.now_ns) / 1e9, self._arrive)

    def _arrive(self) -> None:
        frame, is_last = self._under_way.popleft()  # the first one: TCP keeps the order
        if self._wire.is_cut or self._wire.is_silent:
            return
        if frame:
            self._deliver(frame)
        if is_last:
            self._wire.cut()


class Wire:
    """A connection: a socket at the engine's end, a session of the broker at the other."""

    def __init__(self, world: World, weather: Weather, accept) -> None:
        self.world = world
        self.weather = weather
        self.is_cut = False
        self.is_silent = False
        self.socket = Socket(self)
        self.to_client = Pipe(self, self.socket.receive)
        self.to_broker = Pipe(self, self._to_broker)
        self.session = accept(self)

    def _to_broker(self, data: bytes) -> None:
        self.session.receive(data)

    def cut(self) -> None:
        """Break it; each end learns of it in its own time."""
        if self.is_cut:
            return
        self.is_cut = True
        random, delay_s = self.world.random, self.weather.delay_s
        error = random.choice((None, ConnectionResetError(errno.ECONNRESET, "reset")))
        self.world.after(random.uniform(0, delay_s), lambda: self.socket.end(error))
        self.world.after(random.uniform(0, delay_s), self.session.lost)

    def silence(self) -> None:
        """Lose everything from now on and tell nobody, as a firewall that has forgotten it."""
        self.is_silent = True

    def closed_by_client(self) -> None:
        """The engine has closed its end; what was on its way still arrives, unless it is silent."""
        if not self.is_silent and not self.is_cut:
            self.world.after(2 * self.weather.delay_s, self._hang_up)

    def closed_by_broker(self) -> None:
        """The broker has said its last word."""
        self.world.after(2 * self.weather.delay_s, lambda: self.is_silent or self.socket.end(None))

    def _hang_up(self) -> None:
        self.is_cut = True
        self.session.lost()


class Socket(File):
    """What the engine and py-amqp use of a socket."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire
        self._data = bytearray()
        self._timeout_s: float | None = None
        self._readers: deque = deque()
        self._has_ended = False
        self._error: Exception | None = None
        self.is_closed = False

    def receive(self, data: bytes) -> None:
        self._data += data
        self._tell()

    def end(self, error: Exception | None) -> None:
        if not self._has_ended:
            self._has_ended, self._error = True, error
            self._tell()

    def _tell(self) -> None:
        self.world.wake_all(self._readers)
        self.changed()

    def is_ready(self, events: int) -> bool:
        if events & select.POLLOUT:
            return True
        return bool(self._data) or self._has_ended or self.is_closed

    def send(self, data: bytes, _flags: int = 0) -> int:
        self.world.pause()
        self._check()
        if self._has_ended:
            raise self._error or BrokenPipeError(errno.EPIPE, "broken pipe")
        size = len(data)
        if size > 1 and self.world.random.random() < 0.02:
            size = self.world.random.randrange(1, size)  # its buffer is nearly full
        self._wire.to_broker.write(data[:size])
        return size

    def sendall(self, data: bytes) -> None:
        while data:
            data = data[self.send(data) :]

    def recv(self, size: int, flags: int = 0) -> bytes:
        self.world.pause()
        self._check()
        if not self._data and not self._has_ended:
            if flags & socket.MSG_DONTWAIT or not self.world.block(self._readers, self._timeout_s):
                raise BlockingIOError(errno.EAGAIN, "nothing") if flags else TimeoutError("timed out")
            self._check()
        if self._data:
            taken = bytes(self._data[:size])
            del self._data[:size]
            return taken
        if self._error is not None:
            raise self._error
        return b""

    def _check(self) -> None:
        if self.is_closed:
            raise OSError(errno.EBADF, "closed")

    def settimeout(self, timeout_s: float | None) -> None:
        self._check()
        self._timeout_s = timeout_s

    def gettimeout(self) -> float | None:
        return self._timeout_s

    def setsockopt(self, *_options: object) -> None:
        self._check()

    def getsockopt(self, *_options: object) -> int:
        return 0

    def shutdown(self, _how: int) -> None:
        self._check()

    def close(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            super().close()
            self.world.wake_all(self._readers)
            self._wire.closed_by_client()
