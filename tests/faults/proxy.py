"""A TCP proxy that does to connections what networks do: resets, refuses, freezes, delays."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import Self

PIECE = 64 * 1024
TICK_S = 0.02
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on with no time to linger: closing sends RST instead of FIN."""


@dataclass(eq=False)
class Pair:
    """A client's connection and ours to the target; `frozen` for ever once it is."""

    client: socket.socket
    server: socket.socket
    frozen: bool = False
    late: list[tuple[float, socket.socket, bytes]] = field(default_factory=list)

    def close(self, *, reset: bool = False) -> None:
        """Close both sides."""
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                if reset:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                end.close()


class Proxy:
    """Forwards a port of its own to a target port, on one thread, until it is closed.

    Args:
        target: the port on the loopback interface to forward to.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._lock = threading.RLock()
        self._pairs: list[Pair] = []
        self._delay_s = 0.0
        self._refusing = False
        self._closing = threading.Event()
        self._listening = self._listen(0)
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._run, name="proxy", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where a transport connects to go through here."""
        return f"rabbit://guest:guest@127.0.0.1:{self.port}/"

    def __len__(self) -> int:
        return len(self._pairs)

    # ---- what networks do ----------------------------------------------------------------------

    def reset_all(self) -> int:
        """Reset every connection that there is, and return how many there were."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
            for pair in pairs:
                pair.close(reset=True)
        return len(pairs)

    def freeze(self) -> None:
        """Forward nothing more on today's connections and close none of them: half-open. New ones work."""
        with self._lock:
            for pair in self._pairs:
                pair.frozen = True

    def refuse(self) -> None:
        """Listen no more: new connections are refused."""
        with self._lock:
            self._refusing = True
            self._listening.close()

    def accept(self) -> None:
        """Listen again, after `refuse`."""
        with self._lock:
            self._listening = self._listen(self.port)
            self._refusing = False

    def delay(self, seconds: float) -> None:
        """Deliver what arrives from now on so much later, in both directions."""
        self._delay_s = seconds

    def close(self) -> None:
        """End everything."""
        self._closing.set()
        self._thread.join(5)
        self.reset_all()
        with self._lock:
            self._listening.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # ---- on its thread -------------------------------------------------------------------------

    @staticmethod
    def _listen(port: int) -> socket.socket:
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(128)
        return listening

    def _run(self) -> None:
        while not self._closing.is_set():
            ends = {}
            with self._lock:
                listening = None if self._refusing else self._listening
                for pair in self._pairs:
                    if not pair.frozen:
                        ends[pair.client] = (pair, pair.server)
                        ends[pair.server] = (pair, pair.client)
            waited = [*ends, listening] if listening else [*ends]
            with contextlib.suppress(OSError, ValueError):  # closed while we waited
                readable, _, _ = select.select(waited, [], [], TICK_S)
                with self._lock:
                    self._serve(readable, ends, listening)
            with self._lock:
                self._deliver_late()

    def _serve(self, readable, ends, listening) -> None:
        for end in readable:
            if end is listening:
                self._connect(listening)
            elif end.fileno() >= 0 and not ends[end][0].frozen:  # perhaps since we wait
                self._forward(*ends[end], end)

    def _connect(self, listening: socket.socket) -> None:
        client, _ = listening.accept()
        try:
            server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
        except OSError:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            client.close()
            return
        for end in (client, server):
            end.settimeout(5)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pairs.append(Pair(client, server))

    def _forward(self, pair: Pair, to: socket.socket, end: socket.socket) -> None:
        try:
            data = end.recv(PIECE)
            if not data:
                raise ConnectionResetError
            if self._delay_s or pair.late:
                pair.late.append((time.monotonic() + self._delay_s, to, data))
            else:
                to.sendall(data)
        except OSError:
            self._drop(pair)

    def _deliver_late(self) -> None:
        now_s = time.monotonic()
        for pair in list(self._pairs):
            while pair.late and pair.late[0][0] <= now_s and not pair.frozen:
                _, to, data = pair.late.pop(0)
                try:
                    to.sendall(data)
                except OSError:
                    self._drop(pair)
                    break

    def _drop(self, pair: Pair) -> None:
        pair.close()
        if pair in self._pairs:
            self._pairs.remove(pair)
