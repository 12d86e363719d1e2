"""`python -m tests.bench.run`: every peer in every cell, in turn, on one RabbitMQ."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.cells import CACHE, CELLS, PEERS, QUICK_CELLS, Exported, Results, Sample
from tests.bench.children import ChildError, Stage, run_client, running_server, running_sink
from tests.bench.prepare import machine_facts, prepare_stock
from tests.bench.price import PRICE_HEADER, price_rows
from tests.bench.report import GOAL_HEADER, HEADER, Summary, errors_text, exported_text, write_readme
from tracedrpc_console.broker import BrokerUnavailable, broker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.bench.cells import Cell, Peer
    from tests.bench.children import Child, Sink

README = Path(__file__).with_name("README.md")


def main() -> int:
    """Measure, print, keep the JSON; 1 when a cell has no figures."""
    options = parse()
    prepare_stock()
    if (load := os.getloadavg()[0]) > 0.5:
        print(f"other work is running here (load {load:.1f}): expect poor figures", flush=True)
    with broker(options.url) as running, running_sink() as sink:
        settings = {"rounds": options.rounds, "seconds": options.seconds, "warmup_s": options.warmup}
        results = Results(machine_facts(running.url), settings)
        peers = [peer for peer in PEERS if peer.name in options.peers]
        for number in range(1, options.rounds + 1):
            Round(number, running.url, sink, results).run(peers, QUICK_CELLS if options.quick else CELLS)
    results.prices = price_rows()
    keep(results, options)
    show(results)
    return 1 if any(sample.error for sample in results.samples) else 0


def parse() -> argparse.Namespace:
    """Read the command line."""
    names = [peer.name for peer in PEERS]
    parser = argparse.ArgumentParser(prog="python -m tests.bench.run", description=__doc__)
    parser.add_argument(
        "--url", default=os.environ.get("TRACEDRPC_TEST_URL"), help="broker; default: a private node"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.5, help="window of a cell")
    parser.add_argument("--warmup", type=float, default=0.5, help="seconds before the window")
    parser.add_argument(
        "--peers", nargs="+", choices=names, default=names, metavar="PEER", help=" ".join(names)
    )
    parser.add_argument("--quick", action="store_true", help="one round, 1 s, calls only; never written")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {README.name}")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds, options.warmup, options.write = 1, 1.0, 0.3, False
    return options


class Round:
    """One round: every server up, then cell by cell every client in turn."""

    def __init__(self, number: int, url: str, sink: Sink, results: Results) -> None:
        self._number = number
        self._url = url
        self._sink = sink
        self._results = results
        self._exported_operations = 0

    def run(self, peers: Sequence[Peer], cells: Sequence[Cell]) -> None:
        """Measure `peers` in `cells`; another peer comes first in every round."""
        shift = self._number % len(peers)
        in_turn = [*peers[shift:], *peers[:shift]]
        self._sink.stats()
        with ExitStack() as stack:
            stages = [Stage(peer, self._url, self._topic(peer), self._sink) for peer in in_turn]
            servers = [self._start(stack, stage) for stage in stages]
            for cell in cells:
                for stage, server in zip(stages, servers, strict=True):
                    self._results.samples.append(self._sample(stage, cell, server))
        if self._exported_operations:
            stats = self._sink.stats()
            self._results.exported.append(Exported(self._number, self._exported_operations, **stats))

    def _topic(self, peer: Peer) -> str:
        return f"bench-{os.getpid()}-{self._number}-{peer.name}"

    def _start(self, stack: ExitStack, stage: Stage) -> Child | str:
        """Start a peer's server; returns why not when it cannot."""
        try:
            return stack.enter_context(running_server(stage))
        except ChildError as error:
            return str(error)

    def _sample(self, stage: Stage, cell: Cell, server: Child | str) -> Sample:
        sample = Sample(self._number, stage.peer.name, cell.title)
        if isinstance(server, str):
            sample.error = server
            return self._told(sample)
        try:
            sample.figures = run_client(stage, cell, self._results.settings, server.pid)
        except ChildError as error:
            sample.error = str(error)
        if stage.peer.exported and sample.figures:
            self._exported_operations += int(sample.figures["operations"])
        return self._told(sample)

    def _told(self, sample: Sample) -> Sample:
        """Print a sample as it comes in."""
        line = f"round {sample.round}  {sample.cell:<17} {sample.peer:<9}"
        if sample.error:
            print(f"{line} FAILED: {sample.error}", flush=True)
            return sample
        got = sample.figures
        print(
            f"{line} {got['per_s']:>7,.0f}/s  p50 {got['p50_ms']:>6.2f} ms  p99 {got['p99_ms']:>6.2f} ms"
            f"  CPU us {got['client_cpu_us']:>5.0f} + {got['server_cpu_us']:>5.0f}",
            flush=True,
        )
        return sample


def keep(results: Results, options: argparse.Namespace) -> None:
    """Write the JSON file and, when asked, the README."""
    path = CACHE / f"{time.strftime('%Y%m%d-%H%M%S')}{'-quick' if options.quick else ''}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results.as_json(), indent=1) + "\n")
    print(f"\n{path}")
    if options.write:
        write_readme(results, README)
        print(README)


def show(results: Results) -> None:
    """Print the tables, by rich when it is there."""
    summary = Summary(results)
    for header, rows in (
        (HEADER, summary.rows(ranges=False)),
        (GOAL_HEADER, summary.goals()),
        (PRICE_HEADER, results.prices),
    ):
        print()
        print_table(header, list(rows))
    print()
    print(exported_text(results), errors_text(results), sep="", end="")


def print_table(header: list[str], rows: list[list[str]]) -> None:
    """Print one table."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        print("\n".join(plain_lines([header, *rows])))
        return
    table = Table()
    for number, title in enumerate(header):
        table.add_column(title, justify="left" if number < 2 else "right")
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 150).print(table)


def plain_lines(rows: list[list[str]]) -> Iterator[str]:
    """Yield rows with their columns aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokerUnavailable as missing:
        sys.exit(f"nothing measured: {missing}")
