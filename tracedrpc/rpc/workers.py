"""Where requests run: on a bounded set of threads, or in the thread that brings them."""

from __future__ import annotations

import queue
import sys
import threading
import warnings
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Final

from tracedrpc import _threads
from tracedrpc.exceptions import ExecutorLoadFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    Job = Callable[[], None]

_LAST_STEPS_S: Final = 1.0
"""How long to wait for a thread that has nothing more to do than to end."""

EXECUTORS: Final = ("threading", "blocking", "eventlet")


class ThreadWorkers:
    """Runs jobs on threads `tracedrpc-worker-<n>`, of which each is started when first needed.

    A reservation is a promise of one thread: `submit` never waits. Each job runs in an empty
    context, so that no context variable passes from one request to the next.

    Args:
        size: how many jobs run at once at the most.
        name: what the threads are called.
    """

    def __init__(self, size: int, name: str = "worker") -> None:
        if size < 1:
            raise ValueError(f"a server needs at least one worker, not {size}")
        self.size = size
        self._name = name
        self._changed = threading.Condition(threading.Lock())
        # Looked up now, not at import: eventlet may have replaced it in between.
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._reserved = 0
        """Workers promised or at work."""
        self._submitted = 0
        """Jobs handed over and not yet finished."""
        self._refused = False
        self._stopped = False
        self._wake: Job | None = None

    def reserve(self) -> bool:
        """Reserve one worker; False when all are busy, then `when_free` is called once."""
        with self._changed:
            if self._stopped:
                return False
            if self._reserved == self.size or not self._has_thread_for(self._reserved + 1):
                self._refused = True
                return False
            self._reserved += 1
            return True

    def _has_thread_for(self, count: int) -> bool:
        """Start the thread that a reservation promises; False when the system gives none."""
        if count <= len(self._threads):
            return True
        try:
            thread = _threads.start(f"{self._name}-{len(self._threads) + 1}", self._work)
        except RuntimeError:
            return False
        self._threads.append(thread)
        return True

    def submit(self, job: Job) -> None:
        """Run the job on the worker reserved before; the job must not raise."""
        with self._changed:
            self._submitted += 1
            if self._stopped:
                _threads.start(f"{self._name}-late", partial(self._run, job))
                return
        self._jobs.put(job)

    def when_free(self, wake: Job) -> None:
        """Say what to call, in a worker's thread, when one is free after a refused `reserve`."""
        self._wake = wake

    def stop(self, timeout_s: float | None = None) -> bool:
        """Refuse further jobs and wait until those handed over are finished.

        A job that stops its own workers does not wait for itself.

        Returns:
            False when some were still running after `timeout_s` seconds; they go on.
        """
        own = int(threading.current_thread() in self._threads)
        with self._changed:
            was_stopped, self._stopped = self._stopped, True
            done = self._changed.wait_for(lambda: self._submitted <= own, timeout_s)
        for _ in () if was_stopped else self._threads:
            self._jobs.put(None)
        for thread in self._threads if done else ():
            if thread is not threading.current_thread():
                thread.join(_LAST_STEPS_S)
        return done

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._run(job)

    def _run(self, job: Job) -> None:
        try:
            Context().run(job)
        except BaseException:  # noqa: BLE001 - a worker outlives any job, SystemExit too
            current = threading.current_thread()
            threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), current)))
        with self._changed:
            self._submitted -= 1
            self._reserved -= 1
            wake = self._wake if self._refused else None
            self._refused = False
            if self._stopped:
                self._changed.notify_all()
        if wake is not None:
            wake()


class InlineWorkers:
    """Runs each job at once, in the thread that submits it; there is always one free.

    On the memory driver that is the caller's thread, so a call needs no thread at all. On RabbitMQ
    it is the listener's: one request at a time.
    """

    def __init__(self) -> None:
        self.size = 1
        self._changed = threading.Condition(threading.Lock())
        self._busy: list[int] = []
        """Threads at work; one that serves a call made by its own job is in it twice."""
        self._stopped = False

    def reserve(self) -> bool:
        """Return True: the thread that asks is the worker."""
        return True

    def submit(self, job: Job) -> None:
        """Run the job, in an empty context like on a thread of its own."""
        thread_id = threading.get_ident()
        self._busy.append(thread_id)
        try:
            Context().run(job)
        finally:
            self._busy.remove(thread_id)
            if self._stopped:
                with self._changed:
                    self._changed.notify_all()

    def when_free(self, wake: Job) -> None:
        """Do nothing: no reservation is ever refused."""

    def stop(self, timeout_s: float | None = None) -> bool:
        """Wait until jobs in other threads are finished; False when some are still running."""
        own = threading.get_ident()
        with self._changed:
            self._stopped = True
            return self._changed.wait_for(lambda: set(self._busy) <= {own}, timeout_s)


def check_executor(name: str | None) -> None:
    """Complain about an executor that does not exist.

    "eventlet" is the same as "threading": in a process that eventlet has patched, threads are
    green already, and in another one real threads serve as well.

    Raises:
        ExecutorLoadFailure: there is none of that name.
    """
    if name is not None and name not in EXECUTORS:
        raise ExecutorLoadFailure(name, f"there are {', '.join(EXECUTORS)}, and None for threading")
    if name == "eventlet" and "eventlet" not in sys.modules:
        warnings.warn(
            "executor='eventlet' means 'threading': this process does not use eventlet",
            DeprecationWarning,
            stacklevel=4,
        )


def make_workers(executor: str | None, size: int) -> ThreadWorkers | InlineWorkers:
    """Return workers of the kind that an executor's name stands for."""
    return InlineWorkers() if executor == "blocking" else ThreadWorkers(size)
