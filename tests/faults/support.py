"""Load with a memory: what was asked for, what was executed, and what the two say together."""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tracedrpc

if TYPE_CHECKING:
    from collections.abc import Callable

SOON_S = 20.0
"""Longest wait for what must happen; a busy machine is slow."""
GRACE_S = 0.5
"""How late after its deadline a call may end."""


def eventually(is_true: Callable[[], Any], timeout_s: float = SOON_S) -> bool:
    """Ask until it is true, for what gives no event to wait for."""
    give_up = time.monotonic() + timeout_s
    while not is_true():
        if time.monotonic() > give_up:
            return False
        time.sleep(0.01)
    return True


class Executions:
    """An endpoint that remembers which ids it has worked on."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ids: list[str] = []

    def work(self, ctxt: Any, number: str) -> str:
        with self._changed:
            self._ids.append(number)
            self._changed.notify_all()
        return number

    def fail(self, ctxt: Any) -> None:
        raise ValueError("as asked")

    def wait_for(self, count: int, timeout_s: float = SOON_S) -> bool:
        """Wait until so many requests were worked on."""
        with self._changed:
            return self._changed.wait_for(lambda: len(self._ids) >= count, timeout_s)

    def ids(self) -> list[str]:
        """Return the ids in the order of their execution."""
        with self._changed:
            return list(self._ids)


class LogFile:
    """What servers in processes of their own worked on: one id a line, appended by all of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def ids(self) -> list[str]:
        """Return the ids in the order of their execution."""
        return self.path.read_text().split()


def twice(ids: list[str]) -> list[str]:
    """Return the ids that were worked on more than once."""
    return [number for number, count in Counter(ids).items() if count > 1]


@dataclass(frozen=True)
class Record:
    """One call or cast: when it began and how it ended. Instants are `time.monotonic()`."""

    number: str
    method: str
    began_s: float
    lasted_s: float
    error: Exception | None


class Load:
    """Threads that call as fast as they can and record everything, until `stop`.

    Args:
        client: what to call with.
        threads: how many call at once.
        method: "call" or "cast".
        pause_s: how long each thread rests between two; casts would else outrun the servers.
    """

    def __init__(self, client: Any, threads: int = 4, method: str = "call", pause_s: float = 0.002) -> None:
        self._send = getattr(client, method)
        self._method = method
        self._pause_s = pause_s
        self._name = uuid.uuid4().hex[:6]
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._records: list[Record] = []
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        while not self._stop.wait(self._pause_s):
            number = f"{self._name}-{next(self._numbers)}"
            began_s = time.monotonic()
            error = None
            try:
                self._send({}, "work", number=number)
            except Exception as raised:  # noqa: BLE001 - it is what is tested
                error = raised
            record = Record(number, self._method, began_s, time.monotonic() - began_s, error)
            with self._changed:
                self._records.append(record)
                self._changed.notify_all()

    def wait_for(self, count: int, *, failed: bool = False) -> None:
        """Wait until so many more have succeeded (or failed) than when this is called."""
        with self._changed:
            before = self._count(failed)
            enough = self._changed.wait_for(lambda: self._count(failed) >= before + count, SOON_S)
        assert enough, f"no {count} more {'failures' if failed else 'successes'} in {SOON_S} s"

    def _count(self, failed: bool) -> int:
        return sum((record.error is not None) is failed for record in self._records)

    def stop(self) -> list[Record]:
        """Let the threads finish what they are at, and return all there is to tell."""
        self._stop.set()
        for thread in self._threads:
            thread.join(SOON_S)
        assert not any(thread.is_alive() for thread in self._threads), "a call hangs"
        return self._records


def failures(records: list[Record]) -> list[Record]:
    """Return what failed."""
    return [record for record in records if record.error is not None]


class Site:
    """Makes clients and servers of one topic, and ends them all.

    Args:
        url: the broker, or a proxy before it.
        topic: of the servers and clients.
    """

    def __init__(self, url: str, topic: str) -> None:
        self.url = url
        self.topic = topic
        self._ends = ExitStack()

    def transport(self, *, url: str | None = None, telemetry: Any = None, **options: Any) -> Any:
        """Return a transport that is cleaned up at the end."""
        query = "&".join(f"{name}={value}" for name, value in options.items())
        where = (url or self.url) + (f"?{query}" if query else "")
        transport = tracedrpc.get_rpc_transport(None, where, telemetry=telemetry)
        self._ends.callback(transport.cleanup)
        return transport

    def client(self, transport: Any = None, **settings: Any) -> Any:
        """Return a client of the topic's servers."""
        target = tracedrpc.Target(topic=self.topic)
        return tracedrpc.get_rpc_client(transport or self.transport(), target, **settings)

    def server(self, endpoint: Any, transport: Any = None, name: str = "one", workers: int = 8) -> Any:
        """Return a server that runs until the end."""
        target = tracedrpc.Target(topic=self.topic, server=name)
        server = tracedrpc.get_rpc_server(transport or self.transport(), target, [endpoint])
        server.start(override_pool_size=workers)
        self._ends.callback(server.wait, timeout=5)
        self._ends.callback(server.stop)
        return server

    def load(self, client: Any, **settings: Any) -> Load:
        """Return a load that ends with the test, also with one that fails."""
        load = Load(client, **settings)
        self._ends.callback(load.stop)
        return load

    def close(self) -> None:
        """End everything, the last first."""
        self._ends.close()
