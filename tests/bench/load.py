"""The load every peer is put under, timed from inside the client process."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

PAYLOAD = {
    "instance": "7f1c0f1e-4f0c-4c5e-9d55-0d3a2b9f6a11",
    "action": "reboot",
    "attempt": 3,
    "tags": ["soft", "bench"],
}
"""About 100 bytes as JSON."""

DRAIN_LIMIT_S = 60.0


class Service(Protocol):
    """What a peer's client can ask of its server."""

    def call(self) -> None:
        """Send the payload and wait until it has come back."""

    def cast(self) -> None:
        """Send the payload; return when the library says it is sent."""

    def noted(self) -> int:
        """Ask how many casts the server has handled."""


S = TypeVar("S", bound=Service)


@dataclass(frozen=True, slots=True)
class Load:
    """One cell's work: how many callers do what (`call` or `cast`) for how long."""

    callers: int
    seconds: float
    warmup_s: float
    mode: str
    server_pid: int


@dataclass(frozen=True, slots=True)
class Clocks:
    """Wall and CPU seconds of both processes at one moment."""

    wall: float
    client_cpu: float
    server_cpu: float

    @classmethod
    def read(cls, server_pid: int) -> Clocks:
        """Read them now; `server_pid` 0 leaves the server out."""
        server_cpu = cpu_seconds_of(server_pid) if server_pid else 0.0
        return cls(time.perf_counter(), time.process_time(), server_cpu)


@dataclass(slots=True)
class Run:
    """What a driver of load has seen: latencies of the window and the clocks around it."""

    latencies: list[float]
    begin: Clocks
    end: Clocks
    warm: int
    """Operations done before the window."""
    casts_before: int
    """Casts that the server had handled when the window began."""


class Endpoint:
    """Server side of an RPC peer: echoes calls, counts casts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._noted = 0

    def echo(self, _context: object, value: object) -> object:
        """Return the payload."""
        return value

    def note(self, _context: object, value: object) -> None:
        """Count a cast."""
        with self._lock:
            self._noted += 1

    def noted(self, _context: object) -> int:
        """Return how many casts were handled."""
        return self._noted


def cpu_seconds_of(pid: int) -> float:
    """CPU time of another process, to the nanosecond.

    The clock id is Linux's: the inverted pid above three bits that say "scheduler clock of the
    whole process" (`clock_getcpuclockid`; include/linux/posix-timers.h).
    """
    return time.clock_gettime(((~pid) << 3) | 2)


def spin(work: Callable[[], None], until: float) -> list[float]:
    """Do `work` again and again until the clock says `until`; return each one's seconds."""
    clock = time.perf_counter
    latencies = []
    while (start := clock()) < until:
        work()
        latencies.append(clock() - start)
    return latencies


def run_threads(service: Service, load: Load) -> Run:
    """Put `load` on `service` from `load.callers` threads, warm-up first."""
    work = service.call if load.mode == "call" else service.cast
    casts_before = service.noted()
    warm: list[list[float]] = []
    window: list[list[float]] = []
    marks: list[Clocks] = []

    def mark() -> None:
        """Read the clocks; runs in one caller while the others wait at the barrier."""
        if load.mode == "cast" and len(marks) == 1:
            drain(service, casts_before + sum(map(len, warm)))
        marks.append(Clocks.read(load.server_pid))

    barrier = threading.Barrier(load.callers, action=mark)
    failures: list[BaseException] = []

    def caller() -> None:
        try:
            barrier.wait()
            warm.append(spin(work, marks[-1].wall + load.warmup_s))
            barrier.wait()
            window.append(spin(work, marks[-1].wall + load.seconds))
            barrier.wait()
        except BaseException as error:  # noqa: BLE001 - raised again in the main thread
            failures.append(error)
            barrier.abort()

    threads = [threading.Thread(target=caller, name=f"caller-{n}") for n in range(load.callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    done = sum(map(len, warm))
    return Run(list(chain(*window)), marks[1], marks[2], done, casts_before + done)


def drain(service: Service, expected: int) -> None:
    """Wait until the server has handled `expected` casts.

    Raises:
        RuntimeError: casts were lost or doubled, or it took more than a minute.
    """
    give_up = time.monotonic() + DRAIN_LIMIT_S
    while (noted := service.noted()) < expected:
        if time.monotonic() > give_up:
            raise RuntimeError(f"{expected - noted} of {expected} casts have not been handled")
        time.sleep(0.02)
    if noted > expected:
        raise RuntimeError(f"{expected} casts were sent and {noted} handled")


def measure(service: S, load: Load, driver: Callable[[S, Load], Run]) -> dict[str, float]:
    """Run `load` by `driver` and return the cell's figures.

    Casts are followed to the server: `handled_per_s` and the server's CPU reach to the moment
    when the last one was handled. Calls end with their reply.
    """
    run = driver(service, load)
    done = run.end
    if load.mode == "cast":
        drain(service, run.casts_before + len(run.latencies))
        done = Clocks.read(load.server_pid)
    latencies = sorted(run.latencies)
    count = len(latencies)
    return {
        "count": count,
        "operations": count + run.warm,
        "per_s": count / (run.end.wall - run.begin.wall),
        "handled_per_s": count / (done.wall - run.begin.wall),
        "p50_ms": percentile(latencies, 0.50) * 1e3,
        "p99_ms": percentile(latencies, 0.99) * 1e3,
        "p999_ms": percentile(latencies, 0.999) * 1e3,
        "max_ms": latencies[-1] * 1e3,
        "client_cpu_us": (run.end.client_cpu - run.begin.client_cpu) / count * 1e6,
        "server_cpu_us": (done.server_cpu - run.begin.server_cpu) / count * 1e6,
        "threads": threading.active_count(),
    }


def percentile(ordered: list[float], share: float) -> float:
    """Return the nearest-rank percentile of an ordered, non-empty list."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
