"""What each example service does around its own code: set-up, serving until told to stop, the end."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Final

import tracedrpc as messaging
import tracedrpc_otel

if TYPE_CHECKING:
    from collections.abc import Callable

READY: Final = "ready"
"""What a service writes to its standard output when requests can arrive."""


def run(service_name: str, make_server: Callable[..., messaging.MessageHandlingServer]) -> None:
    """Run a service until SIGTERM, Ctrl-C or, with `--until-eof`, the end of standard input."""
    parser = argparse.ArgumentParser(prog=f"python -m tracedrpc_console.services.{service_name}")
    parser.add_argument("url", help="the broker, e.g. rabbit://guest:guest@127.0.0.1:5672/")
    parser.add_argument("server", nargs="?", default=f"{service_name}-1", help="this server's name")
    parser.add_argument("--until-eof", action="store_true", help="end with standard input")
    arguments = parser.parse_args()
    stop = _stop_event(until_eof=arguments.until_eof)
    logging.getLogger().setLevel(logging.INFO)
    configured = tracedrpc_otel.configure(service_name=service_name)
    with (
        messaging.get_rpc_transport(None, arguments.url) as transport,
        make_server(transport, arguments.server),
    ):
        print(READY, flush=True)  # noqa: T201 - whoever started us waits for it
        stop.wait()
    configured.shutdown()


def _stop_event(*, until_eof: bool) -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if until_eof:  # comes when our parent closes the pipe or dies, however it dies
        threading.Thread(target=_await_eof, args=(stop,), name="until-eof", daemon=True).start()
    return stop


def _await_eof(stop: threading.Event) -> None:
    while os.read(sys.stdin.fileno(), 1024):
        pass
    stop.set()
