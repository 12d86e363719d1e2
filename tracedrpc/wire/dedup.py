"""Which message ids have been seen lately."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Seen:
    """Remembers ids for a while, so that a message delivered twice is worked on once. Thread-safe.

    Bounded twice, by age and by number; the oldest are forgotten first.

    Args:
        window_s: how long an id is remembered, in seconds; 0 to remember nothing.
        most: how many ids are remembered; 0 to remember nothing.
        clock: seconds, monotonic.
    """

    def __init__(
        self, window_s: float, most: int, clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._window_s = window_s
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._known: set[str] = set()
        self._ids: deque[str] = deque()
        self._added_s: deque[float] = deque()

    def __len__(self) -> int:
        return len(self._known)

    def add(self, message_id: str) -> bool:
        """Remember an id; True when it is new. Seeing it again does not prolong its stay."""
        with self._lock:
            now_s = self._clock()
            while self._added_s and now_s - self._added_s[0] >= self._window_s:
                self._forget_oldest()
            if message_id in self._known:
                return False
            self._known.add(message_id)
            self._ids.append(message_id)
            self._added_s.append(now_s)
            if len(self._ids) > self._most:
                self._forget_oldest()
            return True

    def _forget_oldest(self) -> None:
        self._added_s.popleft()
        self._known.discard(self._ids.popleft())
