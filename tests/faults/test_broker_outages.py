"""The broker dies, restarts, or throws everybody out."""

from __future__ import annotations

import time

import pytest

from tests.faults.support import GRACE_S, Executions, eventually, failures, twice
from tracedrpc import MessagingTimeout
from tracedrpc.testing import RecordingTelemetry

LONG_S = 12.0
SHORT_S = 0.5
PROMPT_S = 2.0
"""Generous to a busy machine; pauses alone would be longer."""
CLOSE_FIVE_TIMES = """
[begin [rabbit_networking:close_connection(Pid, "test") || Pid <- rabbit_networking:connections()],
 timer:sleep(400) end || _ <- lists:seq(1, 5)].
"""


def kill(broker):
    broker.kill9()


def stop_app(broker):
    broker.rabbitmqctl("stop_app")


def start_app(broker):
    broker.rabbitmqctl("start_app")


def start(broker):
    broker.start()


@pytest.mark.parametrize(
    ("down", "up"), [(kill, start), (stop_app, start_app)], ids=["kill -9", "stop_app"],
)
def test_a_call_outlives_an_outage_that_is_shorter_than_its_deadline(own_site, private_broker, down, up):
    done = Executions()
    own_site.server(done)
    transport = own_site.transport()
    patient = own_site.load(own_site.client(transport, timeout=LONG_S))
    hasty = own_site.load(own_site.client(transport, timeout=SHORT_S), threads=2)
    patient.wait_for(50)
    down(private_broker)
    hasty.wait_for(4, failed=True)
    up(private_broker)
    patient.wait_for(50)
    hasty.wait_for(5)
    long, short = patient.stop(), hasty.stop()

    lost = failures(long)
    assert len(lost) <= 4, "only what was under way when a transient queue went may be lost"
    assert {type(record.error) for record in lost + failures(short)} == {MessagingTimeout}
    assert all(record.lasted_s <= SHORT_S + GRACE_S for record in failures(short))
    assert all(record.lasted_s <= LONG_S + GRACE_S for record in lost)
    assert twice(done.ids()) == []


def test_a_broker_that_was_away_for_long_is_used_again_as_soon_as_it_answers(own_site, private_broker):
    done = Executions()
    own_site.server(done)
    client = own_site.client(timeout=LONG_S)
    client.call({}, "work", number="before")
    private_broker.kill9()
    hasty = own_site.load(own_site.client(timeout=SHORT_S), threads=2)
    hasty.wait_for(20, failed=True)  # meanwhile the pauses have grown to five seconds
    private_broker.start()
    begun_s = time.monotonic()
    client.call({}, "work", number="after")
    assert time.monotonic() - begun_s < PROMPT_S
    hasty.stop()


def test_nothing_is_lost_or_done_twice_when_the_broker_closes_every_connection_five_times(
    own_site, private_broker,
):
    done = Executions()
    own_site.server(done)
    calls = own_site.load(own_site.client(timeout=LONG_S))
    casts = own_site.load(own_site.client(timeout=LONG_S), threads=2, method="cast", pause_s=0.02)
    calls.wait_for(50)
    private_broker.rabbitmqctl("eval", CLOSE_FIVE_TIMES)
    calls.wait_for(50)
    records = calls.stop() + casts.stop()

    assert failures(records) == []
    assert done.wait_for(len(records))
    assert {record.number for record in records} == set(done.ids())
    assert twice(done.ids()) == []


def test_a_blocked_connection_costs_failed_casts_and_publishes_no_call_twice(own_site, private_broker):
    done, told = Executions(), RecordingTelemetry()
    own_site.server(done, own_site.transport(telemetry=told))
    transport = own_site.transport()
    own_site.client(transport, timeout=5).call({}, "work", number="before")
    private_broker.rabbitmqctl("set_vm_memory_high_watermark", "absolute", "1")
    try:
        patient = own_site.load(own_site.client(transport, timeout=LONG_S))
        assert eventually(lambda: len(transport.driver._waiters) == 4)
        hasty = own_site.load(own_site.client(transport, timeout=SHORT_S), threads=2, method="cast")
        hasty.wait_for(4, failed=True)
        refused = hasty.stop()
    finally:
        private_broker.rabbitmqctl("set_vm_memory_high_watermark", "0.4")
    patient.wait_for(20)
    assert failures(patient.stop()) == []
    assert all(record.lasted_s <= SHORT_S + GRACE_S for record in failures(refused))
    assert twice(done.ids()) == []
    assert told.of("message_discarded") == [], "two servers would have done it twice"


def test_a_queue_that_refuses_a_call_is_not_asked_again_without_a_pause(own_site, private_broker):
    full = '{"max-length":1,"overflow":"reject-publish"}'
    private_broker.rabbitmqctl("set_policy", "full", own_site.topic, full, "--apply-to", "queues")
    server = own_site.server(Executions())
    server.stop()
    server.wait()
    client = own_site.client(own_site.transport(), timeout=1)
    client.cast({}, "work", number="fills the queue")
    publisher = client.transport.driver._publisher
    sent, publisher.send = publisher.send, lambda *args, **kwargs: counted.append(1) or sent(*args, **kwargs)
    counted: list[int] = []
    with pytest.raises(MessagingTimeout):
        client.call({}, "work", number="refused")
    assert len(counted) <= 10
