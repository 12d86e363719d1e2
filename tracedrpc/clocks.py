"""How far the clocks of servers are from ours, from nothing but the times of calls.

A call tells two things about a server's clock: its request cannot have arrived before it was sent,
and its reply cannot have been seen before it left. Each reply so gives an interval that holds the
difference, as wide as the two ways took together; the intervals of several calls overlap in a
narrow one. No clock has to be right, and none is asked.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

MOST_SERVERS: Final = 1000
WINDOW_NS: Final = 30_000_000_000
"""How long an interval is trusted: a clock that NTP slews drifts at most 500 us a second."""
RETURN_NS: Final = 250_000
"""What a reply's way takes at least half of the time: nobody queues there, the caller is reading.
It decides only where in a wide interval to look, on the first calls to a server."""


class Quality(StrEnum):
    """How the request's way and the reply's way were told apart."""

    SENDER_CLOCK = "sender_clock"
    """Both clocks agree as far as can be told, and are believed."""
    ESTIMATED = "estimated"
    """They do not; the difference was estimated and taken out."""


class Interval(NamedTuple):
    """Bounds of (server's clock - our clock), in ns; `at_ns` is when it was learnt, monotonic."""

    low_ns: int
    high_ns: int
    at_ns: int


class Clocks:
    """The intervals of the servers that answered lately. Thread-safe: a lost update costs nothing."""

    def __init__(self) -> None:
        self._recent: dict[str, Interval] = {}
        self._former: dict[str, Interval] = {}

    def skew_ns(self, server: str, low_ns: int, high_ns: int, at_ns: int) -> tuple[int, Quality]:
        """Learn from one call and return by how much that server's clock is ahead of ours.

        Args:
            server: its name; "" when it has none, and then this call alone must tell.
            low_ns: the least that the call itself allows.
            high_ns: the most.
            at_ns: when its reply was seen, monotonic.
        """
        if server:
            low_ns, high_ns = self._learn(server, low_ns, high_ns, at_ns)
        if low_ns <= 0 <= high_ns:
            return 0, Quality.SENDER_CLOCK
        return low_ns + min((high_ns - low_ns) // 2, RETURN_NS), Quality.ESTIMATED

    def forget(self) -> None:
        """Begin anew."""
        self._recent.clear()
        self._former.clear()

    def _learn(self, server: str, low_ns: int, high_ns: int, at_ns: int) -> tuple[int, int]:
        known = self._recent.get(server)
        if known is not None and server not in self._former and _is_old(known, low_ns, high_ns, at_ns):
            return known.low_ns, known.high_ns
        recent = _met(known, low_ns, high_ns) or Interval(low_ns, high_ns, at_ns)
        if at_ns - recent.at_ns > WINDOW_NS:
            # What was learnt in this window helps during the next one, and is then forgotten.
            self._former[server] = recent
            recent = Interval(low_ns, high_ns, at_ns)
        elif len(self._recent) >= MOST_SERVERS and server not in self._recent:
            self.forget()
        self._recent[server] = recent
        former = self._former.get(server)
        if former is not None and at_ns - former.at_ns > 3 * WINDOW_NS:
            former = None
        both = _met(former, recent.low_ns, recent.high_ns) or recent
        return both.low_ns, both.high_ns


def _is_old(known: Interval, low_ns: int, high_ns: int, at_ns: int) -> bool:
    """Tell whether an interval is no narrower than what is known: nearly all tell nothing new."""
    return low_ns <= known.low_ns and known.high_ns <= high_ns and at_ns - known.at_ns <= WINDOW_NS


def _met(known: Interval | None, low_ns: int, high_ns: int) -> Interval | None:
    """Return what two intervals have in common; None when nothing: a clock was set meanwhile."""
    if known is None:
        return None
    low_ns, high_ns = max(low_ns, known.low_ns), min(high_ns, known.high_ns)
    return Interval(low_ns, high_ns, known.at_ns) if low_ns <= high_ns else None


CLOCKS: Final = Clocks()
"""Those of this process."""
