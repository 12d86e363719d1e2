"""Call for a long time while nobody takes the telemetry: `make soak`, `make soak SECONDS=60`.

Client and server are in this process, so that what is measured is all there is. It ends after
1,000,000 calls or the time, and fails when threads, sockets or memory have grown.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import tracedrpc
import tracedrpc_otel
from tests.conftest import URL_VARIABLE, Resources
from tracedrpc_console import broker as brokers

MOST_CALLS = 1_000_000
CALLERS = 4
DEAD = "http://127.0.0.1:1"
"""Nobody listens at port 1."""
DEDUP_MOST = 5_000
"""So few ids are remembered here that the table is full when the measuring begins."""
WARM = 0.4
"""The part of the run that fills queues, tables and the allocator's arenas."""
SAMPLES = 12
LONG_CALLS = 100_000
GROWTH_KB = 1024
SHORT_GROWTH_KB = 6 * 1024
"""What a run of fewer calls may grow by: the allocator has not settled then."""
ROW = "{:>8} {:>9} {:>8} {:>8} {:>8} {:>10}"


@dataclass(frozen=True)
class Sample:
    """What the process held at one instant."""

    at_s: float
    calls: int
    threads: int
    sockets: int
    files: int
    rss_kb: int

    def row(self) -> str:
        return ROW.format(
            f"{self.at_s:.0f}", self.calls, self.threads, self.sockets, self.files, self.rss_kb)


class Echo:
    """The endpoint."""

    def echo(self, _ctxt, value):
        return value


class Load:
    """Threads that call until they are told to stop."""

    def __init__(self, client) -> None:
        self._client = client
        self._stop = threading.Event()
        self._counts = [0] * CALLERS
        self.errors: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(CALLERS)]

    @property
    def calls(self) -> int:
        return sum(self._counts)

    def _run(self, number: int) -> None:
        while not self._stop.is_set():
            try:
                assert self._client.call({"user": "soak"}, "echo", value=self._counts[number])
            except AssertionError:
                assert self._counts[number] == 0
            except Exception as error:  # noqa: BLE001 - told at the end
                self.errors.append(error)
                return
            self._counts[number] += 1

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def is_over(self) -> bool:
        return self.calls >= MOST_CALLS or bool(self.errors)


def sample(began_s: float, calls: int) -> Sample:
    held = Resources.now()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Sample(
        time.monotonic() - began_s, calls, threading.active_count(), held.sockets,
        len(list(Path("/proc/self/fd").iterdir())), pages * os.sysconf("SC_PAGE_SIZE") // 1024)


def soak(url: str, seconds: float) -> list[Sample]:
    """Call until the time or the number of calls is reached; return samples of the second part."""
    topic = f"soak-{os.getpid()}"
    query = urlencode({"dedup_most": DEDUP_MOST, "control_exchange": topic})
    with tracedrpc.get_rpc_transport(url=f"{url}?{query}") as transport:
        target = tracedrpc.Target(topic=topic, server="one")
        with tracedrpc.get_rpc_server(transport, target, [Echo()]):
            client = tracedrpc.RPCClient(transport, tracedrpc.Target(topic=topic), timeout=30)
            with Load(client) as load:
                samples = measured(load, seconds)
        if load.errors:
            raise load.errors[0]
    return samples


def measured(load: Load, seconds: float) -> list[Sample]:
    began_s, samples = time.monotonic(), []
    print(ROW.format("s", "calls", "threads", "sockets", "files", "RSS kB"))
    for step in range(SAMPLES + 1):
        due = WARM + (1 - WARM) * step / SAMPLES
        due_s, due_calls = began_s + seconds * due, MOST_CALLS * due
        while time.monotonic() < due_s and load.calls < due_calls and not load.errors:
            time.sleep(0.05)
        samples.append(sample(began_s, load.calls))
        print(samples[-1].row(), flush=True)
        if load.is_over():
            break
    return samples


def verdicts(samples: list[Sample]) -> dict[str, tuple[bool, str]]:
    """Return, by what was measured, whether it held and the figures.

    Memory: the least of the first third against the least of the last, which leaves batches under
    way out of it.
    """
    third = max(1, len(samples) // 3)
    first, last = samples[:third], samples[-third:]
    grown_kb = min(each.rss_kb for each in last) - min(each.rss_kb for each in first)
    calls = samples[-1].calls - samples[0].calls
    most_kb = GROWTH_KB if calls >= LONG_CALLS else SHORT_GROWTH_KB
    held = {"memory": (grown_kb <= most_kb, f"{grown_kb} kB in {calls} calls, at most {most_kb}")}
    for name in ("threads", "sockets", "files"):
        before = max(getattr(each, name) for each in first)
        after = min(getattr(each, name) for each in last)
        held[name] = (after <= before, f"{before} -> {after}")
    return held


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    seconds = parser.parse_args().seconds
    configured = tracedrpc_otel.configure(service_name="soak", endpoint=DEAD)
    with brokers.broker(os.environ.get(URL_VARIABLE)) as broker:
        held = verdicts(soak(broker.url, seconds))
    began_s = time.monotonic()
    configured.shutdown()
    ended_s = time.monotonic() - began_s
    held["exit"] = (ended_s <= 6.0, f"telemetry shut down in {ended_s:.1f} s, at most 5 and a bit")
    for name, (is_held, figures) in held.items():
        print(f"{name:8} {'held' if is_held else 'BROKEN':7} {figures}")
    sys.exit(not all(is_held for is_held, _ in held.values()))


if __name__ == "__main__":
    main()
