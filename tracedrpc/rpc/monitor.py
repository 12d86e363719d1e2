"""Tells callers that monitor their call that it is being worked on."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from math import isfinite
from typing import TYPE_CHECKING, Any, Final, Self

from tracedrpc import _threads

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracedrpc._scheduler import Job, Scheduler
    from tracedrpc.driver import Driver, Incoming
    from tracedrpc.telemetry import Telemetry

_SHORTEST_S: Final = 0.05
"""Least seconds between two heartbeats of one request; the peer chooses the interval."""
_NOTHING: Final = nullcontext()


class CallMonitor:
    """Sends heartbeats for requests whose callers asked for them, on the driver's scheduler."""

    def __init__(self, driver: Driver, telemetry: Telemetry) -> None:
        self._driver = driver
        self._telemetry = telemetry

    def watch(self, incoming: Incoming) -> AbstractContextManager[object]:
        """Send a heartbeat twice per monitor time-out, as long as the `with` block runs."""
        timeout_s = incoming.received.monitor_timeout_s
        if timeout_s is None or incoming.received.msg_id is None:
            return _NOTHING
        if not isfinite(timeout_s) or timeout_s <= 0:
            return _NOTHING
        interval_s = max(timeout_s / 2, _SHORTEST_S)
        # Asked each time: after a fork the driver has another scheduler.
        return _Watch(self._driver.scheduler, self._telemetry, incoming, interval_s)


class _Watch:
    """The heartbeats of one request. At most one is under way when the block is left."""

    __slots__ = ("_ended", "_incoming", "_interval_s", "_job", "_scheduler", "_telemetry")

    def __init__(
        self,
        scheduler: Scheduler,
        telemetry: Telemetry,
        incoming: Incoming,
        interval_s: float,
    ) -> None:
        self._scheduler = scheduler
        self._telemetry = telemetry
        self._incoming = incoming
        self._interval_s = interval_s
        self._ended = False
        self._job: Job | None = None

    def __enter__(self) -> Self:
        self._schedule()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ended = True
        if self._job is not None:
            self._job.cancel()

    def _schedule(self) -> None:
        job = self._scheduler.after(self._interval_s, self._beat)
        self._job = job
        if self._ended:
            job.cancel()

    def _beat(self) -> None:
        if self._ended:
            return
        try:
            self._incoming.heartbeat()
            self._telemetry.heartbeat_sent(self._incoming)
        finally:
            if not self._ended:
                self._schedule()


def watch_alone(incoming: Any) -> AbstractContextManager[object]:
    """Do the same for a request that none of our servers has received, on a thread of its own.

    Args:
        incoming: what has `client_timeout`, in seconds or None, and `heartbeat()`; the first
            heartbeat that raises is the last one.
    """
    timeout_s = incoming.client_timeout
    return _LoneWatch(incoming.heartbeat, max(timeout_s / 2, _SHORTEST_S)) if timeout_s else _NOTHING


class _LoneWatch:
    __slots__ = ("_ended", "_heartbeat", "_interval_s")

    def __init__(self, heartbeat: Callable[[], None], interval_s: float) -> None:
        self._heartbeat = heartbeat
        self._interval_s = interval_s
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        _threads.start("heartbeats", self._run)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(self._interval_s):
            try:
                self._heartbeat()
            except Exception:  # noqa: BLE001 - broker or caller are gone: the caller will time out
                return
