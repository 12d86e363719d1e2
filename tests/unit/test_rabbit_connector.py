"""Making connections: what was begun is told to its end, whatever goes wrong in between."""

from __future__ import annotations

import pytest

from tracedrpc._deadline import Deadline
from tracedrpc.drivers.rabbit import connector as connectors
from tracedrpc.drivers.rabbit.connector import Connector
from tracedrpc.drivers.rabbit.errors import ConnectFailed
from tracedrpc.options import Options
from tracedrpc.testing import RecordingTelemetry
from tracedrpc.url import TransportURL

URL = "rabbit://127.0.0.1:5672,127.0.0.2:5673/"


class Lab:
    def __init__(self, url=URL):
        self.telemetry = RecordingTelemetry()
        self.connector = Connector(
            TransportURL.parse(None, url), Options(), self.telemetry, lambda shipment, outcome: None,
        )

    def open(self):
        return self.connector.open("send", Deadline.after(5))

    def told(self):
        return [(moment.name, moment.fields["connection"].id) for moment in self.telemetry.moments]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, RuntimeError, KeyError])
def test_an_attempt_that_is_interrupted_or_fails_by_our_fault_has_failed_all_the_same(monkeypatch, error):
    lab = Lab()

    def dial(*args):
        raise error

    monkeypatch.setattr(lab.connector, "_dial", dial)
    with pytest.raises(error):
        lab.open()
    ((created, number), (failed, same)) = lab.told()
    assert (created, failed) == ("connection_created", "connect_failed")
    assert number == same
    assert lab.telemetry.of("connect_failed")[0].fields["reason"] == "other"


def test_each_host_that_does_not_answer_is_an_attempt_of_its_own(monkeypatch):
    lab = Lab()

    def dial(*args):
        raise ConnectionRefusedError

    monkeypatch.setattr(lab.connector, "_dial", dial)
    with pytest.raises(ConnectFailed):
        lab.open()
    names = [name for name, _ in lab.told()]
    assert names == ["connection_created", "connect_failed"] * 2
    peers = {moment.fields["connection"].peer for moment in lab.telemetry.moments}
    assert peers == {"127.0.0.1:5672", "127.0.0.2:5673"}


def test_a_failure_tells_the_address_once_it_was_found(monkeypatch):
    lab = Lab("rabbit://rabbit-1/")
    monkeypatch.setattr(connectors, "resolve", lambda host, port, limit: "10.0.0.7")

    def dial(*args):
        raise ConnectionRefusedError

    monkeypatch.setattr(lab.connector, "_dial", dial)
    with pytest.raises(ConnectFailed):
        lab.open()
    created, failed = (moment.fields["connection"] for moment in lab.telemetry.moments)
    assert (created.address, failed.address) == ("", "10.0.0.7")
    assert created.peer == failed.peer == "rabbit-1:5672"


def test_a_virtual_connection_is_told_like_a_real_one(monkeypatch):
    lab = Lab("kombu+memory://")
    link = lab.open()
    assert [name for name, _ in lab.told()] == ["connection_created", "connection_ready"]
    assert link.info.ready_ns
    assert link.info.connect_ns
    link.close()

    def dial(host):
        raise OSError

    monkeypatch.setattr(lab.connector, "_dial_virtual", dial)
    with pytest.raises(OSError):  # noqa: PT011 - any error of the transport
        lab.open()
    assert lab.told()[-1][0] == "connect_failed"


def test_a_virtual_queue_can_be_looked_at():
    link = Lab("kombu+memory://").open()
    assert not link.look_at("nobody-has-declared-this", 1).exists
    link._channel.queue_declare("somebody-has")
    state = link.look_at("somebody-has", 1)
    assert (state.exists, state.messages, state.consumers) == (True, 0, None)
    link.close()
