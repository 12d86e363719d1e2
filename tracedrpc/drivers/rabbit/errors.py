"""Errors of kombu, py-amqp and the socket, told apart by class and reply code, never by text."""

from __future__ import annotations

import errno
import socket
import ssl
from enum import StrEnum
from typing import Final

from amqp import exceptions as amqp

from tracedrpc.exceptions import TransportDriverError


class Reason(StrEnum):
    """Why a connection could not be made, or was lost."""

    REFUSED = "refused"
    DNS = "dns"
    TIMEOUT = "timeout"
    RESET = "reset"
    TLS = "tls"
    AUTH = "auth"
    VHOST = "vhost"
    FORCED = "forced"
    HEARTBEAT = "heartbeat"
    NOT_FOUND = "not_found"
    LOCKED = "locked"
    PRECONDITION = "precondition"
    DENIED = "denied"
    FILES = "files"
    CLOSED = "closed"
    PROTOCOL = "protocol"
    OTHER = "other"


FATAL: Final = frozenset({Reason.AUTH, Reason.VHOST, Reason.TLS, Reason.DENIED})
"""Reasons that waiting does not mend: a caller learns them at once."""

BROKEN: Final = (OSError, amqp.AMQPError, AttributeError)
"""What py-amqp raises when a connection or channel is no longer usable.

AttributeError because py-amqp sets its members to None on a close and then uses them
(kombu, transport/pyamqp.py: "it's very annoying that pyamqp sometimes raises AttributeError").
"""

_BY_CODE: Final = {
    320: Reason.FORCED,
    403: Reason.DENIED,
    404: Reason.NOT_FOUND,
    405: Reason.LOCKED,
    406: Reason.PRECONDITION,
    530: Reason.VHOST,
}
_BY_ERRNO: Final = {
    errno.EAGAIN: Reason.TIMEOUT,
    errno.ECONNREFUSED: Reason.REFUSED,
    errno.ECONNRESET: Reason.RESET,
    errno.EPIPE: Reason.RESET,
    errno.ETIMEDOUT: Reason.TIMEOUT,
    errno.EMFILE: Reason.FILES,
    errno.ENOENT: Reason.TLS,  # only its files are opened by name
    errno.ENFILE: Reason.FILES,
}


class ConnectFailed(TransportDriverError):
    """No broker could be reached.

    Attributes:
        reason: why the last attempt failed.
        peer: "host:port" of the last attempt.
    """

    def __init__(self, reason: Reason, peer: str, advice: str) -> None:
        super().__init__(f"cannot connect to the broker at {peer}: {advice}")
        self.reason = reason
        self.peer = peer


class DeclareRefused(TransportDriverError):
    """The broker does not let us declare or consume a queue.

    Attributes:
        queue: the queue's name.
        reason: why, as far as it can be told.
    """

    def __init__(self, queue: str, reason: Reason, detail: str) -> None:
        super().__init__(f"cannot consume from queue '{queue}' ({reason.value}): {detail}")
        self.queue = queue
        self.reason = reason


class AcquireTimeout(TransportDriverError):
    """The pool had no connection before the deadline."""


class ConnectionClosed(TransportDriverError):
    """The transport is closed."""


_ADVICE: Final = {
    Reason.REFUSED: "nothing listens there; is the broker running, is the port right?",
    Reason.DNS: "the host name is not known",
    Reason.TIMEOUT: "it did not answer in time",
    Reason.RESET: "the connection was reset; TLS on one side only?",
    Reason.TLS: "the TLS handshake failed; check ssl, ssl_ca_file and the certificate's host name",
    Reason.AUTH: "user name or password are not accepted",
    Reason.VHOST: "the virtual host does not exist or this user may not use it",
    Reason.FILES: "this process has no file descriptors left",
}


def reason_of(error: BaseException, *, connecting: bool = False) -> Reason:
    """Return the reason for an error of a connection; `connecting` before the handshake is over."""
    if isinstance(error, (ConnectFailed, DeclareRefused)):
        return error.reason
    if isinstance(error, amqp.AMQPError):
        return _reason_of_amqp(error, connecting=connecting)
    for kind, reason in _BY_CLASS:
        if isinstance(error, kind):
            return reason
    if isinstance(error, OSError):
        return _BY_ERRNO.get(error.errno or 0, Reason.RESET)
    return Reason.OTHER


_BY_CLASS: Final = (
    (ssl.SSLEOFError, Reason.RESET),  # cut off, as by a broker that goes down: waiting mends it
    (ssl.SSLZeroReturnError, Reason.RESET),
    (ssl.SSLError, Reason.TLS),
    (socket.gaierror, Reason.DNS),
    (TimeoutError, Reason.TIMEOUT),
    (AttributeError, Reason.CLOSED),
)


def _reason_of_amqp(error: amqp.AMQPError, *, connecting: bool) -> Reason:
    code = error.reply_code or 0
    if connecting and code == amqp.AccessRefused.code:
        return Reason.AUTH
    if isinstance(error, amqp.ConnectionForced) and error.method_sig is None:
        return Reason.HEARTBEAT  # raised by py-amqp itself, not by a method of the broker
    return _BY_CODE.get(code, Reason.PROTOCOL if code else Reason.CLOSED)


def connect_failed(reason: Reason, peer: str) -> ConnectFailed:
    """Return the error for a failed connect, with what to do next."""
    return ConnectFailed(reason, peer, _ADVICE.get(reason, reason.value))
