"""Time-outs that ask the broker: what the error says about the queue, and what the question costs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

import tracedrpc
from tests.integration.support import SOON_S, Endpoint, Relay, wait_until, within
from tracedrpc.drivers.rabbit.link import QueueState

GRACE_S = 0.5
ATTEMPTS = 8
"""So many time-outs may go unanswered on a busy machine, where a tenth of a second is short."""


@pytest.fixture
def stuck(site):
    """Declare the topic's queue as a server would, without a server; return a client of it."""
    with site.channel() as channel:
        channel.exchange_declare(site.exchange, "topic", durable=False, auto_delete=False)
        channel.queue_declare(site.topic, durable=True, auto_delete=False)
        channel.queue_bind(site.topic, site.exchange, site.topic)
    return site.client(timeout=0.5)


def time_out(client, method="echo"):
    with pytest.raises(tracedrpc.MessagingTimeout) as error:
        client.call({}, method)
    assert error.value.phase == "queue_or_server"
    return error.value


def answered(client, method="echo"):
    """Return a time-out whose question was answered in time."""
    for _ in range(ATTEMPTS):
        error = time_out(client, method)
        if error.queue_consumers is not None:
            return error
    raise AssertionError(f"no question of {ATTEMPTS} was answered: {error}")


# ---- what a time-out says ------------------------------------------------------------------------


def test_a_queue_that_nobody_consumes_is_told_with_what_waits_there(site, stuck):
    for _ in range(3):
        stuck.cast({}, "note")
    error = answered(stuck)
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
        error = answered(client.prepare(timeout=0.3))
        endpoint.goes_on.set()
        first.result(SOON_S)
    assert error.queue_consumers == 1
    assert 3 <= error.queue_messages <= 6  # the prefetch holds one or two of them


def test_a_queue_that_was_deleted_meanwhile_is_told(site, stuck):
    def delete():
        wait_until(lambda: site.count(site.topic) >= 1)
        with site.channel() as channel:
            channel.queue_delete(site.topic)

    client = stuck.prepare(timeout=2.0)
    with ThreadPoolExecutor(1) as threads:
        deleted = threads.submit(delete)
        error = time_out(client)
        deleted.result(SOON_S)
    assert (error.queue_messages, error.queue_consumers) == (None, None)
    assert str(error).endswith(("there is no such queue now", "no word of a server since"))
    asked = client.transport.driver._questions.ask(site.topic, SOON_S)
    assert asked == QueueState(exists=False)


def test_a_slow_handler_on_an_empty_queue_is_told_apart_from_a_queue_that_is_stuck(site):
    client, endpoint = site.pair()
    error = answered(client.prepare(timeout=0.3), "hold")
    assert (error.queue_messages, error.queue_consumers) == (0, 1)
    assert "that queue is empty now and has 1 consumer" in str(error)
    endpoint.goes_on.set()


def test_the_line_and_the_fields_of_the_call_say_the_same(site, stuck):
    error = answered(stuck)
    invocation = site.telemetry.of("call_timed_out")[-1].fields["invocation"]
    assert invocation.stage.value == error.phase
    assert invocation.queue_messages == error.queue_messages
    assert invocation.queue_consumers == error.queue_consumers == 0


def test_many_calls_that_time_out_together_are_told(site, stuck):
    for _ in range(ATTEMPTS):
        with ThreadPoolExecutor(16) as threads, within(0.5 + 4 * GRACE_S):
            errors = list(threads.map(lambda _: time_out(stuck), range(16)))
        # Who comes late may find no connection idle.
        if sum(error.queue_consumers == 0 for error in errors) >= 8:
            return
    raise AssertionError("most of the calls were told nothing")


# ---- what a question costs -----------------------------------------------------------------------


def test_questions_are_answered_on_the_connection_that_is_there_and_leave_nothing_behind(site, stuck):
    stuck.cast({}, "note")
    questions = stuck.transport.driver._questions
    for _ in range(20):
        assert questions.ask(site.topic, SOON_S) == QueueState(exists=True, messages=1, consumers=0)
        assert questions.ask("nobody-declares-this", SOON_S) == QueueState(exists=False)
    stuck.cast({}, "note")
    ready = [m for m in site.telemetry.of("connection_ready") if m.fields["connection"].purpose == "send"]
    assert len(ready) == 1
    assert not site.telemetry.of("connection_closed")


def test_a_queue_that_is_somebodys_own_is_not_told_of_and_costs_no_connection(site):
    with site.channel() as channel:
        channel.queue_declare(site.topic, exclusive=True)
        client = site.client()
        client.prepare(fanout=True).cast({}, "note")
        assert client.transport.driver._questions.ask(site.topic, SOON_S) is None
    assert not site.telemetry.of("connection_lost")
    stats = client.transport.driver._pool.stats()
    assert (stats.created, stats.closed) == (1, 0)


def test_a_broker_that_does_not_answer_costs_a_tenth_of_a_second_and_the_connection(site):
    site.serve(Endpoint())
    relay = Relay(site.url)
    try:
        client = site.client(site.transport(url=relay.url))
        client.call({}, "echo")
        relay.frozen.set()
        with within(1.0 + GRACE_S, 0.95), pytest.raises(tracedrpc.MessagingTimeout) as error:
            client.prepare(timeout=1.0).call({}, "echo")
        assert error.value.phase == "confirm"
        assert error.value.queue_messages is None
        (lost,) = site.telemetry.of("connection_lost")
        assert lost.fields["reason"] == "timeout"
        assert lost.fields["connection"].purpose == "send"
    finally:
        relay.close()
