"""Options that the asking commands share, and what they do with them."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console
from rich.text import Text

from tracedrpc_console.commands import sources
from tracedrpc_console.commands.printing import harmless
from tracedrpc_console.commands.sources import CannotAnswer, Nothing
from tracedrpc_console.commands.times import NoTime, instant_us, window_us

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracedrpc_console.commands.sources import Pairs, Source

NOTHING_FOUND: Final = 1
CANNOT_ASK: Final = 2

Db = Annotated[
    Path | None, typer.Option(help="A console's data file; without any of these this user's own."),
]
Url = Annotated[str | None, typer.Option("--console", help="The URL of a running console.")]
Token = Annotated[str | None, typer.Option(help=f"Its token; or in {sources.TOKEN_VARIABLE}.")]
JaegerUrl = Annotated[str | None, typer.Option("--jaeger", help="The URL of a Jaeger, instead of a console.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, as the console's API has it.")]
Since = Annotated[str | None, typer.Option(help="From when on: 15m, 2h, 3d ago, or 2026-11-22T19:30.")]
Until = Annotated[str | None, typer.Option(help="Until when, in the same way.")]
Attributes = Annotated[
    list[str] | None, typer.Option("--attr", help="key=value of a span or record; may repeat."),
]
Limit = Annotated[int, typer.Option(min=1, max=500, help="How many at the most.")]


@contextlib.contextmanager
def asking(
    db: Path | None, console: str | None, token: str | None, jaeger: str | None,
) -> Iterator[Source]:
    """Give the source that the options name; what it cannot answer ends the command with a sentence."""
    try:
        with sources.source(db, console, token, jaeger) as source:
            yield source
    except Nothing as error:
        fail(str(error), NOTHING_FOUND)
    except (CannotAnswer, NoTime) as error:
        fail(str(error), CANNOT_ASK)


def fail(text: str, status: int) -> None:
    """End the command with a sentence on standard error."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(harmless(Text(text, "bold red")))
    raise typer.Exit(status)


def pairs(**values: object) -> Pairs:
    """Return parameters for the API; None, "" and False are left out, of a list each item is one."""
    found: Pairs = []
    for name, value in values.items():
        for each in value if isinstance(value, list) else [value]:
            if each is not None and each != "" and each is not False:
                found.append((name, "1" if each is True else str(each)))
    return found


def window(since: str | None, until: str | None) -> Pairs:
    """Return the parameters of a stretch of time."""
    now_us = time.time_ns() // 1000
    given = {"from": since, "to": until}
    return [(name, str(instant_us(text, now_us))) for name, text in given.items() if text]


def compared(first: str, second: str) -> Pairs:
    """Return the parameters that compare two stretches of time ("2h..1h" "1h..") or two versions."""
    now_us = time.time_ns() // 1000
    a, b = window_us(first, now_us), window_us(second, now_us)
    if a is None and b is None:
        return pairs(version=first, version2=second)
    if a is None or b is None:
        raise NoTime(f"{first!r} and {second!r} are not alike: give two stretches of time or two versions")
    return [("from", str(a[0])), ("to", str(a[1])), ("from2", str(b[0])), ("to2", str(b[1]))]


def print_json(value: Any) -> None:
    """Print JSON on standard output."""
    json.dump(value, sys.stdout, indent=2)
    sys.stdout.write("\n")
