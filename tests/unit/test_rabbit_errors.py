"""Errors of kombu, py-amqp and the socket become one reason each, by class and code."""

from __future__ import annotations

import errno
import socket
import ssl

import pytest
from amqp import exceptions as amqp

from tracedrpc.drivers.rabbit.errors import BROKEN, FATAL, DeclareRefused, Reason, connect_failed, reason_of
from tracedrpc.exceptions import MessagingException, TransportDriverError


def os_error(code):
    return OSError(code, "text that nobody reads")


@pytest.mark.parametrize(("error", "reason"), [
    (ConnectionRefusedError(errno.ECONNREFUSED, "x"), Reason.REFUSED),
    (os_error(errno.ECONNRESET), Reason.RESET),
    (os_error(errno.EPIPE), Reason.RESET),
    (os_error(errno.ETIMEDOUT), Reason.TIMEOUT),
    (os_error(errno.EMFILE), Reason.FILES),
    (os_error(errno.EBADF), Reason.RESET),
    (TimeoutError("timed out"), Reason.TIMEOUT),
    (socket.gaierror(socket.EAI_NONAME, "x"), Reason.DNS),
    (ssl.SSLError(1, "x"), Reason.TLS),
    (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), Reason.RESET),
    (ssl.SSLZeroReturnError(6, "TLS/SSL connection has been closed"), Reason.RESET),
    (ssl.SSLCertVerificationError(1, "x"), Reason.TLS),
    (amqp.ConnectionForced("x", (0, 0), reply_code=320), Reason.FORCED),
    (amqp.ConnectionForced("Too many heartbeats missed"), Reason.HEARTBEAT),
    (amqp.AccessRefused("x", reply_code=403), Reason.DENIED),
    (amqp.NotFound("x", reply_code=404), Reason.NOT_FOUND),
    (amqp.ResourceLocked("x", reply_code=405), Reason.LOCKED),
    (amqp.PreconditionFailed("x", reply_code=406), Reason.PRECONDITION),
    (amqp.NotAllowed("x", reply_code=530), Reason.VHOST),
    (amqp.InternalError("x", reply_code=541), Reason.PROTOCOL),
    (amqp.RecoverableConnectionError("x"), Reason.CLOSED),
    (AttributeError("'NoneType' object has no attribute 'sendall'"), Reason.CLOSED),
    (connect_failed(Reason.TLS, "b:1"), Reason.TLS),
    (DeclareRefused("compute", Reason.LOCKED, "x"), Reason.LOCKED),
    (ValueError("x"), Reason.OTHER),
])
def test_an_error_has_a_reason(error, reason):
    assert reason_of(error) is reason


def test_a_refusal_during_the_handshake_means_wrong_credentials():
    refused = amqp.AccessRefused("x", reply_code=403)
    assert reason_of(refused, connecting=True) is Reason.AUTH
    assert reason_of(refused) is Reason.DENIED


@pytest.mark.parametrize("error", [
    OSError(), TimeoutError(), ssl.SSLError(), amqp.AMQPError("x"), amqp.NotFound("x"), AttributeError(),
])
def test_what_py_amqp_raises_on_a_dead_connection_counts_as_broken(error):
    assert isinstance(error, BROKEN)


def test_faults_of_ours_do_not_count_as_broken():
    assert not isinstance(KeyError("x"), BROKEN)
    assert not isinstance(TypeError("x"), BROKEN)


@pytest.mark.parametrize("reason", Reason)
def test_a_failed_connect_says_where_and_why(reason):
    error = connect_failed(reason, "rabbit-1:5672")
    assert "rabbit-1:5672" in str(error)
    assert (error.reason, error.peer) == (reason, "rabbit-1:5672")
    assert isinstance(error, TransportDriverError)
    assert isinstance(error, MessagingException)


def test_a_refused_declaration_names_the_queue_and_the_reason():
    error = DeclareRefused("compute", Reason.DENIED, "no permission")
    assert (error.queue, error.reason) == ("compute", Reason.DENIED)
    assert "'compute' (denied): no permission" in str(error)


def test_only_what_waiting_does_not_mend_is_fatal():
    assert {Reason.AUTH, Reason.VHOST, Reason.TLS} <= FATAL
    assert not {Reason.REFUSED, Reason.DNS, Reason.TIMEOUT, Reason.RESET, Reason.FORCED} & FATAL
