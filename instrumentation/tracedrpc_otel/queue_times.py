"""How long requests waited in their queues, as their server can tell by itself.

The sender's clock says when a request was sent and ours when it was delivered. Where the clocks
agree, what is between is the wait. Where they do not, it is the wait and the difference of the
clocks, and there is one thing that tells these apart: a request that came when a worker here was free
and nothing else had come for a while has not waited, so what it seems to have waited is the
difference. Also nothing waits for less than no time. (The smallest time ever seen would not do: in a
queue that is never empty it is a wait.)
"""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic_ns
from typing import TYPE_CHECKING, Final, NamedTuple

from tracedrpc.clocks import RETURN_NS, Quality

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracedrpc.driver import Incoming

MOST_SENDERS: Final = 1000
AGREEING_NS: Final = 5_000_000
"""Clocks that differ by less are believed: such a time may as well be the network and a busy machine."""
QUIET_NS: Final = 20_000_000
"""For so long a worker must have been free and nothing have come: the broker sends what it holds at once."""
_KEPT: Final = 8
_STEP_NS: Final = 100_000_000
"""When two requests in a row that cannot have waited seem to by so much more, a clock was set."""
_SAME_PROCESS: Final = "memory"


class QueueTime(NamedTuple):
    """How long a request was in its queue and on the way there, and how that is known."""

    ns: int
    quality: Quality


class QueueTimes:
    """Knows the clocks of those who send us requests, by their reply queues. Thread-safe.

    Args:
        clock: monotonic, in ns.
    """

    def __init__(self, clock: Callable[[], int] = monotonic_ns) -> None:
        self._clock = clock
        self._floors: dict[str, deque[int]] = {}
        self.forget()

    def forget(self) -> None:
        """Begin without requests, in a child process too; what is known of clocks stays true."""
        self._lock = threading.Lock()
        self._workers = 1
        self._is_serving = False
        self._busy = 0
        self._quiet_since_ns = self._clock()

    # ---- how busy we are ----------------------------------------------------------------------

    def serve(self, workers: int) -> None:
        """A server with so many workers has started; the smallest one counts."""
        with self._lock:
            self._workers = min(self._workers, workers) if self._is_serving else workers
            self._is_serving = True

    def listen(self) -> None:
        """A queue begins to be consumed from: what comes next may have waited for that."""
        with self._lock:
            self._quiet_since_ns = self._clock()

    def begin(self, incoming: Incoming) -> QueueTime | None:
        """Count a request that is worked on and return how long it waited; None when nobody knows."""
        with self._lock:
            waited = self._waited(incoming)
            self._busy += 1
            self._quiet_since_ns = max(self._quiet_since_ns, incoming.timeline.delivered_ns)
            return waited

    def end(self) -> None:
        """Count a request that was answered."""
        with self._lock:
            if self._busy >= self._workers:
                self._quiet_since_ns = self._clock()
            self._busy = max(0, self._busy - 1)

    # ---- how long it waited -------------------------------------------------------------------

    def _waited(self, incoming: Incoming) -> QueueTime | None:
        received, timeline = incoming.received, incoming.timeline
        if not received.sent_ns:
            return None
        seen_ns = timeline.delivered_wall_ns - received.sent_ns
        floor_ns = self._floor_ns(incoming, seen_ns)
        waited = QueueTime(seen_ns, Quality.SENDER_CLOCK)
        if floor_ns is not None and not 0 <= floor_ns <= AGREEING_NS:
            waited = QueueTime(max(0, seen_ns - floor_ns) + RETURN_NS, Quality.ESTIMATED)
        is_call = received.msg_id is not None and received.timeout_s is not None
        limit_ns = (received.timeout_s or 0) * 1e9 if is_call else waited.ns
        # No broker delivers a call after its time.
        return waited if 0 <= waited.ns <= limit_ns else None

    def _floor_ns(self, incoming: Incoming, seen_ns: int) -> int | None:
        """Return what a request from this sender seems to wait when it does not wait at all."""
        sender = incoming.received.reply_queue
        if not sender or incoming.system == _SAME_PROCESS:
            return None
        floors = self._floors.get(sender)
        if seen_ns < 0 or (floors and seen_ns < min(floors)) or self._has_not_waited(incoming):
            floors = self._learn(sender, floors, seen_ns)
        return min(floors) if floors else None

    def _has_not_waited(self, incoming: Incoming) -> bool:
        if incoming.redelivered or incoming.received.dead_letter is not None:
            return False
        is_free = self._busy < self._workers
        return is_free and incoming.timeline.delivered_ns - self._quiet_since_ns >= QUIET_NS

    def _learn(self, sender: str, floors: deque[int] | None, seen_ns: int) -> deque[int]:
        if floors is None:
            if len(self._floors) >= MOST_SENDERS:
                del self._floors[next(iter(self._floors))]
            floors = self._floors[sender] = deque(maxlen=_KEPT)
        floors.append(seen_ns)
        if len(floors) > 1 and min(floors[-1], floors[-2]) - min(floors) > _STEP_NS:
            floors = self._floors[sender] = deque((floors[-2], floors[-1]), _KEPT)
        return floors
