"""Drives the example services: every scenario in each round, and many calls of the common one."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Final

import tracedrpc as messaging
from tracedrpc_console import expected
from tracedrpc_console.services import targets

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

USERS: Final = 3
"""Threads that boot instances all the time."""
PAUSE_S: Final = 0.02
TICK_S: Final = 0.1
NOBODY_LIMIT_S: Final = 1.0


class Surprise(Exception):
    """A call ended otherwise than the scenario has it."""


class Traffic:
    """The users. Thread-safe.

    Args:
        transport: what they call with.
        connect: gives another transport, which has no connection yet.

    Attributes:
        calls: how many were made so far in this round, by the name of the root span.
        errors: how many of them failed as they were meant to.
        timeouts: the time-outs' own texts.
        surprises: what went otherwise than meant.
    """

    def __init__(
        self,
        transport: messaging.Transport,
        connect: Callable[[], AbstractContextManager[messaging.Transport]],
    ) -> None:
        self._connect = connect
        self._api = messaging.get_rpc_client(transport, targets.API, timeout=15)
        self._compute = messaging.get_rpc_client(transport, targets.COMPUTE)
        self._lock = threading.Lock()
        self._names = itertools.count(1)
        self._stop = threading.Event()
        self._begin()

    def round(self, seconds: float, on_tick: Callable[[float], None]) -> None:
        """Drive for some seconds, and then until every call has ended.

        Args:
            seconds: how long new calls are made.
            on_tick: called ten times a second with the seconds since the start.
        """
        self._begin()
        began = time.monotonic()
        with ThreadPoolExecutor(USERS + 6, thread_name_prefix="traffic") as pool:
            running: set[Future[None]] = {pool.submit(self._once, each) for each in self._rare()}
            running |= {pool.submit(self._users, began + seconds) for _ in range(USERS)}
            try:
                while running:
                    _, running = wait(running, TICK_S, FIRST_EXCEPTION)
                    on_tick(min(seconds, time.monotonic() - began))
            finally:
                self._stop.set()

    def total(self) -> tuple[int, int]:
        """Return (calls, errors) of this round so far."""
        with self._lock:
            return self.calls.total(), self.errors

    # ---- scenarios ------------------------------------------------------------------------------

    def boot(self) -> None:
        """A chain of calls that ends in a cast."""
        self._count(expected.BOOT)
        self._api.call({}, "boot_instance", name=f"vm-{next(self._names)}")

    def refresh(self) -> None:
        """A fanout."""
        self._count(expected.REFRESH)
        self._api.call({}, "refresh_hosts")

    def migrate(self) -> None:
        """A slow call that heartbeats keep alive."""
        self._count(expected.MIGRATE)
        self._api.call({}, "migrate_instance", name="vm-1")

    def delete(self) -> None:
        """A remote error."""
        self._count(expected.DELETE)
        try:
            self._api.call({}, "delete_instance", name="vm-0")
        except messaging.RemoteError:
            self._count_error()
        else:
            raise Surprise("delete_instance did not raise")

    def nobody(self) -> None:
        """A call to a server that does not exist."""
        self._count(expected.NOBODY)
        host = self._compute.prepare(server=targets.NO_HOST, timeout=NOBODY_LIMIT_S)
        self._time_out(lambda: host.call({}, "boot_instance", name="vm-0"))

    def too_slow(self) -> None:
        """A call whose handler needs longer than its caller waits."""
        self._count(expected.TOO_SLOW)
        host = self._compute.prepare(
            server=targets.HOSTS[1], timeout=targets.PATIENCE_S, call_monitor_timeout=targets.MONITOR_S,
        )
        self._time_out(lambda: host.call({}, "snapshot_instance", name="vm-1"))

    def evacuate(self) -> None:
        """A call in which everything happens, from the first connection on."""
        self._count(expected.EVACUATE)
        with self._connect() as transport:
            api = messaging.get_rpc_client(transport, targets.API, timeout=30)
            api.call({}, "evacuate_host", name="vm-1")

    # ---- in threads of the pool -------------------------------------------------------------------

    def _rare(self) -> tuple[Callable[[], None], ...]:
        return (self.evacuate, self.migrate, self.too_slow, self.nobody, self.refresh, self.delete)

    def _users(self, until: float) -> None:
        while time.monotonic() < until and not self._stop.is_set():
            self._once(self.boot)
            time.sleep(PAUSE_S)

    def _once(self, scenario: Callable[[], None]) -> None:
        try:
            scenario()
        except Exception as error:  # noqa: BLE001 - whatever it is, the report says it
            with self._lock:
                self.surprises.append(f"{scenario.__name__}: {type(error).__name__}: {error}")

    def _time_out(self, call: Callable[[], object]) -> None:
        try:
            call()
        except messaging.MessagingTimeout as error:
            self._count_error()
            with self._lock:
                self.timeouts.append(str(error))
        else:
            raise Surprise("the call was answered and was to time out")

    def _begin(self) -> None:
        with self._lock:
            self.calls: Counter[str] = Counter()
            self.errors = 0
            self.timeouts: list[str] = []
            self.surprises: list[str] = []
            self._stop.clear()

    def _count(self, scenario: expected.Scenario) -> None:
        with self._lock:
            self.calls[scenario.root] += 1

    def _count_error(self) -> None:
        with self._lock:
            self.errors += 1
