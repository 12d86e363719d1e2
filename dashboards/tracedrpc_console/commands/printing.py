"""Answers as text for terminals; everything fits 80 columns and needs no colour to be understood."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from rich import box
from rich.table import Table
from rich.text import Text

from tracedrpc_console.glyphs import for_encoding
from tracedrpc_console.spans import Event, Kind, Span, Trace
from tracedrpc_console.waterfall import milliseconds, rounded, waterfall

if TYPE_CHECKING:
    from rich.console import Console

Shape = dict[str, Any]
INDENT: Final = "    "
SHARES_MOST: Final = 8
LOGS_MOST: Final = 20
"""Log records below a waterfall; all of them are one command away."""
_BAD: Final = "bold red"
_DIM: Final = "dim"
_TITLE: Final = "bold"
_LEVELS: Final = {"ERROR": _BAD, "FATAL": _BAD, "WARN": "yellow", "WARNING": "yellow", "DEBUG": _DIM}
_BAR: Final = 24
_BIDI: Final = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""They turn the direction of what follows, so that a line reads other than it is."""
_CONTROLS: Final = dict.fromkeys(
    {*range(0x20), *range(0x7F, 0xA0), *_BIDI} - {ord("\n")}, "\N{REPLACEMENT CHARACTER}",
)


def traces(console: Console, found: list[Shape]) -> None:
    """Print the rows of a search: two or three lines a trace, its id first."""
    for each in found:
        say(console, trace_line(each))
        root = each["root"]
        say(console, Text.assemble(INDENT, (root["service"], "cyan"), " ", root["name"]))
        if each["why"]:
            say(console, Text(f"{INDENT}{each['why']}", _BAD if each["outcome"] != "ok" else _DIM))


def trace_line(each: Shape) -> Text:
    """Return id, start, duration and counts of a trace, 80 columns at most."""
    failed = f"{each['errors']} failed" if each["errors"] else ""
    outcome = "" if each["outcome"] == "ok" else each["outcome"].upper()
    return Text.assemble(
        (each["id"], _TITLE), "  ", clock(each["start"]), milliseconds(each["duration"]).rjust(11),
        f"{each['spans']:>5} spans  ", (outcome or failed, _BAD),
    )


def trace(console: Console, found: Shape) -> None:
    """Print a whole trace as a waterfall, and the sentence about it."""
    at = datetime.fromtimestamp(found["start"] / 1e6, UTC).astimezone()
    say(console, Text.assemble(("trace ", _TITLE), (found["id"], _TITLE), f"  {at:%Y-%m-%d %H:%M:%S}"))
    for line in waterfall(tree(found), console.width, for_encoding(console.encoding)):
        say(console, line)
    if found["why"]:
        console.print(harmless(Text(f"\n{found['why']}", _TITLE)))
    for advice in found.get("advice", ()):
        console.print(harmless(Text(advice)))


def tree(found: Shape) -> Trace:
    """Return the spans of an answer as a tree."""
    return Trace([_span(found["id"], each) for each in found["spans"]])


def logs(console: Console, found: list[Shape]) -> None:
    """Print log records, one line each, however long."""
    for each in found:
        say(console, log_line(each))


def log_line(each: Shape) -> Text:
    """Return one log record as a line."""
    line = Text.assemble(
        (clock(each["at"]), _DIM), " ", (f"{each['level'] or '-':<7}", _LEVELS.get(each["level"], "")), " ",
        (each["service"], "cyan"), " ",
    )
    if each["event"] and not each["body"].startswith(each["event"]):
        line.append(f"{each['event']} ", _TITLE)
    line.append(" ".join(each["body"].split()))
    if each["trace"]:
        line.append(f"  trace {each['trace']}", _DIM)
    return line


def explanation(console: Console, found: Shape) -> None:
    """Print why a trace took as long as it did, or where it died."""
    say(console, Text(f"trace {found['trace']}", _DIM))
    console.print(harmless(Text(found["sentence"] or "there is nothing to say about it", _TITLE)))
    if found["phases"]:
        say(console, Text("\nwhere the call's time went", _TITLE))
        _bars(console, list(found["phases"].items()))
    if found["critical"]:
        say(console, Text("\nwhat its end waited for", _TITLE))
        shares = found["critical"][:SHARES_MOST]
        _bars(console, [(f"{each['service']}: {each['name']}", each["ms"]) for each in shares])
    if found["advice"]:
        say(console, Text("\nwhat to look at", _TITLE))
    for advice in found["advice"]:
        console.print(harmless(Text(advice)))


def methods(console: Console, found: list[Shape], *, is_compared: bool) -> None:
    """Print the table of methods, and what has become of each in the second stretch of time or version."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 0, 0, 1))
    table.add_column("method", overflow="fold", min_width=20)
    for heading in ("count", "errors", "/s", "p50 ms", "p95 ms", "p99 ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    for each in found:
        name = each["method"] if each["mode"] == "call" else f"{each['mode']} {each['method']}"
        table.add_row(harmless(Text(name)), *_cells(each["a"]))
        if is_compared:
            table.add_row(Text("  then", _DIM), *_cells(each["b"]))
            table.add_row(Text("  change", _DIM), *_changes(each["a"], each["b"]))
    console.print(table)


def say(console: Console, line: Text) -> None:
    """Print a line as it is: not wrapped, not cut, so that it can be searched and copied."""
    console.print(harmless(line), soft_wrap=True, crop=False)


def harmless(text: Text) -> Text:
    """Return a text without what steers a terminal: names come from anybody who can send a span."""
    text.plain = text.plain.translate(_CONTROLS)
    return text


def clock(at_us: int) -> str:
    """Return the local time of day with milliseconds."""
    at = datetime.fromtimestamp(at_us / 1e6, UTC).astimezone()
    return f"{at:%H:%M:%S}.{at.microsecond // 1000:03}"


def _cells(stats: Shape | None) -> list[str | Text]:
    if stats is None:
        return ["0", "", "", "", "", ""]
    return [
        str(stats["count"]), Text(str(stats["errors"] or ""), _BAD), rounded(stats["rate"]),
        rounded(stats["p50"]), rounded(stats["p95"]), rounded(stats["p99"]),
    ]


def _changes(a: Shape | None, b: Shape | None) -> list[str | Text]:
    if a is None or b is None:
        return ["", "", "", "", "", ""]
    return ["", "", *(_change(a[key], b[key]) for key in ("rate", "p50", "p95", "p99"))]


def _change(a: float, b: float) -> Text:
    if not a:
        return Text("")
    share = b / a - 1
    return Text(f"{share:+.0%}", _BAD if share > 0.1 else "green" if share < -0.1 else _DIM)  # noqa: PLR2004 - a tenth


def _bars(console: Console, values: list[tuple[str, float]]) -> None:
    glyphs = for_encoding(console.encoding)
    most = max((value for _, value in values), default=0.0) or 1.0
    for name, value in values:
        bar = glyphs.bar * round(value / most * _BAR) or glyphs.sliver
        say(console, Text.assemble(f"  {bar:<{_BAR}}", milliseconds(value).rjust(11), f"  {name}"))


def _span(trace_id: str, each: Shape) -> Span:
    start_ns = each["start"] * 1000
    kind = Kind.UNSPECIFIED
    with contextlib.suppress(ValueError):
        kind = Kind(each["kind"])
    return Span(
        trace_id, each["id"], each["parent"] or "", each["service"], each["name"], kind,
        start_ns, start_ns + round(each["duration"] * 1e6), each["error"], each["attributes"],
        tuple(Event(event["name"], event["at"] * 1000, event["attributes"]) for event in each["events"]),
    )
