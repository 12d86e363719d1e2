"""Medians, spreads and ratios of a run, as tables."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from tests.bench.cells import CALL_1, CALL_16, CAST_1, CAST_16, CELLS, ECHO, OFF, PEERS, STANDARD, STOCK
from tests.bench.price import PRICE_HEADER

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bench.cells import Cell, Peer, Results

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity."""

    key: str
    title: str
    digits: int = 0
    modes: tuple[str, ...] = ("call", "cast")


FIGURES = (
    Figure("per_s", "per second"),
    Figure("handled_per_s", "handled per second", modes=("cast",)),
    Figure("p50_ms", "p50 ms", 2),
    Figure("p99_ms", "p99 ms", 2),
    Figure("client_cpu_us", "client CPU us"),
    Figure("server_cpu_us", "server CPU us"),
)


@dataclass(frozen=True, slots=True)
class Goal:
    """One budget: `peer`'s figure over `base`'s, at least or at most `limit`."""

    text: str
    cell: Cell
    key: str
    peer: Peer
    base: Peer
    limit: float
    at_least: bool = True


GOALS = (
    Goal("calls/s, 1 caller, standard / stock", CALL_1, "per_s", STANDARD, STOCK, 3.0),
    Goal("calls/s, 16 callers, standard / stock", CALL_16, "per_s", STANDARD, STOCK, 4.0),
    Goal("calls/s, 1 caller, off / stock", CALL_1, "per_s", OFF, STOCK, 3.5),
    Goal("calls/s, 16 callers, off / stock", CALL_16, "per_s", OFF, STOCK, 5.0),
    Goal("casts/s, 1 caller, off / stock", CAST_1, "per_s", OFF, STOCK, 2.0),
    Goal("casts/s handled, 16 callers, off / stock", CAST_16, "handled_per_s", OFF, STOCK, 2.0),
    Goal("p50, 1 caller, off / echo", CALL_1, "p50_ms", OFF, ECHO, 1.5, at_least=False),
    Goal(
        "client CPU, 1 caller, standard / off", CALL_1, "client_cpu_us", STANDARD, OFF, 1.15, at_least=False
    ),
    Goal(
        "server CPU, 1 caller, standard / off", CALL_1, "server_cpu_us", STANDARD, OFF, 1.15, at_least=False
    ),
    Goal(
        "client CPU, 16 callers, standard / off",
        CALL_16,
        "client_cpu_us",
        STANDARD,
        OFF,
        1.15,
        at_least=False,
    ),
    Goal("p99, 1 caller, standard / off", CALL_1, "p99_ms", STANDARD, OFF, 1.3, at_least=False),
    Goal("p99, 16 callers, standard / off", CALL_16, "p99_ms", STANDARD, OFF, 1.3, at_least=False),
)


class Summary:
    """Looks values up in a run's samples."""

    def __init__(self, results: Results) -> None:
        self._results = results

    def values(self, peer: Peer, cell: Cell, key: str) -> list[float]:
        """Return one figure of every round that has it."""
        mine = (s for s in self._results.samples if (s.peer, s.cell) == (peer.name, cell.title))
        return [sample.figures[key] for sample in mine if key in sample.figures]

    def ratio(self, peer: Peer, base: Peer, cell: Cell, key: str) -> float | None:
        """Divide two medians; None when one is missing."""
        ours, theirs = self.values(peer, cell, key), self.values(base, cell, key)
        return median(ours) / median(theirs) if ours and theirs else None

    def rows(self, *, ranges: bool) -> Iterator[list[str]]:
        """Yield a row per cell and figure: its name, then each peer's median and ratio or range."""
        for cell in CELLS:
            for figure in FIGURES:
                row = [self._entry(peer, cell, figure, ranges=ranges) for peer in PEERS]
                if cell.mode in figure.modes and any(row):
                    yield [cell.title, figure.title, *row]

    def goals(self) -> Iterator[list[str]]:
        """Yield a row per budget: text, goal, measured, verdict."""
        for goal in GOALS:
            ratio = self.ratio(goal.peer, goal.base, goal.cell, goal.key)
            sign = ">=" if goal.at_least else "<="
            wanted = f"{sign} {goal.limit:g}"
            if ratio is None:
                yield [goal.text, wanted, "", "not measured"]
            else:
                met = ratio >= goal.limit if goal.at_least else ratio <= goal.limit
                yield [goal.text, wanted, f"{ratio:.2f}", "met" if met else "missed"]

    def _entry(self, peer: Peer, cell: Cell, figure: Figure, *, ranges: bool) -> str:
        values = self.values(peer, cell, figure.key)
        if not values:
            return ""
        digits = figure.digits
        if ranges:
            return f"{min(values):,.{digits}f} - {max(values):,.{digits}f}"
        middle = f"{median(values):,.{digits}f}"
        ratio = self.ratio(peer, STOCK, cell, figure.key)
        return middle if peer is STOCK or ratio is None else f"{middle} ({ratio:.2f}x)"


HEADER = ["load", "figure", *(peer.title for peer in PEERS)]
GOAL_HEADER = ["ratio of medians", "goal", "measured", ""]


def markdown(results: Results) -> str:
    """Render the run for the README."""
    summary = Summary(results)
    settings, parts = results.settings, []
    parts.append(
        f"Medians of {settings['rounds']:.0f} interleaved rounds, {settings['seconds']:g} s a cell after "
        f"{settings['warmup_s']:g} s of warm-up; in brackets the ratio to stock oslo.messaging.\n"
    )
    parts.append("\n".join(f"* {name}: {fact}" for name, fact in results.machine.items()) + "\n")
    parts.append(markdown_table(HEADER, list(summary.rows(ranges=False))))
    parts.append(exported_text(results))
    parts.append("Goals (DESIGN section 7):\n")
    parts.append(markdown_table(GOAL_HEADER, list(summary.goals())))
    parts.append("The price of telemetry alone, without I/O:\n")
    parts.append(markdown_table(PRICE_HEADER, results.prices))
    parts.append("Lowest and highest of the rounds:\n")
    parts.append(markdown_table(HEADER, list(summary.rows(ranges=True))))
    parts.append(errors_text(results))
    return "\n".join(part for part in parts if part)


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """Render one table."""
    rules = ["---", "---", *["---:"] * (len(header) - 2)]
    lines = (" | ".join(cells) for cells in (header, rules, *rows))
    return "".join(f"| {line} |\n" for line in lines)


def exported_text(results: Results) -> str:
    """Say what reached the OTLP receiver."""
    operations = sum(part.operations for part in results.exported)
    if not operations:
        return ""
    spans = sum(part.spans for part in results.exported)
    requests = sum(part.requests for part in results.exported)
    return (
        f"The OTLP receiver got {spans:,} spans in {requests:,} requests for {operations:,} calls and casts: "
        f"{spans / operations:.2f} spans each.\n"
    )


def errors_text(results: Results) -> str:
    """List the cells that have no figures."""
    failed = (s for s in results.samples if s.error)
    return "".join(f"* round {s.round}, {s.peer}, {s.cell}: {s.error}\n" for s in failed)


def write_readme(results: Results, path: Path) -> None:
    """Put the tables between the markers of `path`.

    Raises:
        ValueError: the file has no markers.
    """
    text = path.read_text()
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{path} has no {BEGIN} and {END}")
    path.write_text(f"{head}{BEGIN}\n{markdown(results)}{END}{tail}")
