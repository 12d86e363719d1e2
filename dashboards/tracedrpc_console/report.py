"""What the demo says at its end: pictures, a table, the time-outs' texts, the verdict, what next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich import box
from rich.table import Table
from rich.text import Text

from tracedrpc_console import expected
from tracedrpc_console.glyphs import for_encoding
from tracedrpc_console.methods import methods, percentile
from tracedrpc_console.spans import Trace, traces
from tracedrpc_console.waterfall import rounded, waterfall

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from tracedrpc_console.methods import Method
    from tracedrpc_console.spans import Span

MISSING_MOST: Final = 20
"""Lines about what is missing; more would hide the first."""
_TITLE: Final = "bold"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A round of the demo.

    Attributes:
        spans: everything that arrived.
        missing: a line for each span that did not, and for each call that went otherwise.
        timeouts: the time-outs' own texts.
    """

    spans: Sequence[Span]
    missing: Sequence[str]
    timeouts: Sequence[str]


def show(console: Console, outcome: Outcome) -> None:
    """Print the report of a round."""
    found = traces(outcome.spans)
    chosen = chosen_trace(outcome)
    if chosen is not None:
        chain = _of(found, expected.BOOT.root)
        _picture(console, f"{expected.BOOT.name}; slower than 95 % of {len(chain)}", chosen)
    for trace in _of(found, expected.MIGRATE.root)[:1]:
        _picture(console, expected.MIGRATE.name, trace)
    console.print(Text("Calls by method", _TITLE))
    console.print(_table(methods(outcome.spans)))
    console.print(Text("queue, handler: their share of the time of calls that were answered", "dim"))
    _timeouts(console, outcome.timeouts)


def chosen_trace(outcome: Outcome) -> Trace | None:
    """Return the trace to look at first: a chain of calls that was slow among its like."""
    chain = _of(traces(outcome.spans), expected.BOOT.root)
    if not chain:
        return None
    at = percentile(sorted(map(_duration_ms, chain)), 0.95)
    return next(trace for trace in chain if _duration_ms(trace) == at)


def whole_story(outcome: Outcome) -> Trace | None:
    """Return the trace in which everything happens; None when it did not arrive."""
    return next(iter(_of(traces(outcome.spans), expected.EVACUATE.root)), None)


def verdict(console: Console, outcome: Outcome, rounds_spans: int) -> None:
    """Print whether everything arrived, and if not, what is missing."""
    glyphs = for_encoding(console.encoding)
    if not outcome.missing:
        count = len(traces(outcome.spans))
        text = f"every expected span arrived: {rounds_spans} spans in {count} traces"
        console.print(Text(f"{glyphs.ok} {text}", "bold green"))
        return
    console.print(Text(f"{glyphs.bad} not everything that was expected arrived:", "bold red"))
    for line in outcome.missing[:MISSING_MOST]:
        _item(console, glyphs.bullet, Text(line))
    if len(outcome.missing) > MISSING_MOST:
        console.print(f"  and {len(outcome.missing) - MISSING_MOST} more")


def _item(console: Console, bullet: str, text: Text) -> None:
    """Print a paragraph with a hanging bullet."""
    grid = Table.grid(padding=(0, 1))
    grid.add_row(f"  {bullet}", text)
    console.print(grid)


def _of(found: list[Trace], root: str) -> list[Trace]:
    return [trace for trace in found if trace.root is not None and trace.root.name == root]


def _duration_ms(trace: Trace) -> float:
    return trace.root.duration_ms if trace.root is not None else 0.0


def _picture(console: Console, title: str, trace: Trace) -> None:
    glyphs = for_encoding(console.encoding)
    console.print(Text(f"{title[0].upper()}{title[1:]}", _TITLE))
    console.print(Text(f"trace {trace.spans[0].trace_id}", "dim"))
    for line in waterfall(trace, console.width, glyphs):
        console.print(line, crop=False, soft_wrap=True)
    console.print()


def _table(found: list[Method]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 0, 0, 1))
    table.add_column("method", overflow="fold", min_width=20)
    for heading in ("count", "errors", "p50 ms", "p95 ms", "queue", "handler"):
        table.add_column(heading, justify="right", no_wrap=True)
    for method in found:
        table.add_row(
            method.name if method.mode == "call" else f"{method.mode} {method.name}",
            str(method.count),
            Text(str(method.errors or ""), "bold red"),
            rounded(method.p50_ms),
            rounded(method.p95_ms),
            _percent(method.queue),
            _percent(method.handler),
        )
    return table


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _timeouts(console: Console, texts: Sequence[str]) -> None:
    console.print()
    console.print(Text("What a time-out says", _TITLE))
    bullet = for_encoding(console.encoding).bullet
    for text in sorted(texts):
        _item(console, bullet, Text(text, "red"))
    console.print()
