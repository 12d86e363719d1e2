"""The one thread that writes: exports out of the inbox, a few thousand records to a transaction."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Self

from tracedrpc import _threads
from tracedrpc_console.store.inbox import Inbox, Parcel
from tracedrpc_console.store.lock import WriterLock
from tracedrpc_console.store.put_logs import LogPutter
from tracedrpc_console.store.put_points import PointPutter
from tracedrpc_console.store.put_spans import SpanPutter
from tracedrpc_console.store.retention import Retention
from tracedrpc_console.store.schema import open_to_write
from tracedrpc_console.store.shelves import Shelves, rows_for
from tracedrpc_console.store.signals import Signal
from tracedrpc_console.store.sources import Sources

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tracedrpc_console.store.signals import Request

RETENTION_S: Final = 72 * 3600.0
MAX_BYTES: Final = 1024 * 1024 * 1024
BATCH_RECORDS: Final = 4000
IDLE_S: Final = 1.0
STEPS_MOST: Final = 8
"""Of retention after one transaction: more than what a transaction can bring in, and still short."""
WAL_SHARE: Final = 40
"""The write-ahead log is this part of the allowed size, within bounds."""
CLOSE_S: Final = 20.0
_log = logging.getLogger("tracedrpc.console")


class Writer:
    """Stores exports in a file, on a thread of its own, from its making until `close`.

    Args:
        path: the file; made when missing, readable by its owner only.
        retention_s: how long what has arrived is kept.
        max_bytes: how large the file may become, with a tenth of tolerance.
        inbox: where exports wait.
        shelf_rows: rows of one full-text table; by default as many as suit the size.

    Raises:
        StoreError: another process writes to the file, or it is none of ours.
    """

    def __init__(
        self,
        path: Path,
        *,
        retention_s: float = RETENTION_S,
        max_bytes: int = MAX_BYTES,
        inbox: Inbox | None = None,
        shelf_rows: int | None = None,
    ) -> None:
        self.path = path
        self._inbox = inbox or Inbox()
        self._lock = WriterLock(path)
        try:
            self._connection = _open(path, max_bytes)
        except BaseException:
            self._lock.release()
            raise
        self._arrivals = _Arrivals(self._connection)
        self._sources = Sources(self._connection)
        rows = shelf_rows or rows_for(max_bytes)
        spans, logs = Shelves(self._connection, "spans", rows), Shelves(self._connection, "logs", rows)
        self._points = PointPutter(self._connection, self._sources, self._arrivals.next)
        self._putters: dict[Signal, Any] = {
            Signal.TRACES: SpanPutter(self._connection, self._sources, spans, self._arrivals.next),
            Signal.LOGS: LogPutter(self._connection, self._sources, logs, self._arrivals.next),
            Signal.METRICS: self._points,
        }
        self._retention = Retention(self._connection, spans, logs, retention_s, max_bytes)
        self._dropped: Counter[tuple[str, str]] = Counter()
        self._dropped_guard = threading.Lock()
        self._has_told = False
        with self._transaction():
            self._connection.execute("DELETE FROM dropped")
        self._thread = _threads.start("console-writer", self._work)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def put(self, signal: Signal, request: Request, records: int, size: int) -> bool:
        """Take an export that `ingest` has checked; never waits. False when there is no room.

        Args:
            signal: what it is of.
            request: belongs to the writer from now on.
            records: how many spans, log records or points are in it.
            size: its bytes on the wire.
        """
        return self._inbox.put(Parcel(signal, request, records, size))

    def count_dropped(self, signal: Signal, reason: str, n: int) -> None:
        """Count records that were refused; they appear in `StoreStatus.dropped` with the next transaction."""
        with self._dropped_guard:
            self._dropped[signal.value, reason] += n

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until all that was put is stored and readers see it; False when the time is over before."""
        return self._inbox.wait_until_done(timeout_s)

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Store what was put, end the thread and let go of the file."""
        self._inbox.close()
        self._thread.join(timeout_s)

    def _work(self) -> None:
        try:
            while (parcels := self._inbox.take(BATCH_RECORDS, IDLE_S)) is not None:
                self._store(parcels)
                self._inbox.done(len(parcels))
                self._tidy()
        finally:
            self._connection.close()
            self._lock.release()

    def _store(self, parcels: list[Parcel]) -> None:
        """Store some parcels in one transaction; if that fails each in its own, and lose only the bad one."""
        try:
            with self._transaction():
                self._write(parcels)
        except Exception as error:  # noqa: BLE001 - one export must not end the thread that stores all others
            if len(parcels) > 1:
                for parcel in parcels:
                    self._store([parcel])
                return
            for signal, _, records, _ in parcels:
                self.count_dropped(signal, "not_stored", records)
            _log.exception("export_not_stored tracedrpc.where=console error.type=%s", type(error).__name__)

    def _write(self, parcels: list[Parcel]) -> None:
        for signal, putter in self._putters.items():
            requests = [parcel.request for parcel in parcels if parcel.signal is signal]
            if requests:
                putter.put(requests)
        self._sources.write_counts(self._arrivals.now_us())
        with self._dropped_guard:
            dropped = [(*key, n) for key, n in self._dropped.items()]
        self._connection.executemany(
            "INSERT INTO dropped VALUES (?, ?, ?) ON CONFLICT (signal, reason) "
            "DO UPDATE SET n = excluded.n WHERE n <> excluded.n",
            dropped,
        )

    def _tidy(self) -> None:
        """Remove what is too old or too much, in a few short transactions."""
        try:
            for _ in range(STEPS_MOST):
                with self._transaction():
                    has_removed = self._retention.step(self._arrivals.now_us())
                if not has_removed:
                    break
                self._sources.forget()
                self._points.forget()
            self._retention.shrink()
        except sqlite3.Error as error:
            if not self._has_told:
                _log.warning("retention_failed tracedrpc.where=console %s: %s", type(error).__name__, error)
            self._has_told = True

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._sources.forget()
            self._points.forget()
            raise


class _Arrivals:
    """Ids that are instants of arrival in microseconds, each only once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        rows = connection.execute(
            "SELECT max(id) FROM trace UNION ALL SELECT max(id) FROM log UNION ALL SELECT max(id) FROM point",
        )
        self._last = max((last or 0 for (last,) in rows), default=0)

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def next(self) -> int:
        self._last = max(self._last + 1, self.now_us())
        return self._last


def _open(path: Path, max_bytes: int) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    return open_to_write(path, wal_bytes=max_bytes // WAL_SHARE)
