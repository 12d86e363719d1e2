"""The broker that the demo runs on: the one it is given, a private one, or none."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Final

import tracedrpc as messaging
from tracedrpc_console import stage
from tracedrpc_console.broker import BrokerUnavailable, broker

if TYPE_CHECKING:
    import contextlib

    from rich.console import Console

CONNECT_LIMIT_S: Final = 3.0


class CannotStart(Exception):
    """The demo has nothing to run on; the text says why."""


def broker_url(url: str | None, console: Console, stack: contextlib.ExitStack) -> str:
    """Have a broker running, as long as the stack does, and return its URL.

    Args:
        url: the one to use; None for a private one, or where there is none for the memory driver.
        console: is told which.
        stack: ends it.

    Raises:
        CannotStart: no host of the URL takes a connection.
    """
    if url is not None:
        if not is_memory(url):
            _check_reachable(url)
        console.print(f"broker    {messaging.TransportURL.parse(None, url)}", markup=False)
        return url if is_memory(url) else _leaving_nothing(url)
    began = time.monotonic()
    try:
        with console.status("starting a private RabbitMQ node"):
            running = stack.enter_context(broker())
    except BrokerUnavailable as error:
        reason = str(error).partition("\n")[0]
        console.print(f"broker    none, so the memory driver in one process: {reason}", markup=False)
        return stage.MEMORY_URL
    took = f"started in {time.monotonic() - began:.1f} s"
    console.print(f"broker    a RabbitMQ of our own, {_address(running.url)}, {took}", markup=False)
    return running.url


def is_memory(url: str) -> bool:
    """Tell whether a URL is the memory driver's."""
    return url.partition(":")[0] in {"memory", "fake"}


def _leaving_nothing(url: str) -> str:
    """Return the URL with an option that lets the demo's queues go with their last consumer."""
    return f"{url}{'&' if '?' in url else '?'}amqp_auto_delete=true"


def _check_reachable(url: str) -> None:
    """Find out in seconds, before anything else is started.

    Raises:
        CannotStart: no host of the URL takes a connection.
    """
    reasons = []
    for host in messaging.TransportURL.parse(None, url).hosts:
        address = (host.hostname or "localhost", host.port or 5672)
        try:
            with socket.create_connection(address, CONNECT_LIMIT_S):
                return
        except OSError as error:
            reasons.append(f"{address[0]}:{address[1]}: {error.strerror or error}")
    raise CannotStart(f"no RabbitMQ answers at {'; '.join(reasons)}")


def _address(url: str) -> str:
    return url.rpartition("@")[2].rstrip("/")
