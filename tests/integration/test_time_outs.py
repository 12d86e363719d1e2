"""Calls that get no answer: when they end, and what the error says."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import tracedrpc
from tests.integration.support import SOON_S, Endpoint, wait_until, within

GRACE_S = 0.5
"""How late a call may end on a busy machine; the goal is 0.1 s."""


# ---- nobody listens ------------------------------------------------------------------------------


@pytest.mark.parametrize("send", ["call", "cast"])
def test_at_least_once_to_nobody_is_an_error_at_once(site, send):
    client = site.client(transport_options=tracedrpc.TransportOptions(at_least_once=True))
    with within(1.5), pytest.raises(tracedrpc.MessageUndeliverable) as error:
        getattr(client, send)({}, "echo")
    assert (error.value.exchange, error.value.routing_key) == (site.exchange, site.topic)


def test_at_least_once_to_somebody_is_delivered(site):
    site.serve(Endpoint())
    client = site.client(transport_options=tracedrpc.TransportOptions(at_least_once=True))
    assert client.call({}, "echo", value=1) == 1
    client.cast({}, "note")


def test_a_call_to_nobody_ends_at_its_deadline_and_says_that_nobody_listens(site):
    client = site.client(timeout=1.0)
    with within(1.0 + GRACE_S, 0.9), pytest.raises(tracedrpc.MessagingTimeout) as error:
        client.call({}, "echo")
    assert error.value.phase == "unroutable"
    assert f"no server is listening on '{site.topic}'" in str(error.value)
    assert error.value.msg_id in str(error.value)
    assert error.value.method == "echo"
    assert error.value.target.topic == site.topic
    assert error.value.reply_queue.startswith("reply_")
    assert error.value.elapsed_s == pytest.approx(1.0, abs=GRACE_S)
    assert site.telemetry.of("call_timed_out")


def test_a_call_to_a_server_that_does_not_exist_names_its_queue(site):
    site.serve(Endpoint())
    client = site.client(timeout=0.5).prepare(server="gone")
    with pytest.raises(tracedrpc.MessagingTimeout, match=rf"no server is listening on '{site.topic}\.gone'"):
        client.call({}, "echo")


def test_a_server_that_comes_up_in_time_gets_the_waiting_call(site):
    client, endpoint = site.client(), Endpoint()
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(client.call, {}, "echo", value=1)
        site.telemetry.wait_for("message_returned")
        site.serve(endpoint)
        assert answer.result(SOON_S) == 1
    assert len(endpoint.calls) == 1


def test_a_server_that_comes_up_in_time_gets_the_waiting_calls_of_many(site):
    client, endpoint = site.client(), Endpoint()
    with ThreadPoolExecutor(8) as threads:
        answers = [threads.submit(client.call, {}, "echo", value=number) for number in range(8)]
        site.telemetry.wait_for("message_returned", 8)
        site.serve(endpoint)
        assert [answer.result(SOON_S) for answer in answers] == list(range(8))
    assert len(endpoint.calls) == 8


def test_a_server_that_comes_up_later_gets_a_cast_that_found_nobody(site):
    client, endpoint = site.client(), Endpoint()
    client.cast({}, "note", value=1)
    site.telemetry.wait_for("message_returned")
    site.serve(endpoint)
    endpoint.wait_for(1)


def test_a_cast_to_nobody_returns_soon(site):
    client = site.client()
    with within(1.5):
        client.cast({}, "note")


def test_a_fanout_to_nobody_is_no_error(site):
    site.client().prepare(fanout=True).cast({}, "note")


# ---- somebody is slow ----------------------------------------------------------------------------


def test_a_handler_that_takes_too_long_ends_the_call_at_its_deadline(site):
    client, endpoint = site.pair()
    client.call({}, "echo")
    with within(0.5 + GRACE_S, 0.45), pytest.raises(tracedrpc.MessagingTimeout) as error:
        client.prepare(timeout=0.5).call({}, "hold")
    assert error.value.phase == "queue_or_server"
    assert f"took it for queue '{site.topic}'" in str(error.value)
    endpoint.goes_on.set()


def test_a_late_reply_is_discarded_and_counted(site):
    client, endpoint = site.pair()
    with pytest.raises(tracedrpc.MessagingTimeout) as error:
        client.prepare(timeout=0.3).call({}, "hold")
    endpoint.goes_on.set()
    (discarded,) = site.telemetry.wait_for("reply_discarded")
    assert discarded.fields == {"msg_id": error.value.msg_id, "reason": "late"}
    assert client.call({}, "echo", value=1) == 1


def test_a_call_that_expired_in_the_queue_is_not_executed(site):
    endpoint = Endpoint()
    site.serve(endpoint, workers=1)
    client = site.client()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(client.call, {}, "hold")
        assert endpoint.entered.acquire(timeout=SOON_S)
        fillers = [site.client() for _ in range(1)]
        for _ in range(3):  # more than the prefetch takes
            fillers[0].cast({}, "note")
        with pytest.raises(tracedrpc.MessagingTimeout):
            client.prepare(timeout=0.3).call({}, "echo", value="too late")
        endpoint.goes_on.set()
        first.result(SOON_S)
    endpoint.wait_for(4)
    assert ("echo", {"value": "too late"}) not in endpoint.calls


# ---- the call monitor ----------------------------------------------------------------------------


@pytest.mark.parametrize("monitor_s", [0.4, 1])
def test_heartbeats_keep_a_long_call_alive(site, monitor_s):
    client, endpoint = site.pair()
    with ThreadPoolExecutor(1) as threads:
        monitored = client.prepare(call_monitor_timeout=monitor_s)
        answer = threads.submit(monitored.call, {}, "hold", value="done")
        site.telemetry.wait_for("heartbeat_received", 4)
        endpoint.goes_on.set()
        assert answer.result(SOON_S) == "done"
    assert len(site.telemetry.of("heartbeat_sent")) >= 4


def test_heartbeats_do_not_prolong_the_call_itself(site):
    client, endpoint = site.pair()
    monitored = client.prepare(call_monitor_timeout=0.4, timeout=1.0)
    with within(1.0 + GRACE_S, 0.9), pytest.raises(tracedrpc.MessagingTimeout) as error:
        monitored.call({}, "hold")
    assert error.value.phase == "server"
    assert 0 <= error.value.last_heartbeat_age_s < 0.5
    endpoint.goes_on.set()


def test_no_heartbeats_end_the_call_before_its_deadline(site):
    endpoint = Endpoint()
    site.serve(endpoint, workers=1)
    client = site.client()
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(client.call, {}, "hold")
        assert endpoint.entered.acquire(timeout=SOON_S)
        with within(0.5 + GRACE_S, 0.4), pytest.raises(tracedrpc.MessagingTimeout) as error:
            client.prepare(call_monitor_timeout=0.5, timeout=30).call({}, "echo")
        assert error.value.phase == "heartbeat_lost"
        endpoint.goes_on.set()
        first.result(SOON_S)


def test_heartbeats_end_with_the_call(site):
    client, _ = site.pair()
    monitored = client.prepare(call_monitor_timeout=4.0)
    for method in ("echo", "missing", "fail"):
        with contextlib.suppress(tracedrpc.RemoteError, ValueError):
            monitored.call({}, method)
    scheduler = client.transport.driver.scheduler
    wait_until(lambda: len(scheduler) == 0)
    assert not site.telemetry.of("heartbeat_sent")


def test_monitored_calls_need_no_thread_each(site):
    endpoint = Endpoint()
    site.serve(endpoint, workers=8)
    client = site.client(timeout=30).prepare(call_monitor_timeout=1.5)
    with ThreadPoolExecutor(8) as threads:
        answers = [threads.submit(client.call, {}, "hold") for _ in range(8)]
        site.telemetry.wait_for("heartbeat_received", 16, SOON_S)
        names = [thread.name for thread in threading.enumerate()]
        endpoint.goes_on.set()
        for answer in answers:
            answer.result(SOON_S)
    assert names.count("tracedrpc-scheduler") <= 2
    assert sum(name.startswith("tracedrpc-worker") for name in names) == 8
