"""One thread that runs short jobs when they are due: heartbeats, retries."""

from __future__ import annotations

import heapq
import itertools
import threading
from time import monotonic
from typing import TYPE_CHECKING, Final

from tracedrpc import _threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracedrpc.telemetry import Telemetry


COMPACT_AT: Final = 256
"""From how many jobs on to look for cancelled ones."""


class Job:
    """A job that was scheduled; `cancel()` it from any thread."""

    __slots__ = ("_run", "due_s")

    def __init__(self, due_s: float, run: Callable[[], None]) -> None:
        self.due_s = due_s
        self._run: Callable[[], None] | None = run

    def cancel(self) -> None:
        """Do not run it, if it has not begun."""
        self._run = None

    def take(self) -> Callable[[], None] | None:
        """Return what to run, or None when it was cancelled."""
        return self._run


class Scheduler:
    """Runs jobs at their time on the thread `tracedrpc-scheduler`, which starts with the first job.

    A job should be short; it may publish, so it may wait for a connection, and then the jobs
    behind it are late.
    """

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._changed = threading.Condition(threading.Lock())
        self._heap: list[tuple[float, int, Job]] = []
        self._order = itertools.count()
        self._compact_at = COMPACT_AT
        self._thread: threading.Thread | None = None
        self._closed = False

    def after(self, delay_s: float, run: Callable[[], None]) -> Job:
        """Run `run` on the scheduler's thread in `delay_s` seconds; nothing runs once closed."""
        job = Job(monotonic() + delay_s, run)
        with self._changed:
            if self._closed:
                return job
            if len(self._heap) >= self._compact_at:
                self._compact()
            heapq.heappush(self._heap, (job.due_s, next(self._order), job))
            if self._thread is None:
                self._thread = _threads.start("scheduler", self._run)
            elif self._heap[0][2] is job:
                self._changed.notify()
        return job

    def _compact(self) -> None:
        """Forget cancelled jobs, which would else stay until they are due."""
        self._heap = [entry for entry in self._heap if entry[2].take() is not None]
        heapq.heapify(self._heap)
        self._compact_at = max(COMPACT_AT, 2 * len(self._heap))

    def __len__(self) -> int:
        return len(self._heap)

    def close(self, timeout_s: float = 1.0) -> None:
        """Forget what has not begun and end the thread."""
        with self._changed:
            self._closed = True
            self._heap.clear()
            self._changed.notify()
            thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)

    def _run(self) -> None:
        while (job := self._next()) is not None:
            run = job.take()
            if run is None:
                continue
            try:
                run()
            except Exception as error:  # noqa: BLE001 - the thread must outlive any job
                self._telemetry.background_failed("scheduler", error)

    def _next(self) -> Job | None:
        with self._changed:
            while not self._closed:
                if not self._heap:
                    self._changed.wait()
                    continue
                left_s = self._heap[0][0] - monotonic()
                if left_s <= 0:
                    return heapq.heappop(self._heap)[2]
                self._changed.wait(left_s)
        return None
