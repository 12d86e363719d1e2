"""Exports on their way to the writer: a bounded queue that never makes a sender wait."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from tracedrpc_console.store.signals import Request, Signal

BYTES_MOST: Final = 16 * 1024 * 1024


class Parcel(NamedTuple):
    """An export request that was accepted.

    Attributes:
        records: spans, log records or points in it.
        size: its bytes on the wire.
    """

    signal: Signal
    request: Request
    records: int
    size: int


class Inbox:
    """Parcels in the order of arrival. Thread-safe.

    Args:
        bytes_most: parcels are taken as long as less than this lies here.
    """

    def __init__(self, bytes_most: int = BYTES_MOST) -> None:
        self._bytes_most = bytes_most
        self._parcels: deque[Parcel] = deque()
        self._bytes = 0
        self._put = 0
        self._done = 0
        self._is_closed = False
        self._changed = threading.Condition()

    def put(self, parcel: Parcel) -> bool:
        """Take a parcel; False when there is no room, or it is closed."""
        with self._changed:
            if self._is_closed or self._bytes >= self._bytes_most:
                return False
            self._parcels.append(parcel)
            self._bytes += parcel.size
            self._put += 1
            self._changed.notify_all()
            return True

    def take(self, records_most: int, timeout_s: float) -> list[Parcel] | None:
        """Return what lies here, up to about so many records; [] after `timeout_s`, None once closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._parcels or self._is_closed, timeout_s)
            if not self._parcels:
                return None if self._is_closed else []
            taken: list[Parcel] = []
            records = 0
            while self._parcels and records < records_most:
                parcel = self._parcels.popleft()
                taken.append(parcel)
                records += parcel.records
                self._bytes -= parcel.size
            return taken

    def done(self, n: int) -> None:
        """Say that so many taken parcels are stored, or given up."""
        with self._changed:
            self._done += n
            self._changed.notify_all()

    def wait_until_done(self, timeout_s: float) -> bool:
        """Wait until all that was put before this call is done; False when the time is over before."""
        with self._changed:
            wanted = self._put
            return self._changed.wait_for(lambda: self._done >= wanted, timeout_s)

    def close(self) -> None:
        """Take nothing more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
