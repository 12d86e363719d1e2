"""The thread that looks after idle connections: confirms, heartbeats, expiry."""

from __future__ import annotations

import contextlib
import threading
from time import monotonic
from typing import TYPE_CHECKING, Final

from tracedrpc import _threads
from tracedrpc.drivers.rabbit.errors import BROKEN, reason_of

if TYPE_CHECKING:
    from tracedrpc.drivers.rabbit.link import Link
    from tracedrpc.drivers.rabbit.pool import ConnectionPool
    from tracedrpc.options import Options
    from tracedrpc.telemetry import Telemetry

TICK_S: Final = 0.05
"""How often confirms are collected while any is missing: so late is an unroutable call noticed
when nobody else uses its link."""


class Keeper:
    """Owns one idle connection at a time, on the thread `tracedrpc-keeper`.

    It never connects: a connection that has died while idle is closed and forgotten, and the next
    borrower opens another.
    """

    def __init__(self, pool: ConnectionPool[Link], options: Options, telemetry: Telemetry) -> None:
        self._pool = pool
        self._telemetry = telemetry
        self._rate = options.heartbeat_rate
        heartbeat_s = options.heartbeat_timeout_threshold or 60.0
        self._calm_s = min(heartbeat_s / (2 * options.heartbeat_rate), max(options.conn_pool_ttl / 4, 0.05))
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._start_lock = threading.Lock()
        self._is_busy = False
        self._heartbeat_due_s = 0.0

    def watch(self) -> None:
        """Say that a connection has gone back with confirms missing; any thread, cheap."""
        if self._is_busy:
            return
        if self._thread is None and not self._has_started():
            return
        self._is_busy = True
        self._wake.set()

    def _has_started(self) -> bool:
        """Start the thread; one that the system does not give is asked for again the next time."""
        with self._start_lock, contextlib.suppress(RuntimeError):
            if self._thread is None and not self._closing.is_set():
                self._thread = _threads.start("keeper", self._run)
        return self._thread is not None

    def close(self) -> None:
        """End the thread."""
        self._closing.set()
        self._wake.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(2.0)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._rest()
            if self._closing.is_set():
                return
            # Cleared before looking: what is reported while we look is looked at in the next round.
            self._is_busy = False
            try:
                if self._look_after_all():
                    self._is_busy = True
            except Exception as error:  # noqa: BLE001 - the thread must outlive any fault
                self._telemetry.background_failed("keeper", error)

    def _rest(self) -> None:
        if self._is_busy:
            self._closing.wait(TICK_S)
        else:
            self._wake.wait(self._calm_s)
        self._wake.clear()

    def _look_after_all(self) -> bool:
        """Visit each idle connection once; True when confirms are still missing somewhere."""
        now_s = monotonic()
        is_beat_due = now_s >= self._heartbeat_due_s
        if is_beat_due:
            self._heartbeat_due_s = now_s + self._calm_s
        missing = False
        index = 0
        while (link := self._pool.take_idle(index)) is not None:
            if self._look_after(link, index, is_beat_due=is_beat_due):
                index += 1
                missing = missing or bool(link.unsettled)
        return missing

    def _look_after(self, link: Link, index: int, *, is_beat_due: bool) -> bool:
        """Read, heartbeat, expire; True when the connection went back to the pool."""
        if self._pool.is_expired(link) and not link.unsettled:
            self._telemetry.connection_expired(link.info, self._pool.idle_s(link))
            self._pool.discard(link, "idle")
            return False
        try:
            link.read(0)
            if is_beat_due:
                link.heartbeat(self._rate)
        except BROKEN as error:
            link.failure = reason_of(error)
            self._telemetry.connection_lost(link.info, link.failure.value)
            self._pool.discard(link, "stale")
            return False
        except BaseException:
            self._pool.discard(link, "error")
            raise
        self._pool.put_idle(link, index)
        return True
