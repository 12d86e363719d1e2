"""Fanouts through a stream: one for all servers of a topic, in which each keeps its own place."""

from __future__ import annotations

import contextlib
import threading

import amqp
import pytest

from tests.integration.support import SOON_S, Endpoint, Site
from tracedrpc.drivers.rabbit import stream
from tracedrpc.drivers.rabbit.connector import Connector
from tracedrpc.testing import RecordingTelemetry

STREAM = {"rabbit_stream_fanout": "true"}
AS_THE_ORIGINAL_NEEDS_IT = {
    **STREAM, "rabbit_transient_quorum_queue": "true", "rabbit_qos_prefetch_count": "10",
}
PROPERTIES = {
    "durable": True, "auto_delete": False, "arguments": {"x-queue-type": "stream", "x-max-age": "1800s"},
}


def delete_stream(site):
    with site.channel() as channel:
        channel.queue_delete(f"{site.topic}_fanout")


@pytest.fixture
def streaming(site):
    """Give the site, and delete its stream in the end."""
    yield site
    with contextlib.suppress(amqp.AMQPError, OSError):
        delete_stream(site)


@pytest.fixture
def ours(private_broker, topic, exchange, no_leaks):
    """Give a site on a broker that only this module uses."""
    made = Site(private_broker.url, topic, exchange)
    yield made
    made.close()


def serve(site, name="one", workers=4, **more):
    endpoint = Endpoint(name)
    site.serve(endpoint, server=name, transport=site.transport(**STREAM | more), workers=workers)
    return endpoint


def fanout(site, **more):
    return site.client(site.transport(**STREAM | more)).prepare(fanout=True)


def values(endpoint):
    return [args["value"] for _, args in endpoint.calls]


def seen(endpoint, count):
    """Wait for so many casts, and return what they brought."""
    endpoint.wait_for(count, 30)
    return sorted(values(endpoint))


# ---- what is declared ----------------------------------------------------------------------------


def test_the_original_may_declare_the_stream_after_us(streaming):
    endpoint = serve(streaming, **AS_THE_ORIGINAL_NEEDS_IT)
    fanout(streaming, **AS_THE_ORIGINAL_NEEDS_IT).cast({}, "note", value=1)
    endpoint.wait_for(1)
    with streaming.channel() as channel:
        channel.queue_declare(f"{streaming.topic}_fanout", **PROPERTIES)
        channel.exchange_declare(f"{streaming.topic}_fanout", "fanout", durable=True, auto_delete=True)


def test_the_original_may_declare_the_stream_before_us(streaming):
    telemetry = RecordingTelemetry()
    with streaming.channel() as channel:
        channel.exchange_declare(f"{streaming.topic}_fanout", "fanout", durable=True, auto_delete=True)
        channel.queue_declare(f"{streaming.topic}_fanout", **PROPERTIES)
        endpoint = Endpoint()
        streaming.serve(endpoint, transport=streaming.transport(telemetry, **STREAM))
        fanout(streaming).cast({}, "note", value=1)
        endpoint.wait_for(1)
    assert telemetry.of("queue_adopted") == []


def test_a_stream_that_keeps_its_messages_for_another_time_is_used_as_it_is(streaming):
    with streaming.channel() as channel:
        channel.queue_declare(f"{streaming.topic}_fanout", durable=True, auto_delete=False, arguments={
            "x-queue-type": "stream", "x-max-age": "10s",
        })
    endpoint = serve(streaming)
    fanout(streaming).cast({}, "note", value=1)
    endpoint.wait_for(1)
    assert streaming.telemetry.of("queue_adopted")


def test_a_queue_in_the_stream_s_place_is_an_error_since_only_one_server_would_get_each_cast(
    streaming, monkeypatch,
):
    monkeypatch.setattr("tracedrpc.drivers.rabbit.listener.START_S", 2.0)
    with streaming.channel() as channel:
        channel.queue_declare(f"{streaming.topic}_fanout", durable=True, auto_delete=False)
    server = streaming.server(Endpoint(), transport=streaming.transport(**STREAM))
    with pytest.raises(Exception, match=rf"'{streaming.topic}_fanout'.*x-stream-offset"):
        server.start()


def test_the_stream_is_there_after_the_last_server(streaming):
    serve(streaming)
    for server in streaming._servers:
        server.stop()
        server.wait()
    assert streaming.exists(f"{streaming.topic}_fanout")


# ---- who gets what -------------------------------------------------------------------------------


def test_every_server_gets_every_cast_once(streaming):
    endpoints = [serve(streaming, name) for name in ("one", "two", "three")]
    send = fanout(streaming)
    for number in range(20):
        send.cast({}, "note", value=number)
    for endpoint in endpoints:
        assert seen(endpoint, 20) == list(range(20))
    assert len({queue.name for server in streaming._servers for queue in server.listener._queues[-1:]}) == 1


