"""Time-outs that ask the broker: what the error says about the queue, and what the question costs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

import tracedrpc
from tests.integration.support import SOON_S, Endpoint, Relay, wait_until, within

GRACE_S = 0.5


@pytest.fixture
def stuck(site):
    """Declare the topic's queue as a server would, without a server; return a client of it."""
    with site.channel() as channel:
        channel.exchange_declare(site.exchange, "topic", durable=False, auto_delete=False)
        channel.queue_declare(site.topic, durable=True, auto_delete=False)
        channel.queue_bind(site.topic, site.exchange, site.topic)
    return site.client(timeout=1.0)


def time_out(client, method="echo"):
    with pytest.raises(tracedrpc.MessagingTimeout) as error:
        client.call({}, method)
    return error.value


def test_a_queue_that_nobody_consumes_is_told_with_what_waits_there(site, stuck):
    for _ in range(3):
        stuck.cast({}, "note")
    error = time_out(stuck)
    assert error.phase == "queue_or_server"
    assert error.queue_consumers == 0
    assert error.queue_messages in {3, 4}  # the call itself expires about now
    assert f"took it for queue '{site.topic}'" in str(error)
    assert str(error).endswith("messages wait there now and nobody consumes")


def test_a_call_behind_others_is_told_how_many_and_how_many_servers_take_from_the_queue(site):
    endpoint = Endpoint()
    site.serve(endpoint, workers=1)
    client = site.client()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(client.call, {}, "hold")
        assert endpoint.entered.acquire(timeout=SOON_S)
        for _ in range(5):
            client.cast({}, "note")
        error = time_out(client.prepare(timeout=0.5))
        endpoint.goes_on.set()
        first.result(SOON_S)
    assert error.queue_consumers == 1
    assert 3 <= error.queue_messages <= 6  # the prefetch holds one or two of them


def test_a_queue_that_was_deleted_meanwhile_is_told(site, stuck):
    with ThreadPoolExecutor(1) as threads:
        error = threads.submit(time_out, stuck)
        wait_until(lambda: site.count(site.topic) == 1)
        with site.channel() as channel:
            channel.queue_delete(site.topic)
        error = error.result(SOON_S)
    assert error.phase == "queue_or_server"
    assert (error.queue_messages, error.queue_consumers) == (None, None)
    assert str(error).endswith("there is no such queue now")


def test_a_queue_that_is_somebodys_own_is_not_told_of_and_costs_no_connection(site):
    with site.channel() as channel:
        channel.exchange_declare(site.exchange, "topic", durable=False, auto_delete=False)
        channel.queue_declare(site.topic, exclusive=True)
        channel.queue_bind(site.topic, site.exchange, site.topic)
        error = time_out(site.client(timeout=0.5))
    assert error.phase == "queue_or_server"
    assert (error.queue_messages, error.queue_consumers) == (None, None)
    assert str(error).endswith("no word of a server since")
    assert not site.telemetry.of("connection_lost")


def test_a_slow_handler_on_an_empty_queue_is_told_apart_from_a_queue_that_is_stuck(site):
    client, endpoint = site.pair()
    error = time_out(client.prepare(timeout=0.5), "hold")
    assert (error.queue_messages, error.queue_consumers) == (0, 1)
    assert "that queue is empty now and has 1 consumer" in str(error)
    endpoint.goes_on.set()


def test_the_line_and_the_fields_of_the_call_say_the_same(site, stuck):
    error = time_out(stuck)
    (moment,) = site.telemetry.of("call_timed_out")
    invocation = moment.fields["invocation"]
    assert invocation.stage.value == error.phase
    assert invocation.queue_messages == error.queue_messages
    assert invocation.queue_consumers == error.queue_consumers == 0


def test_the_question_leaves_nothing_behind(site, stuck):
    for _ in range(3):
        time_out(stuck.prepare(timeout=0.3))
    ready = [m for m in site.telemetry.of("connection_ready") if m.fields["connection"].purpose == "send"]
    assert len(ready) == 1
    assert not site.telemetry.of("connection_closed")


def test_many_calls_that_time_out_together_all_know(site, stuck):
    with ThreadPoolExecutor(16) as threads, within(1.0 + 2 * GRACE_S):
        errors = list(threads.map(lambda _: time_out(stuck), range(16)))
    # Who comes late may find no connection idle.
    assert sum(error.queue_consumers == 0 for error in errors) >= 8


def test_a_broker_that_does_not_answer_costs_a_tenth_of_a_second_and_the_connection(site):
    site.serve(Endpoint())
    relay = Relay(site.url)
    try:
        client = site.client(site.transport(url=relay.url))
        client.call({}, "echo")
        relay.frozen.set()
        with within(1.0 + GRACE_S, 0.95):
            error = time_out(client.prepare(timeout=1.0))
        assert error.phase == "confirm"
        assert error.queue_messages is None
        (lost,) = site.telemetry.of("connection_lost")
        assert lost.fields["reason"] == "timeout"
        assert lost.fields["connection"].purpose == "send"
    finally:
        relay.close()
