"""`tracedrpc tail`: new log records and traces as they come."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tracedrpc_console.commands import options, printing
from tracedrpc_console.commands.options import Attributes, Db, Token, Url, asking
from tracedrpc_console.terminal import make_console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.text import Text

    from tracedrpc_console.commands.printing import Shape
    from tracedrpc_console.commands.sources import Pairs, Source

POLL_S: Final = 1.0
BATCH: Final = 500
LOOK_BACK_US: Final = 120 * 10**6
"""A trace is told when it has ended; it may have begun so long before."""


def tail(
    query: Annotated[str | None, typer.Argument(help="Words that records and traces must have.")] = None,
    service: Annotated[str | None, typer.Option(help="A service that takes part.")] = None,
    level: Annotated[str | None, typer.Option(help="Records of this level and graver.")] = None,
    errors: Annotated[bool, typer.Option("--errors", help="Only traces with failed spans.")] = False,
    attr: Attributes = None,
    what: Annotated[str, typer.Option("--only", help="`logs` or `traces`; both otherwise.")] = "",
    seconds: Annotated[float | None, typer.Option("--for", help="End after so many seconds.")] = None,
    db: Db = None,
    console: Url = None,
    token: Token = None,
) -> None:
    """Follow log records and traces as they arrive, until Ctrl-C."""
    if what not in {"", "logs", "traces"}:
        raise typer.BadParameter(f"--only {what}: give logs or traces")
    both = options.pairs(q=query, service=service, attr=attr)
    followers: list[Logs | Traces] = []
    if what != "traces":
        followers.append(Logs([*both, *options.pairs(level=level)]))
    if what != "logs":
        followers.append(Traces([*both, *options.pairs(errors=errors)]))
    with asking(db, console, token, None) as source:
        _follow(source, followers, seconds)


def _follow(source: Source, followers: list[Logs | Traces], seconds: float | None) -> None:
    terminal = make_console()
    end = None if seconds is None else time.monotonic() + seconds
    try:
        while end is None or time.monotonic() < end:
            for follower in followers:
                for line in follower.lines(source):
                    printing.say(terminal, line)
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        return


class Logs:
    """New log records, in the order of their arrival.

    Args:
        wanted: what they must be like, as parameters of the API.
    """

    def __init__(self, wanted: Pairs) -> None:
        self._wanted = wanted
        self._after = time.time_ns() // 1000  # ids are instants of arrival in microseconds

    def lines(self, source: Source) -> Iterator[Text]:
        """Yield what has come since the last time."""
        while True:
            new = [("after", str(self._after)), ("limit", str(BATCH))]
            found: list[Shape] = source.get("logs", [*self._wanted, *new])["logs"]
            for each in found:
                self._after = max(self._after, each["id"])
                yield printing.log_line(each)
            if len(found) < BATCH:
                return


class Traces:
    """New traces, each once, when no more spans of it have come since the last time.

    Args:
        wanted: what they must be like, as parameters of the API.
    """

    def __init__(self, wanted: Pairs) -> None:
        self._wanted = wanted
        self._began_us = time.time_ns() // 1000
        self._told: dict[str, int] = {}
        self._growing: dict[str, int] = {}

    def lines(self, source: Source) -> Iterator[Text]:
        """Yield those that have ended since the last time."""
        since_us = max(self._began_us, time.time_ns() // 1000 - LOOK_BACK_US)
        wanted = [*self._wanted, ("from", str(since_us)), ("limit", str(BATCH))]
        found: list[Shape] = source.get("traces", wanted)["traces"]
        new = [each for each in reversed(found) if each["id"] not in self._told]
        for each in new:
            if self._growing.get(each["id"]) == each["spans"]:
                self._told[each["id"]] = each["start"]
                root = each["root"]
                yield printing.trace_line(each).append(f" {root['service']} {root['name']}")
        self._growing = {each["id"]: each["spans"] for each in new}
        self._told = {trace_id: at_us for trace_id, at_us in self._told.items() if at_us >= since_us}
