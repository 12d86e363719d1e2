"""Asks the broker how a queue stands, for a call that has just timed out."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from tracedrpc._deadline import Deadline
from tracedrpc.drivers.rabbit.errors import BROKEN, reason_of

if TYPE_CHECKING:
    from tracedrpc.drivers.rabbit.link import Link, QueueState
    from tracedrpc.drivers.rabbit.pool import ConnectionPool
    from tracedrpc.telemetry import Telemetry

ASK_S: Final = 0.09
"""How long a caller may be kept beyond its deadline by a question; the goal is 0.1 s in all."""


class _Question:
    """One question under way, and who else waits for its answer."""

    __slots__ = ("answer", "answered")

    def __init__(self) -> None:
        self.answered = threading.Event()
        self.answer: QueueState | None = None


class Questions:
    """Asks in the calling thread, on a connection of the pool that is idle, one question per queue at a time.

    Who asks about a queue while somebody else does gets the same answer. No connection is waited
    for or made; one that does not answer is given up, because nobody knows what it will answer to.
    """

    def __init__(self, pool: ConnectionPool[Link], telemetry: Telemetry) -> None:
        self._pool = pool
        self._telemetry = telemetry
        self._lock = threading.Lock()
        self._asked: dict[str, _Question] = {}

    def ask(self, queue: str, limit_s: float) -> QueueState | None:
        """Return how a queue stands, or None when that was not to be had in `limit_s` seconds."""
        deadline = Deadline.after(limit_s)
        with self._lock:
            question = self._asked.get(queue)
            is_mine = question is None
            if question is None:
                question = self._asked[queue] = _Question()
        if not is_mine:
            question.answered.wait(deadline.left_s())
            return question.answer
        try:
            question.answer = self._answer(queue, deadline)
        finally:
            with self._lock:
                del self._asked[queue]
            question.answered.set()
        return question.answer

    def _answer(self, queue: str, deadline: Deadline) -> QueueState | None:
        link = self._pool.take_hottest()
        if link is None:
            return None
        try:
            answer = self._ask_on(link, queue, deadline)
        except BROKEN as error:
            link.failure = reason_of(error)
            self._telemetry.connection_lost(link.info, link.failure.value)
            self._pool.discard(link, "error")
            return None
        except BaseException:
            self._pool.discard(link, "error")
            raise
        self._pool.put_idle(link)
        return answer

    def _ask_on(self, link: Link, queue: str, deadline: Deadline) -> QueueState | None:
        link.read(0)  # it may have been blocked, or closed, while nobody looked
        return None if link.is_blocked else link.look_at(queue, deadline.left_s())
