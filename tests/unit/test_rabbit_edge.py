"""Reading the socket in large pieces: what is here is handled at once, what is not is not waited for."""

from __future__ import annotations

import socket
from collections import deque
from time import monotonic

import pytest
from amqp.transport import TCPTransport

from tracedrpc._deadline import Deadline
from tracedrpc.drivers.rabbit import frames
from tracedrpc.drivers.rabbit.edge import EdgeConnection


@pytest.fixture
def wire():
    """Give a connection of ours and the broker's end of its socket."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(None)
        connection = EdgeConnection.__new__(EdgeConnection)
        connection.frame_max = 4096
        connection._rest = b""
        connection.until = None
        connection._frames = deque()
        connection.transport = TCPTransport("h", 1)
        connection.transport.sock, connection.transport.connected = ours, True
        connection.handled = []
        connection.on_inbound_frame = lambda frame: connection.handled.append(frame) or True
        yield connection, theirs


def confirm(tag):
    return frames.ack(1, tag, multiple=False)


def test_every_frame_of_one_piece_is_handled(wire):
    connection, broker = wire
    broker.sendall(confirm(1) + confirm(2))
    connection.read_available()
    assert len(connection.handled) == 2


def test_frames_that_are_here_already_are_handled_without_waiting_for_more(wire):
    connection, _ = wire
    connection._feed(confirm(1))
    assert connection.has_pending()
    began_s = monotonic()
    connection.read_available()
    assert monotonic() - began_s < 1.0
    assert len(connection.handled) == 1
    assert not connection.has_pending()


def test_half_a_frame_is_kept_until_the_rest_comes(wire):
    connection, broker = wire
    broker.sendall(confirm(1)[:9])
    connection.read_available()
    assert not connection.handled
    broker.sendall(confirm(1)[9:])
    connection.read_available()
    assert len(connection.handled) == 1


def test_py_amqps_own_waits_end_together_at_one_instant(wire):
    """Its time-outs are for each frame: a broker that says a little now and then would hold us for ever."""
    connection, _ = wire
    connection.until = Deadline.after(0.1)
    began_s = monotonic()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            connection.blocking_read(30)
    assert monotonic() - began_s < 1.0


def test_the_end_of_the_stream_is_a_lost_connection(wire):
    connection, broker = wire
    broker.close()
    with pytest.raises(ConnectionResetError):
        connection.read_available()
    assert not connection.transport.connected
