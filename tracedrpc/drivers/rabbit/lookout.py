"""Sees a broker come back, so that nobody sleeps through its return."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Final

from tracedrpc._deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

STEP_S: Final = 0.15
"""How often to look up from a pause, and to knock: a new call is to succeed within 0.5 s."""
KNOCK_S: Final = 0.1
"""How long a knock waits for an answer; a deadline must not be overrun by more."""

Address = tuple[str, int]


class Lookout:
    """Where the threads of a transport pause between attempts to reach a broker; any thread.

    Pauses grow to seconds, or a thousand clients would trample a broker that is just starting. Meanwhile
    one of those who pause knocks at the ports: a TCP connection that is closed at once. When a
    broker answers, or a connection was opened by anybody here, all pauses end. Who answers knocks
    and then does not let in, as a proxy before a dead broker does, is not knocked at again.

    Args:
        addresses: returns the numeric addresses and ports to knock at.
        is_alert: False lets every pause last; so somebody wants it who spreads reconnects by a splay.
    """

    def __init__(self, addresses: Callable[[], Collection[Address]], *, is_alert: bool = True) -> None:
        self._addresses = addresses
        self._is_alert = is_alert
        self._knocking = threading.Lock()
        self._knock_at = Deadline.after(0)
        self._sightings = 0
        self._has_answered = False
        self._is_trusted = True

    def opened(self) -> None:
        """A connection was opened."""
        self._has_answered, self._is_trusted = False, True
        self._sightings += 1

    def failed(self) -> None:
        """A connection could not be opened."""
        if self._has_answered:
            self._is_trusted = False

    def pause(self, seconds: float, over: threading.Event) -> bool:
        """Wait until a broker was seen or `over` is set, but no longer than that; tell whether it is set."""
        if not self._is_alert:
            return over.wait(seconds)
        before, limit = self._sightings, Deadline.after(seconds)
        while not over.wait(min(STEP_S, limit.left_s())):
            if limit.is_expired() or self._sightings != before:
                return False
            self._knock(limit)
        return True

    def _knock(self, limit: Deadline) -> None:
        if self._is_trusted and self._knock_at.is_expired() and self._knocking.acquire(blocking=False):
            try:
                self._knock_at = Deadline.after(STEP_S)
                if any(_answers(address, limit) for address in self._addresses()):
                    self._has_answered = True
                    self._sightings += 1
            finally:
                self._knocking.release()


def _answers(address: Address, limit: Deadline) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(address, min(KNOCK_S, max(limit.left_s(), 0.001))).close()
        return True
    return False