def test_calls_and_casts_go_on_beside_the_stream(streaming):
    endpoint = serve(streaming)
    client = streaming.client(streaming.transport(**STREAM))
    assert client.call({}, "echo", value=1) == 1
    client.cast({}, "note", value=2)
    assert seen(endpoint, 2) == [1, 2]


def test_a_new_server_does_not_run_what_was_cast_before_it(streaming):
    first = serve(streaming)
    send = fanout(streaming)
    send.cast({}, "note", value="before")
    first.wait_for(1)
    second = serve(streaming, "two")
    send.cast({}, "note", value="after")
    assert seen(second, 1) == ["after"]
    assert seen(first, 2) == ["after", "before"]


def test_more_casts_than_may_be_unacknowledged_all_arrive(streaming):
    endpoint = serve(streaming, workers=2, rabbit_qos_prefetch_count="3")
    send = fanout(streaming)
    for number in range(50):
        send.cast({}, "note", value=number)
    assert seen(endpoint, 50) == list(range(50))


# ---- losses --------------------------------------------------------------------------------------


class Gate:
    """Keeps servers from connecting while it is closed."""

    def __init__(self, monkeypatch):
        self._open = threading.Event()
        self.arrived = threading.Event()
        self._open.set()
        connect = Connector.open

        def wait_and_connect(connector, purpose, deadline):
            if purpose == "listen" and not self._open.is_set():
                self.arrived.set()
                assert self._open.wait(30)
            return connect(connector, purpose, deadline)

        monkeypatch.setattr(Connector, "open", wait_and_connect)

    def close(self):
        self._open.clear()

    def open(self):
        self._open.set()


@pytest.fixture
def gate(monkeypatch):
    gate = Gate(monkeypatch)
    yield gate
    gate.open()


def cut_off(gate, broker):
    """Close all connections, and return when the server would connect again but cannot yet."""
    gate.close()
    broker.rabbitmqctl("close_all_connections", "the test says so")
    assert gate.arrived.wait(SOON_S)


def test_what_was_cast_while_a_server_was_cut_off_is_run_once(ours, private_broker, gate):
    endpoint = serve(ours, dedup_window="0", rabbit_qos_prefetch_count="1")
    fanout(ours).cast({}, "note", value=0)
    endpoint.wait_for(1)
    cut_off(gate, private_broker)
    send = fanout(ours)
    for number in range(1, 11):
        send.cast({}, "note", value=number)
    gate.open()
    assert seen(endpoint, 11) == list(range(11))
    send.cast({}, "note", value=11)
    assert seen(endpoint, 12) == list(range(12))


def test_a_server_that_had_seen_nothing_gets_what_was_cast_while_it_was_cut_off(ours, private_broker, gate):
    endpoint = serve(ours)
    cut_off(gate, private_broker)
    fanout(ours).cast({}, "note", value=1)
    gate.open()
    assert seen(endpoint, 1) == [1]


def test_casts_that_wait_for_a_worker_are_not_lost_with_the_connection(ours, private_broker, gate):
    endpoint = serve(ours, workers=1)
    send = fanout(ours)
    send.cast({}, "hold", value=0)
    assert endpoint.entered.acquire(timeout=SOON_S)
    for number in range(1, 6):
        send.cast({}, "note", value=number)
    cut_off(gate, private_broker)
    gate.open()
    endpoint.goes_on.set()
    assert seen(endpoint, 6) == list(range(6))


@pytest.mark.parametrize("new", [1, 10], ids=["a shorter stream", "a longer stream"])
def test_after_the_stream_was_deleted_and_made_anew_a_server_is_not_deaf(
    ours, private_broker, gate, monkeypatch, new,
):
    monkeypatch.setattr(stream, "PATIENCE_S", 0.5)
    endpoint = serve(ours)
    send = fanout(ours)
    for number in range(5):
        send.cast({}, "note", value=number)
    endpoint.wait_for(5)
    cut_off(gate, private_broker)
    delete_stream(ours)
    make_stream(ours)
    for number in range(100, 100 + new):
        fanout(ours).cast({}, "note", value=number)
    gate.open()
    assert seen(endpoint, 5 + new) == [*range(5), *range(100, 100 + new)]


def make_stream(site):
    """Declare the stream as another server would."""
    with site.channel() as channel:
        channel.exchange_declare(f"{site.topic}_fanout", "fanout", durable=True, auto_delete=True)
        channel.queue_declare(f"{site.topic}_fanout", **PROPERTIES)
        channel.queue_bind(f"{site.topic}_fanout", f"{site.topic}_fanout", site.topic)


def test_a_stream_that_is_deleted_under_a_server_is_made_again(ours, monkeypatch):
    monkeypatch.setattr(stream, "PATIENCE_S", 0.5)
    endpoint = serve(ours)
    send = fanout(ours)
    for number in range(3):
        send.cast({}, "note", value=number)
    endpoint.wait_for(3)
    delete_stream(ours)
    ours.telemetry.wait_for("consumer_cancelled")
    ours.telemetry.wait_for("consumer_started", 4 + 1)
    send.cast({}, "note", value=3)
    assert seen(endpoint, 4) == list(range(4))
