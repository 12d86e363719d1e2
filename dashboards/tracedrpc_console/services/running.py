"""What each example service does around its own code: set-up, serving until told to stop, the end."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final

import tracedrpc as messaging
import tracedrpc_otel
from tracedrpc_console.services import runtime

if TYPE_CHECKING:
    from collections.abc import Callable

READY: Final = "ready"
"""What a service writes to its standard output when requests can arrive."""


def run(service_name: str, make_server: Callable[..., messaging.MessageHandlingServer]) -> None:
    """Run a service until SIGTERM, Ctrl-C or, with `--until-eof`, the end of standard input."""
    parser = argparse.ArgumentParser(prog=f"python -m tracedrpc_console.services.{service_name}")
    parser.add_argument(
        "url", help='the broker, e.g. rabbit://guest:guest@127.0.0.1:5672/; "" for TRACEDRPC_TRANSPORT_URL',
    )
    parser.add_argument("server", nargs="?", default=f"{service_name}-1", help="this server's name")
    parser.add_argument("--until-eof", action="store_true", help="end with standard input")
    arguments = parser.parse_args()
    stop = stop_queue(until_eof=arguments.until_eof)
    logging.getLogger().setLevel(logging.INFO)
    configured = tracedrpc_otel.configure(service_name=service_name)
    runtime.observe()
    with (
        messaging.get_rpc_transport(None, arguments.url) as transport,
        make_server(transport, arguments.server),
    ):
        print(READY, flush=True)  # noqa: T201 - whoever started us waits for it
        stop.get()
    configured.shutdown()


def stop_queue(*, until_eof: bool = False) -> SimpleQueue[None]:
    """Return a queue that gets an item at SIGTERM, at Ctrl-C or, if asked for, at the end of standard input.

    No `threading.Event`: a signal that arrives when the main thread is about to wait for one finds
    its lock taken, and waits for ever. This queue may be put into from anywhere.
    """
    stop: SimpleQueue[None] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.put(None))
    if until_eof:  # comes when our parent closes the pipe or dies, however it dies
        threading.Thread(target=_await_eof, args=(stop,), name="until-eof", daemon=True).start()
    return stop


def _await_eof(stop: SimpleQueue[None]) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    stop.put(None)
