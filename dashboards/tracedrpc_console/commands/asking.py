"""The commands that ask: `traces`, `trace`, `logs`, `explain`, `methods`, `services`, `export`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tracedrpc_console.commands import options, printing
from tracedrpc_console.commands.choices import Format, Outcome
from tracedrpc_console.commands.options import (
    NOTHING_FOUND,
    Attributes,
    Db,
    JaegerUrl,
    Json,
    Limit,
    Since,
    Token,
    Until,
    Url,
    asking,
)
from tracedrpc_console.terminal import make_console

TraceId = Annotated[str, typer.Argument(metavar="ID", help="A trace's id, 32 hex digits.")]


def traces(
    text: Annotated[str | None, typer.Argument(help="Words in names, attributes and status texts.")] = None,
    service: Annotated[str | None, typer.Option(help="A service that takes part.")] = None,
    method: Annotated[str | None, typer.Option(help="A method, topic/method.")] = None,
    operation: Annotated[str | None, typer.Option(help="A span's name.")] = None,
    outcome: Annotated[Outcome | None, typer.Option(help="How it ended.")] = None,
    errors: Annotated[bool, typer.Option("--errors", help="Only with failed spans.")] = False,
    least: Annotated[float | None, typer.Option("--min", help="Milliseconds at least.")] = None,
    most: Annotated[float | None, typer.Option("--max", help="Milliseconds at most.")] = None,
    attr: Attributes = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    db: Db = None,
    console: Url = None,
    token: Token = None,
    jaeger: JaegerUrl = None,
    as_json: Json = False,
) -> None:
    """Search for traces, the newest first."""
    with asking(db, console, token, jaeger) as source:
        wanted = options.pairs(
            q=text, service=service, method=method, operation=operation, outcome=outcome and outcome.value,
            errors=errors, min=least, max=most, attr=attr, limit=limit,
        )
        found = source.get("traces", [*wanted, *options.window(since, until)])
    if as_json:
        options.print_json(found)
        return
    if not found["traces"]:
        options.fail("no trace is like that", NOTHING_FOUND)
    printing.traces(make_console(), found["traces"])


def trace(
    trace_id: TraceId,
    db: Db = None, console: Url = None, token: Token = None, jaeger: JaegerUrl = None, as_json: Json = False,
) -> None:
    """Show a trace as a waterfall, with the sentence that explains it and its log records."""
    with asking(db, console, token, jaeger) as source:
        found = source.get(f"trace/{trace_id}", [])
        has_logs = bool(found["logs"]) and not as_json
        newest = options.pairs(limit=printing.LOGS_MOST)
        logs = source.get(f"trace/{trace_id}/logs", newest)["logs"] if has_logs else []
    if as_json:
        options.print_json(found)
        return
    terminal = make_console()
    printing.trace(terminal, found)
    if logs:
        more = f", the newest {printing.LOGS_MOST} of them" if found["logs"] > printing.LOGS_MOST else ""
        terminal.print(f"\n{found['logs']} log records{more}", style="bold")
        printing.logs(terminal, logs)


def logs(
    query: Annotated[str | None, typer.Argument(help="Words in text, event and attributes.")] = None,
    service: Annotated[str | None, typer.Option(help="Whose.")] = None,
    level: Annotated[str | None, typer.Option(help="This one and graver: debug, info, warn, error.")] = None,
    event: Annotated[str | None, typer.Option(help="An event's name, e.g. call_timed_out.")] = None,
    of_trace: Annotated[str | None, typer.Option("--trace", help="A trace's id.")] = None,
    attr: Attributes = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    db: Db = None,
    console: Url = None,
    token: Token = None,
    jaeger: JaegerUrl = None,
    as_json: Json = False,
) -> None:
    """Search in log records; the newest come last."""
    with asking(db, console, token, jaeger) as source:
        wanted = options.pairs(
            q=query, service=service, level=level, event=event, trace=of_trace, attr=attr, limit=limit,
        )
        found = source.get("logs", [*wanted, *options.window(since, until)])
    if as_json:
        options.print_json(found)
        return
    if not found["logs"]:
        options.fail("no log record is like that", NOTHING_FOUND)
    printing.logs(make_console(), found["logs"][::-1])


def explain(
    wanted: Annotated[str, typer.Argument(metavar="ID", help="A trace's id, or the message id of a call.")],
    db: Db = None, console: Url = None, token: Token = None, jaeger: JaegerUrl = None, as_json: Json = False,
) -> None:
    """Say why a call was slow, or where it died."""
    with asking(db, console, token, jaeger) as source:
        found = source.get(f"explain/{wanted}", [])
    if as_json:
        options.print_json(found)
    else:
        printing.explanation(make_console(), found)


def methods(
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="A B", help="Two stretches of time (2h..1h 1h..) or versions of the service."),
    ] = None,
    service: Annotated[str | None, typer.Option(help="Whose calls.")] = None,
    since: Since = None,
    until: Until = None,
    db: Db = None,
    console: Url = None,
    token: Token = None,
    jaeger: JaegerUrl = None,
    as_json: Json = False,
) -> None:
    """Show the methods that were called: how often, how many failed, how long they took."""
    with asking(db, console, token, jaeger) as source:
        sides = options.compared(*compare) if compare else []
        stretch = [] if any(name == "from" for name, _ in sides) else options.window(since, until)
        found = source.get("methods", [*options.pairs(service=service), *sides, *stretch])
    if as_json:
        options.print_json(found)
        return
    if not found["methods"]:
        options.fail("no call was made then", NOTHING_FOUND)
    printing.methods(make_console(), found["methods"], is_compared=bool(compare))


def export(
    trace_id: TraceId,
    wanted: Annotated[Format, typer.Option("--format", "-f", help="What it becomes.")] = Format.HTML,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file; - for standard output."),
    ] = None,
    db: Db = None,
    console: Url = None,
    token: Token = None,
    jaeger: JaegerUrl = None,
) -> None:
    """Write a trace to a file: a page for a colleague, a picture, or data for other tools."""
    with asking(db, console, token, jaeger) as source:
        content = source.export(trace_id, wanted.value)
    if output == Path("-"):
        sys.stdout.buffer.write(content)
        return
    path = output or Path(f"trace-{trace_id}.{wanted.suffix}")
    path.write_bytes(content)
    make_console().print(str(path), markup=False, soft_wrap=True)
