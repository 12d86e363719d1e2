"""The pool of connections that messages are sent on: few, reused, last in first out."""

from __future__ import annotations

import sys
import threading
from collections import deque
from time import monotonic, monotonic_ns
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from tracedrpc.drivers.rabbit.errors import AcquireTimeout, ConnectionClosed
from tracedrpc.drivers.rabbit.pooled import Pooled
from tracedrpc.telemetry import PoolStats

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracedrpc._deadline import Deadline
    from tracedrpc.drivers.rabbit.pooled import Asker
    from tracedrpc.telemetry import Telemetry

PATIENCE_S: Final = 0.05
"""How long to wait for a connection that is in use before another is opened: a publish holds one
for some 50 us, opening one takes longer than this."""


C = TypeVar("C", bound=Pooled)


class ConnectionPool(Generic[C]):
    """Connections are opened when needed, up to `max_size`, and closed when idle for `ttl_s`.

    The pool decides under its lock and opens and closes outside it. A connection is either idle
    here or in one thread's hands.
    """

    def __init__(
        self, open_: Callable[[Deadline], C], telemetry: Telemetry, *,
        max_size: int, min_size: int, ttl_s: float, name: str = "send",
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.name = name
        self._open = open_
        self._telemetry = telemetry
        self._max_size = max_size
        self._min_size = min_size
        self._ttl_s = ttl_s
        self._clock = clock
        # Used by itself where nobody waits: an interrupt between taking and holding a `Condition`,
        # which is written in Python, would leave it locked for ever.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._idle: deque[C] = deque()
        self._size = 0
        self._opening = 0
        self._waiters = 0
        self._created = 0
        self._closed_count = 0
        self._acquired = 0
        self._used_ns = 0
        self._is_closed = False
        telemetry.pool_opened(self)

    def stats(self) -> PoolStats:
        """Return the counts of this instant; `used_ns` counts what has been given back."""
        idle = len(self._idle)
        return PoolStats(
            idle, self._size - idle, self._waiters, self._max_size, self._created, self._closed_count,
            self._min_size, self._acquired, self._used_ns,
        )

    def __repr__(self) -> str:
        stats = self.stats()
        counts = f"{stats.idle} idle, {stats.in_use} in use, at most {stats.max_size}"
        return f"<ConnectionPool {self.name}: {counts}>"

    # ---- borrowing ----------------------------------------------------------------------------

    def acquire(self, deadline: Deadline, asker: Asker | None = None) -> C:
        """Return a connection that is the caller's until `release` or `discard`.

        Args:
            deadline: until when to wait and to connect.
            asker: who hears of it when none is idle.

        Raises:
            AcquireTimeout: all are in use and none came back before the deadline.
            ConnectFailed: a new one could not be opened.
            ConnectionClosed: the pool is closed.
        """
        self._telemetry.acquire_started(self)
        with self._lock:
            if self._idle and not self._is_closed:
                connection = self._idle.pop()
                connection.taken_ns = monotonic_ns()
                self._acquired += 1
                hit = True
            else:
                hit = False
        if hit:
            self._telemetry.connection_acquired(self, "hit", 0)
            return connection
        return self._acquire_slowly(deadline, asker)

    def _hand_out(self, connection: C) -> None:
        connection.taken_ns = monotonic_ns()
        self._acquired += 1

    def _acquire_slowly(self, deadline: Deadline, asker: Asker | None) -> C:
        began_ns = monotonic_ns()
        try:
            if asker is not None:
                asker.waits(self.stats())
            connection = self._wait_for_turn(deadline, began_ns)
            result = "waited"
            if connection is None:
                connection, result = self._open_another(deadline, asker), "created"
            elif asker is not None and connection.info.ready_ns >= began_ns:
                # It waited while another thread connected.
                asker.connects(min(connection.info.connect_ns, monotonic_ns() - began_ns))
        except BaseException as error:
            self._telemetry.acquire_failed(self, _failure(error), monotonic_ns() - began_ns)
            raise
        self._telemetry.connection_acquired(self, result, monotonic_ns() - began_ns)
        return connection

    def _open_another(self, deadline: Deadline, asker: Asker | None) -> C:
        began_ns = monotonic_ns()
        try:
            connection = self._open(deadline)
        except BaseException:
            self._give_slot_back()
            raise
        finally:
            if asker is not None:
                asker.connects(monotonic_ns() - began_ns)
        with self._lock:
            self._opening -= 1
            self._created += 1
            was_closed = self._is_closed
            if not was_closed:
                self._hand_out(connection)
        if was_closed:
            self.discard(connection, "pool_closed")
            raise ConnectionClosed("the transport was closed while a connection was opened")
        return connection

    def _wait_for_turn(self, deadline: Deadline, began_ns: int) -> C | None:
        """Wait for an idle connection, or reserve a slot for a new one (None)."""
        patience = deadline.sooner(PATIENCE_S)
        with self._lock:
            self._waiters += 1
            try:
                while not self._is_closed:
                    if self._idle:
                        connection = self._idle.pop()
                        self._hand_out(connection)
                        return connection
                    may_open = self._size < self._max_size
                    if may_open and (self._size == self._opening or patience.is_expired()):
                        self._size += 1
                        self._opening += 1
                        return None
                    if deadline.is_expired():
                        break
                    self._changed.wait((patience if may_open else deadline).left_s())
            finally:
                self._waiters -= 1
            is_closed = self._is_closed
        if is_closed:
            raise ConnectionClosed("the transport is closed; make a new one")
        raise AcquireTimeout(
            f"no connection in {(monotonic_ns() - began_ns) / 1e9:.3f} s: all {self._max_size} are in use; "
            f"raise rpc_conn_pool_size or look for what holds them",
        )

    def _give_slot_back(self) -> None:
        with self._lock:
            self._size -= 1
            self._opening -= 1
            self._changed.notify()

    # ---- giving back --------------------------------------------------------------------------

    def release(self, connection: C) -> None:
        """Give a connection back for the next borrower."""
        with self._lock:
            if not self._is_closed:
                self._used_ns += monotonic_ns() - connection.taken_ns
                connection.taken_ns = 0
                self._idle.append(connection)
                if self._waiters:
                    self._changed.notify()
                return
        self.discard(connection, "pool_closed")

    def discard(self, connection: C, reason: str) -> None:
        """Give up a connection: "idle" and "pool_closed" politely, "error" and "stale" at once."""
        with self._lock:
            if connection.taken_ns:
                self._used_ns += monotonic_ns() - connection.taken_ns
                connection.taken_ns = 0
            self._size -= 1
            self._closed_count += 1
            self._changed.notify()
        try:
            if reason in {"idle", "pool_closed"}:
                connection.close()
            else:
                connection.abandon()
        finally:
            self._telemetry.connection_closed(connection.info, reason)

    # ---- keeping ------------------------------------------------------------------------------

    def take_idle(self, index: int) -> C | None:
        """Return the idle connection at `index` counted from the coldest, or None."""
        with self._lock:
            if index >= len(self._idle):
                return None
            connection = self._idle[index]
            del self._idle[index]
        return connection

    def take_hottest(self) -> C | None:
        """Return the idle connection that was used last, or None; neither waits nor connects."""
        with self._lock:
            return self._idle.pop() if self._idle else None

    def put_idle(self, connection: C, index: int = sys.maxsize) -> None:
        """Put a connection that was looked after back to its place; without one it is the hottest."""
        with self._lock:
            if not self._is_closed:
                self._idle.insert(min(index, len(self._idle)), connection)
                if self._waiters:
                    self._changed.notify()
                return
        self.discard(connection, "pool_closed")

    def is_expired(self, connection: C) -> bool:
        """Tell whether a connection has been idle for too long and there are enough without it."""
        return self._size > self._min_size and self.idle_s(connection) >= self._ttl_s

    def idle_s(self, connection: C) -> float:
        """Return for how long a connection has not been used."""
        return self._clock() - connection.used_s

    # ---- the end ------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the idle connections and refuse further borrowing; borrowed ones close on release."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            idle = list(self._idle)
            self._idle.clear()
            self._changed.notify_all()
        for connection in idle:
            self.discard(connection, "pool_closed")
        self._telemetry.pool_closed(self)

    def forget(self) -> None:
        """Start empty in a child process; the connections are the parent's."""
        for connection in self._idle:
            connection.forget()
        # Used by itself where nobody waits: an interrupt between taking and holding a `Condition`,
        # which is written in Python, would leave it locked for ever.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._idle = deque()
        self._size = self._opening = self._waiters = 0


def _failure(error: BaseException) -> str:
    """Return why a connection was not acquired, as telemetry names it."""
    if isinstance(error, AcquireTimeout):
        return "timeout"
    return "closed" if isinstance(error, ConnectionClosed) else "connect_failed"
