"""Hands things to an exporter in batches, on a thread of its own, and counts what gets lost.

Instead of the SDK's batch processor, whose shutdown takes 30 s when the endpoint is down, whose
flush ignores its time-out, and which does not say how much it dropped.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, set_value

from tracedrpc import _threads
from tracedrpc.telemetry import Telemetry
from tracedrpc_otel.forks import weakly

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """Limits of a batcher; the defaults are those of OpenTelemetry's specification."""

    max_queue_size: int = 2048
    max_batch_size: int = 512
    delay_s: float = 5.0

    @classmethod
    def from_environment(cls, prefix: str = "OTEL_BSP", delay_s: float = 5.0) -> BatchOptions:
        """Return what `OTEL_BSP_*` says; a value that is no positive number is ignored.

        Args:
            prefix: "OTEL_BSP" for spans, "OTEL_BLRP" for log records.
            delay_s: the delay when nothing is said.
        """
        default = cls()
        size = positive(f"{prefix}_MAX_QUEUE_SIZE", default.max_queue_size)
        batch = positive(f"{prefix}_MAX_EXPORT_BATCH_SIZE", default.max_batch_size)
        delay_ms = positive(f"{prefix}_SCHEDULE_DELAY", int(delay_s * 1e3))
        return cls(size, min(size, batch), delay_ms / 1e3)


class Batcher(Generic[Item]):
    """Owns a bounded queue and the thread that empties it, which starts with the first item.

    `export` is called on that thread and returns whether the batch arrived. Whatever is refused
    because the queue is full, fails, or is left when `close` gives up counts as dropped.
    """

    def __init__(self, name: str, export: Callable[[Sequence[Item]], bool], options: BatchOptions) -> None:
        self._name = name
        self._export = export
        self._options = options
        self._reported = False
        self._closed = False
        self._reset()
        os.register_at_fork(after_in_child=weakly(self._reset))

    def _reset(self) -> None:
        """Begin from nothing; a forked child has neither the thread nor a claim to the items."""
        self._changed = threading.Condition()
        self._queue: deque[Item] = deque()
        self._thread: threading.Thread | None = None
        self._hurried = 0
        self._accepted = self._exported = self._refused = self._failed = 0

    @property
    def dropped(self) -> int:
        """How many items did not arrive; after `close`, those without an answer are among them."""
        with self._changed:
            if self._closed:
                return self._refused + self._accepted - self._exported
            return self._refused + self._failed

    @property
    def exported(self) -> int:
        """How many items arrived."""
        return self._exported

    def put(self, item: Item) -> None:
        """Take an item; never blocks on the exporter."""
        with self._changed:
            is_full = len(self._queue) >= self._options.max_queue_size
            if self._closed or is_full or not self._has_thread():
                self._refused += 1
                return
            self._queue.append(item)
            self._accepted += 1
            if len(self._queue) in {1, self._options.max_batch_size}:
                self._changed.notify_all()

    def hurry(self) -> int:
        """Begin to export what is queued now; return the mark for `wait`."""
        with self._changed:
            self._hurried = self._accepted
            self._changed.notify_all()
            return self._hurried

    def wait(self, mark: int, timeout_s: float) -> bool:
        """Wait until all that was taken before a mark has its answer; False when it has not."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._answered() >= mark, timeout_s)
            return self._answered() >= mark

    def close(self) -> None:
        """Take nothing more, and give up what is queued."""
        with self._changed:
            self._closed = True
            self._queue.clear()
            self._changed.notify_all()

    def _answered(self) -> int:
        return self._exported + self._failed

    def _has_thread(self) -> bool:
        """Start the thread when there is none; False when the process can start no more."""
        if self._thread is None:
            try:
                self._thread = _threads.start(f"export-{self._name}", self._run)
            except RuntimeError:  # too many, or the interpreter is ending
                return False
        return True

    def _run(self) -> None:
        # Or an instrumented HTTP client would trace our own exports, for ever.
        attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, value=True))
        while batch := self._next():
            arrived = self._try(batch)
            with self._changed:
                if arrived:
                    self._exported += len(batch)
                else:
                    self._failed += len(batch)
                self._changed.notify_all()

    def _next(self) -> list[Item]:
        """Wait for a batch; an empty one means that all is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._queue)
            self._changed.wait_for(lambda: self._closed or self._is_hurried(), self._options.delay_s)
            count = min(len(self._queue), self._options.max_batch_size)
            return [self._queue.popleft() for _ in range(count)]

    def _is_hurried(self) -> bool:
        return len(self._queue) >= self._options.max_batch_size or self._answered() < self._hurried

    def _try(self, batch: Sequence[Item]) -> bool:
        try:
            return self._export(batch)
        except Exception as error:  # noqa: BLE001 - an exporter must not end this thread
            if not self._reported:
                self._reported = True
                Telemetry().telemetry_failed(f"export of {self._name}", error)
            return False


def positive(variable: str, default: int) -> int:
    """Return a variable's positive whole number, else the default."""
    try:
        value = int(os.environ.get(variable, default))
    except ValueError:
        return default
    return value if value > 0 else default
