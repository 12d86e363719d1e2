"""What networks do to connections, and what a caller may notice of it."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic

import pytest

from tests.faults.support import GRACE_S, SOON_S, Executions, eventually, failures, twice
from tracedrpc import MessageDeliveryFailure, MessagingTimeout
from tracedrpc.message import Stage
from tracedrpc.testing import RecordingTelemetry


@contextmanager
def at_most(seconds):
    """Fail when the block takes longer."""
    began_s = monotonic()
    try:
        yield
    finally:
        lasted_s = monotonic() - began_s
        assert lasted_s <= seconds, f"{lasted_s:.3f} s"


@pytest.fixture
def silent_url():
    """Give the URL of a port that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield f"rabbit://guest:guest@127.0.0.1:{listening.getsockname()[1]}/"


# ---- resets ----------------------------------------------------------------------------------------


def test_resets_of_all_connections_under_load_fail_no_call_and_repeat_none(far_site, proxy):
    done = Executions()
    far_site.server(done)
    load = far_site.load(far_site.client(timeout=10))
    for _ in range(5):
        load.wait_for(20)
        assert proxy.reset_all()
    load.wait_for(20)
    records = load.stop()
    assert failures(records) == []
    assert twice(done.ids()) == []


def test_no_call_waits_longer_than_a_second_after_a_reset(far_site, proxy):
    far_site.server(Executions())
    load = far_site.load(far_site.client(timeout=10), threads=8)
    for _ in range(3):
        load.wait_for(20)
        proxy.reset_all()
    load.wait_for(20)
    assert max(record.lasted_s for record in load.stop()) <= 1.0


def test_calls_go_on_after_a_while_of_refused_connections(far_site, proxy):
    far_site.server(Executions())
    transport = far_site.transport()
    load = far_site.load(far_site.client(transport, timeout=10))
    hasty = far_site.client(transport, timeout=0.3)
    load.wait_for(20)
    proxy.refuse()
    proxy.reset_all()
    with pytest.raises(MessagingTimeout), at_most(0.3 + GRACE_S):
        hasty.call({}, "work", number="refused")
    proxy.accept()
    load.wait_for(20)
    assert failures(load.stop()) == []


def test_a_server_takes_at_once_what_waits_in_its_queue_when_it_starts(far_site):
    far_site.server(Executions()).stop()
    client = far_site.client(timeout=5)
    for index in range(3):
        client.cast({}, "work", number=str(index))
    done = Executions()
    far_site.server(done, name="two")
    assert done.wait_for(3, timeout_s=1.0)


# ---- deadlines -------------------------------------------------------------------------------------


def test_a_call_ends_at_its_deadline_when_the_port_never_answers(site, silent_url):
    client = site.client(site.transport(url=silent_url), timeout=1)
    with pytest.raises(MessagingTimeout), at_most(1 + GRACE_S):
        client.call({}, "work", number="1")


def test_a_cast_ends_at_its_deadline_when_the_port_never_answers(site, silent_url):
    client = site.client(site.transport(url=silent_url), timeout=1, transport_options=None)
    with pytest.raises(MessageDeliveryFailure), at_most(1 + GRACE_S):
        client.cast({}, "work", number="1")


def test_a_cast_ends_at_its_deadline_on_a_slow_network(far_site, proxy):
    proxy.delay(0.3)
    client = far_site.client(timeout=1)
    with pytest.raises(MessageDeliveryFailure), at_most(1 + GRACE_S):
        client.cast({}, "work", number="1")


def test_a_cast_ends_at_its_deadline_when_its_exchange_is_declared_on_a_frozen_connection(far_site, proxy):
    client = far_site.client(timeout=1)
    client.prepare(exchange="known", timeout=5).cast({}, "work", number="1")
    proxy.freeze()
    proxy.refuse()
    with pytest.raises(MessageDeliveryFailure), at_most(1 + GRACE_S):
        client.prepare(exchange="unknown").cast({}, "work", number="2")


def test_a_cast_ends_at_its_deadline_when_the_resolver_is_slow(site, monkeypatch):
    resolve = socket.getaddrinfo

    def resolve_slowly(host, *args, **kwargs):
        if host == "slow.test":
            time.sleep(2.5)
            host = "127.0.0.1"
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve_slowly)
    client = site.client(site.transport(url=site.url.replace("127.0.0.1", "slow.test")), timeout=1)
    with pytest.raises(MessageDeliveryFailure), at_most(1 + GRACE_S):
        client.cast({}, "work", number="1")


def test_calls_end_at_their_deadline_on_frozen_connections_and_new_ones_take_over(far_site, proxy):
    far_site.server(Executions())
    transport = far_site.transport(heartbeat_timeout_threshold=1)
    client = far_site.client(transport, timeout=1)
    client.call({}, "work", number="before")
    proxy.freeze()
    with pytest.raises(MessagingTimeout), at_most(1 + GRACE_S):
        client.call({}, "work", number="frozen")
    far_site.server(Executions(), far_site.transport(), name="two")
    assert eventually(lambda: answers(client), 8)


def answers(client):
    """Tell whether a call succeeds."""
    try:
        return client.call({}, "work", number="after") == "after"
    except (MessagingTimeout, MessageDeliveryFailure):
        return False


# ---- idle connections ------------------------------------------------------------------------------


def test_a_process_that_only_casts_keeps_its_connection_alive_by_heartbeats(site):
    site.server(Executions())
    telemetry = RecordingTelemetry()
    client = site.client(site.transport(telemetry=telemetry, heartbeat_timeout_threshold=1), timeout=5)
    client.cast({}, "work", number="1")
    time.sleep(3.5)  # more than two intervals, after which the broker gives a silent client up
    client.cast({}, "work", number="2")
    assert len(telemetry.of("connection_created")) == 1


# ---- the end ---------------------------------------------------------------------------------------


def test_a_server_stops_at_once_while_no_broker_can_be_reached(far_site, proxy):
    server = far_site.server(Executions())
    proxy.refuse()
    proxy.reset_all()
    with at_most(2):
        server.stop()
        server.wait()


def test_a_call_that_races_with_cleanup_leaves_nothing_behind(site):
    transport = site.transport()
    client = site.client(transport, timeout=2)
    ensure = transport.driver._replies.ensure

    def late(*args):
        transport.cleanup()
        return ensure(*args)

    transport.driver._replies.ensure = late
    with pytest.raises(Exception, match="clos"):
        client.call({}, "work", number="1")


# ---- where a call died -----------------------------------------------------------------------------


def test_a_call_whose_replies_cannot_come_any_more_says_so(site, far_site, proxy):
    held, goes_on = threading.Event(), threading.Event()

    class Endpoint:
        def work(self, ctxt, number):
            held.set()
            assert goes_on.wait(SOON_S)
            return number

    telemetry = RecordingTelemetry()
    site.topic = far_site.topic
    site.server(Endpoint())
    client = far_site.client(far_site.transport(telemetry=telemetry), timeout=2.0)
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(client.call, {}, "work", number="1")
        assert held.wait(SOON_S)
        proxy.refuse()
        proxy.reset_all()
        with at_most(2.0 + GRACE_S), pytest.raises(MessagingTimeout) as error:
            call.result(SOON_S)
    goes_on.set()
    assert error.value.phase == "reply_lost"
    assert "the connection that replies come on was lost and is not back" in str(error.value)
    assert error.value.queue_messages is None
    assert telemetry.of("call_timed_out")[0].fields["invocation"].stage is Stage.REPLY_LOST
    proxy.accept()
    assert client.prepare(timeout=10).call({}, "work", number="2") == "2"
