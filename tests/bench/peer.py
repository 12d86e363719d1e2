"""The command line that every peer shares: `server URL TOPIC` and `client URL TOPIC ...`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from typing import TYPE_CHECKING, TypeVar

from tests.bench.load import Load, Run, Service, measure, run_threads

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

S = TypeVar("S", bound=Service)


def main(
    serve: Callable[[str, str], AbstractContextManager[None]],
    connect: Callable[[str, str], AbstractContextManager[S]],
    driver: Callable[[S, Load], Run] = run_threads,
) -> None:
    """Run one side of a peer: `serve` and `connect` take the broker's URL and the topic.

    The server says one JSON line when it is up, the client one with its figures.
    """
    options = parse(sys.argv[1:])
    if options.side == "server":
        with serve(options.url, options.topic):
            wait_for_the_end()
        return
    load = Load(options.callers, options.seconds, options.warmup, options.mode, options.server_pid)
    with connect(options.url, options.topic) as service:
        say(measure(service, load, driver))


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read a peer's command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    sides = parser.add_subparsers(dest="side", required=True)
    for side in (sides.add_parser("server"), client := sides.add_parser("client")):
        side.add_argument("url")
        side.add_argument("topic")
    client.add_argument("--callers", type=int, default=1)
    client.add_argument("--seconds", type=float, default=2.0)
    client.add_argument("--warmup", type=float, default=0.5)
    client.add_argument("--mode", choices=("call", "cast"), default="call")
    client.add_argument("--server-pid", type=int, default=0, help="whose CPU to read, too")
    return parser.parse_args(arguments)


def wait_for_the_end() -> None:
    """Say that the server is up, then wait for SIGTERM, SIGINT or the end of standard input."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    signal.signal(signal.SIGINT, lambda *_: ended.set())
    threading.Thread(target=follow_parent, args=(ended,), name="parent", daemon=True).start()
    say({"ready": True})
    ended.wait()


def follow_parent(ended: threading.Event) -> None:
    """Set `ended` when the runner's end of our standard input closes, so that none is left over."""
    sys.stdin.read()
    ended.set()


def say(fact: dict[str, float]) -> None:
    """Write one JSON line to the runner."""
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()
