"""Servers on RabbitMQ: start, stop, wait, again; what is under way and what has not started."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import tracedrpc
from tests.integration.support import SOON_S, Endpoint, wait_until, within


def test_a_server_can_be_started_again_after_it_has_ended(site):
    server = site.serve(Endpoint())
    client = site.client()
    for _ in range(3):
        assert client.call({}, "echo", value=1) == 1
        server.stop()
        server.wait()
        server.start()
    assert client.call({}, "echo", value=2) == 2


def test_starting_twice_is_starting_once(site):
    server = site.serve(Endpoint())
    server.start()
    assert len(site.telemetry.of("server_started")) == 1


def test_stop_and_wait_may_come_in_any_order(site):
    server = site.serve(Endpoint())
    with ThreadPoolExecutor(2) as threads:
        waiting = threads.submit(server.wait)
        threads.submit(server.stop).result(SOON_S)
        waiting.result(SOON_S)
    server.stop()
    server.wait()


def test_reset_does_nothing(site):
    server = site.serve(Endpoint())
    server.reset()
    assert site.client().call({}, "echo", value=1) == 1


def test_start_needs_topic_and_server(site):
    for target in (tracedrpc.Target(topic=site.topic), tracedrpc.Target(server="one")):
        server = tracedrpc.get_rpc_server(site.transport(), target, [Endpoint()])
        with pytest.raises(tracedrpc.InvalidTarget):
            server.start()


def test_the_pool_size_given_to_start_bounds_what_runs_at_once(site):
    endpoint = Endpoint()
    site.serve(endpoint, workers=2)
    client = site.client()
    for number in range(4):
        client.cast({}, "hold", value=number)
    for _ in range(2):
        assert endpoint.entered.acquire(timeout=SOON_S)
    assert not endpoint.entered.acquire(timeout=0.1)
    endpoint.goes_on.set()
    endpoint.wait_for(4)


def test_the_blocking_executor_runs_one_request_at_a_time(site):
    endpoint = Endpoint()
    site.serve(endpoint, executor="blocking")
    client = site.client()
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda number: client.call({}, "echo", value=number), range(20)))
    assert answers == list(range(20))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("tracedrpc-worker")]


def test_a_call_under_way_is_answered_before_the_server_ends(site):
    client, endpoint = site.pair()
    server = site._servers[0]
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(client.call, {}, "hold", value="answered")
        assert endpoint.entered.acquire(timeout=SOON_S)
        server.stop()
        endpoint.goes_on.set()
        server.wait(timeout=SOON_S)
        assert answer.result(SOON_S) == "answered"


def test_waiting_for_a_request_that_does_not_end_can_be_limited(site):
    client, endpoint = site.pair()
    server = site._servers[0]
    client.cast({}, "hold")
    assert endpoint.entered.acquire(timeout=SOON_S)
    server.stop()
    with within(0.5), pytest.raises(tracedrpc.MessagingServerError):
        server.wait(timeout=0.1)
    endpoint.goes_on.set()
    server.wait(timeout=SOON_S)


def test_what_has_not_started_when_a_server_stops_is_done_by_another(site):
    first, second = Endpoint("first"), Endpoint("second")
    server = site.serve(first, workers=1)
    client = site.client()
    with ThreadPoolExecutor(6) as threads:
        held = threads.submit(client.call, {}, "hold", value="held")
        assert first.entered.acquire(timeout=SOON_S)
        waiting = [threads.submit(client.call, {}, "who") for _ in range(5)]
        wait_until(lambda: len(site.telemetry.of("call.entered")) == 6)
        server.stop()
        site.serve(second, server="two")
        assert [answer.result(SOON_S) for answer in waiting] == ["second"] * 5
        first.goes_on.set()
        assert held.result(SOON_S) == "held"
    assert [method for method, _ in first.calls] == ["hold"]


def test_stopping_under_load_loses_no_call_and_repeats_none(site):
    first, second = Endpoint("first"), Endpoint("second")
    server = site.serve(first, workers=4)
    site.serve(second, server="two", workers=4)
    client = site.client(timeout=30)
    with ThreadPoolExecutor(8) as threads:
        answers = [threads.submit(client.call, {}, "echo", value=number) for number in range(600)]
        first.wait_for(100)
        server.stop()
        server.wait()
        assert [answer.result(30) for answer in answers] == list(range(600))
    executed = [args["value"] for _, args in first.calls + second.calls]
    assert sorted(executed) == list(range(600))


def test_a_stopped_server_stands_beside_a_running_one_without_eating_its_calls(site):
    server = site.serve(Endpoint("stopped"))
    site.serve(Endpoint("running"), server="two")
    server.stop()
    client = site.client()
    assert {client.call({}, "who") for _ in range(10)} == {"running"}


def test_a_server_may_call_another_through_the_same_transport(site):
    transport = site.transport()

    class Front:
        def ask(self, ctxt, value):
            return site_client.prepare(server="two").call(ctxt, "echo", value=value)

    site_client = site.client(transport)
    site.serve(Front(), transport=transport)
    site.serve(Endpoint(), server="two", transport=transport)
    assert site.client().prepare(server="one").call({}, "ask", value=3) == 3


def test_an_idle_server_has_three_threads_at_most_beside_its_workers(site):
    client, _ = site.pair()
    for _ in range(5):
        client.call({}, "echo")
    client.transport.cleanup()
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("tracedrpc-")]
    assert len([name for name in names if not name.startswith("tracedrpc-worker")]) <= 3
