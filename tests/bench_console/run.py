"""How much the console takes in, how quickly it answers meanwhile, and what memory that costs.

`make bench-console`, or `python -m tests.bench_console.run [--quick] [--spans 1000000] [--db FILE]`: about as
many log records as spans. Nothing is asserted: the table has each figure beside its budget.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from tests.bench_console.questions import Answer, ask_all
from tracedrpc_console.store.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator

TOP: Final = Path(__file__).parents[2]
SENDERS: Final = 2
WINDOW_S: Final = 5.0
"""The sustained rate is the median over windows of this length."""
SDK_SPANS: Final = 60_000
RATE_WHILE_ASKED: Final = 3000
DEADLINE_S: Final = 1800.0


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        db = arguments.db or Path(folder) / "console.db"
        with _child("server", str(db)) as server:
            otlp = json.loads(server.stdout.readline())["otlp"]
            with Reader(db) as reader:
                _measure(arguments, server.pid, reader, otlp)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100,000 spans instead of 1,000,000")
    parser.add_argument("--spans", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=30, help="how often each question is asked")
    parser.add_argument("--db", type=Path, help="the file; a temporary one by default")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.spans = min(arguments.spans, 100_000)
    return arguments


def _measure(arguments: argparse.Namespace, pid: int, reader: Reader, otlp: str) -> None:
    print(f"{arguments.spans} spans and as many log records, {SENDERS} senders, {os.cpu_count()} cores")
    rates = _fill(reader, otlp, arguments.spans * 2)
    _row("records/s from encoded batches, median", median(rates), ">= 15000")
    _row("  the slowest, the fastest window", f"{min(rates):.0f}, {max(rates):.0f}", "")
    _row("spans/s from one SDK exporter", _sdk_rate(reader, otlp), "(the sender's)")
    with _child("sender", "replay", otlp, str(10**9), str(RATE_WHILE_ASKED), "99"):
        answers = ask_all(reader, arguments.rounds)
    for answer in answers:
        _row(f"  {answer.what} ({answer.found})", f"{answer.p50:.1f} / {answer.p95:.1f}", "p50 / p95 ms")
    _row("search, median of p50 in ms", _median_of(answers, "search"), "<= 20")
    _row("trace open, median of p50 in ms", _median_of(answers, "open"), "<= 100")
    _row("peak memory of the console in MB", _peak_mb(pid), "<= 200")
    status = reader.status()
    _row("bytes a record", status.bytes / (status.spans + status.logs), "")
    _row("refused", json.dumps(status.dropped), "only queue_full")


def _row(what: str, figure: float | str, budget: str) -> None:
    text = figure if isinstance(figure, str) else f"{figure:.1f}"
    print(f"{what:45} {text:>22}  {budget:16} load {os.getloadavg()[0]:.1f}", flush=True)


def _median_of(answers: list[Answer], kind: str) -> float:
    return median(answer.p50 for answer in answers if answer.kind == kind)


def _fill(reader: Reader, otlp: str, records: int) -> list[float]:
    """Send so many records; return the rates at which they were stored, window by window."""
    before = _stored(reader)
    with contextlib.ExitStack() as stack:
        for seed in range(1, SENDERS + 1):
            stack.enter_context(_child("sender", "replay", otlp, str(records // SENDERS), "0", str(seed)))
        return _rates(reader, before + records)


def _rates(reader: Reader, wanted: int) -> list[float]:
    rates = []
    deadline = time.monotonic() + DEADLINE_S
    stored, at = _stored(reader), time.monotonic()
    while stored < wanted and time.monotonic() < deadline:
        while (now := time.monotonic()) < at + WINDOW_S and _stored(reader) < wanted:
            time.sleep(0.1)
        stored_now = _stored(reader)
        rates.append((stored_now - stored) / (now - at))
        stored, at = stored_now, now
    return rates[:-1] if len(rates) > 1 else rates


def _sdk_rate(reader: Reader, otlp: str) -> float:
    before, begin = _stored(reader), time.monotonic()
    with _child("sender", "sdk", otlp, str(SDK_SPANS), "0", "7") as sender:
        sender.wait(DEADLINE_S)
        while _stored(reader) < before + SDK_SPANS and time.monotonic() < begin + DEADLINE_S:
            time.sleep(0.05)
    return SDK_SPANS / (time.monotonic() - begin)


def _stored(reader: Reader) -> int:
    status = reader.status()
    return status.spans + status.logs


def _peak_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))


@contextlib.contextmanager
def _child(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    paths = os.pathsep.join(str(TOP / each) for each in (".", "instrumentation", "dashboards"))
    command = [sys.executable, "-m", f"tests.bench_console.{module}", *arguments]
    child = subprocess.Popen(
        command, cwd=TOP, env=os.environ | {"PYTHONPATH": paths}, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        yield child
    finally:
        child.stdin.close()
        if module == "sender":
            child.terminate()
        child.wait(60)
        child.stdout.close()


if __name__ == "__main__":
    main()
