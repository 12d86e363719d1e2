"""Looks host names up within a deadline, which the system's resolver does not know."""

from __future__ import annotations

import contextlib
import ipaddress
import queue
import socket
from typing import TYPE_CHECKING

from tracedrpc import _threads

if TYPE_CHECKING:
    from tracedrpc._deadline import Deadline


def resolve(host: str, port: int, deadline: Deadline) -> str:
    """Return a numeric address for a host name; one that is numeric already as it is.

    A look-up that is too slow goes on in its own short-lived thread, and nobody hears of it.

    Raises:
        socket.gaierror: the name is not known, or was not found before the deadline.
    """
    if host == "localhost" or _is_numeric(host):
        return host
    answers: queue.SimpleQueue[str | OSError] = queue.SimpleQueue()
    _threads.start("resolver", lambda: answers.put(_look_up(host, port)))
    try:
        answer = answers.get(timeout=max(0.001, deadline.left_s()))
    except queue.Empty:
        raise socket.gaierror(socket.EAI_AGAIN, "the resolver did not answer in time") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def _is_numeric(host: str) -> bool:
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        return True
    return False


def _look_up(host: str, port: int) -> str | OSError:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return error
    return str(found[0][4][0])
