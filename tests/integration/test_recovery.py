"""What the broker loses while clients and servers run comes back, and calls go on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.support import SOON_S, Endpoint, Site, wait_until, within


@pytest.fixture
def ours(private_broker, topic, exchange, no_leaks):
    """Give a site on a broker that only this module uses."""
    made = Site(private_broker.url, topic, exchange)
    yield made
    made.close()


def drop_connections(broker):
    broker.rabbitmqctl("close_all_connections", "the test says so")


def forced_moments(site):
    reasons = [moment.fields["reason"] for moment in site.telemetry.of("connection_lost")]
    return [reason for reason in reasons if reason in {"forced", "stale", "reset", "closed"}]


# ---- connections ---------------------------------------------------------------------------------


def test_after_the_broker_closed_every_connection_the_next_calls_succeed(ours, private_broker):
    client, _ = ours.pair()
    client.call({}, "echo")
    drop_connections(private_broker)
    for number in range(5):
        assert client.call({}, "echo", value=number) == number
    assert forced_moments(ours)
    client.cast({}, "note")


def test_a_call_under_way_survives_the_loss_of_every_connection(ours, private_broker):
    client, endpoint = ours.pair()
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(client.prepare(timeout=30).call, {}, "hold", value="still here")
        assert endpoint.entered.acquire(timeout=SOON_S)
        drop_connections(private_broker)
        endpoint.goes_on.set()
        assert answer.result(30) == "still here"
    assert len(endpoint.calls) == 1


def test_the_reply_queue_stays_the_same_after_a_lost_connection(ours, private_broker):
    client, _ = ours.pair()
    client.call({}, "echo")
    before = client.transport.driver._replies.name
    drop_connections(private_broker)
    client.call({}, "echo")
    assert client.transport.driver._replies.name == before


def test_no_thread_and_no_socket_is_added_by_lost_connections(ours, private_broker, resources):
    client, _ = ours.pair()
    client.call({}, "echo")
    before = resources()
    for _ in range(2):
        drop_connections(private_broker)
        client.call({}, "echo")
    wait_until(lambda: not resources().exceeds(before))


# ---- queues --------------------------------------------------------------------------------------


def delete_queue(site, name):
    with site.channel() as channel:
        channel.queue_delete(name)


def test_a_servers_queue_that_was_deleted_is_declared_again(site):
    client, _ = site.pair()
    client.call({}, "echo")
    delete_queue(site, site.topic)
    with within(3.0):
        assert client.call({}, "echo", value=1) == 1
    cancelled = site.telemetry.wait_for("consumer_cancelled")
    assert cancelled[0].fields["queue"] == site.topic


def test_calls_to_the_server_by_name_go_on_after_its_queue_was_deleted(site):
    client, _ = site.pair()
    named = client.prepare(server="one")
    named.call({}, "echo")
    delete_queue(site, f"{site.topic}.one")
    with within(3.0):
        assert named.call({}, "echo", value=1) == 1


def test_fanouts_go_on_after_the_fanout_queue_was_deleted(site):
    client, endpoint = site.pair()
    fanout = client.prepare(fanout=True)
    delete_queue(site, site._servers[0].listener._queues[-1].name)
    site.telemetry.wait_for("consumer_cancelled")

    def arrived():
        fanout.cast({}, "note")
        return bool(endpoint.calls)

    wait_until(arrived)


def test_a_reply_queue_that_was_deleted_is_declared_again(site):
    client, _ = site.pair()
    client.call({}, "echo")
    name = client.transport.driver._replies.name
    delete_queue(site, name)
    with within(3.0):
        assert client.call({}, "echo", value=1) == 1
    assert site.exists(name)


def test_a_reply_finds_its_queue_that_was_deleted_meanwhile(site):
    client, endpoint = site.pair()
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(client.call, {}, "hold", value="found")
        assert endpoint.entered.acquire(timeout=SOON_S)
        delete_queue(site, client.transport.driver._replies.name)
        endpoint.goes_on.set()
        assert answer.result(SOON_S) == "found"


def test_a_reply_whose_client_is_gone_holds_no_worker(site):
    endpoint = Endpoint()
    site.serve(endpoint, workers=1)
    gone, client = site.client(), site.client()
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(gone.call, {}, "hold")
        assert endpoint.entered.acquire(timeout=SOON_S)
        gone.transport.cleanup()
        with pytest.raises(Exception, match="closed"):
            answer.result(SOON_S)
    endpoint.goes_on.set()
    with within(2.0):
        assert client.call({}, "echo", value=1) == 1


# ---- exchanges -----------------------------------------------------------------------------------


def delete_exchange(site, name):
    with site.channel() as channel:
        channel.exchange_delete(name)


def test_calls_go_on_after_the_exchange_was_deleted(site):
    client, endpoint = site.pair()
    client.call({}, "echo")
    delete_exchange(site, site.exchange)
    with within(3.0):
        for number in range(5):
            assert client.call({}, "echo", value=number) == number
    assert len(endpoint.calls) == 6


def test_casts_go_on_after_the_exchange_was_deleted(site):
    client, endpoint = site.pair()
    client.call({}, "echo")
    delete_exchange(site, site.exchange)
    for number in range(5):
        client.cast({}, "note", value=number)
    endpoint.wait_for(6)


def test_calls_to_the_server_by_name_go_on_after_the_exchange_was_deleted(site):
    client, _ = site.pair()
    named = client.prepare(server="one")
    named.call({}, "echo")
    delete_exchange(site, site.exchange)
    with within(3.0):
        assert named.call({}, "echo", value=1) == 1


def test_fanouts_go_on_after_their_exchange_was_deleted(site, monkeypatch):
    monkeypatch.setattr("tracedrpc.drivers.rabbit.consumer.CHECK_S", 0.2)
    client, endpoint = site.pair()
    delete_exchange(site, f"{site.topic}_fanout")

    def is_reached() -> bool:
        client.prepare(fanout=True).cast({}, "note")
        return bool(endpoint.calls)

    wait_until(is_reached)
    assert not site.telemetry.of("connection_lost")


def test_a_fanout_after_the_last_server_has_gone_is_no_error(site):
    """The fanout exchange goes with its last queue; a client that knew it must not stumble."""
    client, _ = site.pair()
    fanout = client.prepare(fanout=True, retry=0)
    fanout.cast({}, "note")
    server = site._servers[0]
    server.stop()
    server.wait()
    fanout.cast({}, "note")


# ---- the broker as a whole -----------------------------------------------------------------------


def test_after_a_restart_of_the_broker_calls_go_on(ours, private_broker):
    client, _ = ours.pair()
    client.call({}, "echo")
    private_broker.kill9()
    private_broker.start()
    assert client.prepare(timeout=30).call({}, "echo", value=1) == 1
    client.prepare(timeout=30).cast({}, "note")
