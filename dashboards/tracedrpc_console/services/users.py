"""The users of the example services as a process: rounds of traffic, each with every scenario, until SIGTERM.

Run it with `python -m tracedrpc_console.services.users rabbit://guest:guest@127.0.0.1:5672/`; the
services have to run already.
"""

from __future__ import annotations

import argparse
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final

import tracedrpc as messaging
import tracedrpc_otel
from tracedrpc_console import expected
from tracedrpc_console.services import runtime
from tracedrpc_console.services.running import stop_queue
from tracedrpc_console.traffic import Traffic

ROUND_S: Final = 4.0
"""Seconds in which new calls are made; the slowest of them end two seconds later."""
PAUSE_S: Final = 5.0


def run() -> None:
    """Drive the services until SIGTERM or Ctrl-C, and print a line for each round."""
    parser = argparse.ArgumentParser(prog="python -m tracedrpc_console.services.users")
    parser.add_argument("url", nargs="?", default="", help="the broker; without it TRACEDRPC_TRANSPORT_URL")
    url = parser.parse_args().url
    stop = stop_queue()
    configured = tracedrpc_otel.configure(service_name=expected.TRAFFIC)
    runtime.observe()
    connect = partial(messaging.get_rpc_transport, None, url)
    with connect() as transport:
        traffic = Traffic(transport, connect)
        is_over = False
        while not is_over:
            traffic.round(ROUND_S, lambda _: None)
            print(_said(traffic), flush=True)  # noqa: T201 - for who reads the container's log
            is_over = _is_told_to_stop(stop, PAUSE_S)
    configured.shutdown()


def _is_told_to_stop(stop: SimpleQueue[None], within_s: float) -> bool:
    try:
        stop.get(timeout=within_s)
    except Empty:
        return False
    return True


def _said(traffic: Traffic) -> str:
    calls, errors = traffic.total()
    surprises = "".join(f"\n  {text}" for text in traffic.surprises)
    return f"{calls} calls, {errors} of them failed on purpose, {len(traffic.surprises)} otherwise{surprises}"


if __name__ == "__main__":
    run()
