"""What there is on the broker: connections, queues and exchanges, and when they come and go."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import amqp
import pytest

import tracedrpc
from tests.integration.support import Endpoint, wait_until
from tracedrpc.testing import RecordingTelemetry


def redeclare(site, queue, **properties):
    """Declare a queue as it should be: RabbitMQ refuses when it is not so."""
    with site.channel() as channel:
        channel.queue_declare(queue, auto_delete=False, **properties)


def reply_queue_of(client):
    return client.transport.driver._replies.name


# ---- connections ---------------------------------------------------------------------------------


def test_no_connection_is_made_before_the_first_message(site):
    telemetry = RecordingTelemetry()
    client = site.client(site.transport(telemetry))
    client.prepare(server="one", timeout=3)
    assert telemetry.names() == ["pool_opened", "transport_opened"]


def test_a_client_has_a_connection_to_send_and_one_for_replies(site):
    telemetry = RecordingTelemetry()
    site.serve(Endpoint())
    client = site.client(site.transport(telemetry))
    for _ in range(20):
        client.call({}, "echo")
    purposes = [moment.fields["connection"].purpose for moment in telemetry.of("connection_created")]
    assert sorted(purposes) == ["replies", "send"]


def test_casts_alone_need_no_reply_queue(site):
    telemetry = RecordingTelemetry()
    site.serve(Endpoint())
    client = site.client(site.transport(telemetry))
    client.cast({}, "note")
    (created,) = telemetry.of("connection_created")
    assert created.fields["connection"].purpose == "send"


def test_many_callers_share_few_connections(site):
    telemetry = RecordingTelemetry()
    site.serve(Endpoint())
    client = site.client(site.transport(telemetry, rpc_conn_pool_size=3))
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda number: client.call({}, "echo", value=number), range(200)))
    purposes = [moment.fields["connection"].purpose for moment in telemetry.of("connection_created")]
    assert 1 <= purposes.count("send") <= 3


def test_an_idle_connection_expires_and_the_next_call_makes_another(site):
    telemetry = RecordingTelemetry()
    site.serve(Endpoint())
    client = site.client(site.transport(telemetry, conn_pool_ttl=0.3, conn_pool_min_size=0))
    client.call({}, "echo")
    (expired,) = telemetry.wait_for("connection_expired")
    assert expired.fields["idle_s"] >= 0.3
    assert telemetry.wait_for("connection_closed")[0].fields["reason"] == "idle"
    assert client.call({}, "echo", value=1) == 1


def test_the_least_number_of_connections_does_not_expire(site):
    telemetry = RecordingTelemetry()
    site.serve(Endpoint())
    client = site.client(site.transport(telemetry, conn_pool_ttl=0.05, conn_pool_min_size=1))
    client.call({}, "echo")
    wait_until(lambda: client.transport.driver._pool.stats().idle == 1)
    with pytest.raises(AssertionError, match="no 1 x connection_expired"):
        telemetry.wait_for("connection_expired", timeout_s=0.4)


# ---- reply queues --------------------------------------------------------------------------------


def test_a_transport_has_one_reply_queue_with_the_originals_name(site):
    site.serve(Endpoint())
    client = site.client()
    with site.capture() as captured:
        for _ in range(3):
            client.call({}, "echo")
        names = {re.search(r'_reply_q\\": \\"(\w+)', captured.next().body)[1] for _ in range(3)}
    (name,) = names
    assert re.fullmatch("reply_[0-9a-f]{32}", name)
    assert name == reply_queue_of(client)


def test_two_transports_have_two_reply_queues(site):
    assert reply_queue_of(site.client()) != reply_queue_of(site.client())


def test_the_reply_queue_exists_from_the_first_call_until_the_transport_is_closed(site):
    client, _ = site.pair()
    name = reply_queue_of(client)
    assert not site.exists(name)
    client.call({}, "echo")
    assert site.exists(name)
    client.transport.cleanup()
    assert not site.exists(name)


def test_the_reply_queue_is_one_that_every_rabbitmq_accepts(site):
    client, _ = site.pair()
    client.call({}, "echo")
    redeclare(site, reply_queue_of(client), durable=True, arguments={"x-expires": 1_800_000})


# ---- a server's queues ---------------------------------------------------------------------------


def fanout_queue_of(server):
    return server.listener._queues[-1].name


def test_the_shared_queues_are_declared_as_the_original_declares_them(site):
    site.serve(Endpoint())
    for name in (site.topic, f"{site.topic}.one"):
        redeclare(site, name, durable=False)
    with site.channel() as channel:
        channel.exchange_declare(site.exchange, "topic", durable=False, auto_delete=False)
        channel.exchange_declare(f"{site.topic}_fanout", "fanout", durable=False, auto_delete=True)


def test_durable_queues_are_declared_when_asked_for(site):
    site.serve(Endpoint(), transport=site.transport(amqp_durable_queues="true"))
    redeclare(site, site.topic, durable=True)
    client = site.client(site.transport(amqp_durable_queues="true"))
    assert client.call({}, "echo", value=1) == 1


def test_a_queue_that_exists_with_other_properties_is_used_as_it_is(site):
    with site.channel() as channel:
        channel.exchange_declare(site.exchange, "topic", durable=True, auto_delete=False)
        channel.queue_declare(site.topic, durable=True, auto_delete=False)
    site.serve(Endpoint())
    client = site.client()
    assert client.call({}, "echo", value=1) == 1
    adopted = {moment.fields["name"] for moment in site.telemetry.of("queue_adopted")}
    assert {site.topic, site.exchange} <= adopted


def test_a_queue_that_belongs_to_another_connection_is_an_error_that_names_it(site, monkeypatch):
    monkeypatch.setattr("tracedrpc.drivers.rabbit.listener.START_S", 2.0)
    with site.channel() as channel:
        channel.queue_declare(site.topic, exclusive=True)
        server = site.server(Endpoint())
        with pytest.raises(tracedrpc.ServerListenError, match=rf"'{site.topic}'.*(locked|resource)"):
            server.start()


def test_the_fanout_queue_is_deleted_when_the_server_ends(site):
    server = site.serve(Endpoint())
    name = fanout_queue_of(server)
    assert re.fullmatch(rf"{site.topic}_fanout_[0-9a-f]{{32}}", name)
    redeclare(site, name, durable=True, arguments={"x-expires": 1_800_000})
    server.stop()
    server.wait()
    assert not site.exists(name)


def test_the_shared_queues_stay_for_the_next_server(site):
    server = site.serve(Endpoint())
    server.stop()
    server.wait()
    assert site.exists(site.topic)
    assert site.exists(f"{site.topic}.one")


def test_requests_are_acknowledged(site):
    client, endpoint = site.pair()
    for _ in range(5):
        client.call({}, "echo")
    client.cast({}, "note")
    endpoint.wait_for(6)
    server = site._servers[0]
    server.stop()
    server.wait()
    assert site.count(site.topic) == 0


def test_an_option_in_the_url_overrides_the_configuration(site):
    options = tracedrpc.Options(control_exchange="of-the-configuration", rpc_response_timeout=5)
    transport = tracedrpc.get_rpc_transport(
        options, f"{site.url}?control_exchange={site.exchange}&rpc_response_timeout=7",
        telemetry=site.telemetry,
    )
    site._transports.append(transport)
    site.serve(Endpoint())
    assert transport.options.rpc_response_timeout == 7
    client = tracedrpc.get_rpc_client(transport, tracedrpc.Target(topic=site.topic))
    assert client.call({}, "echo", value=1) == 1


def test_what_the_tests_look_at_is_really_there(site):
    """A passive declaration of what does not exist must fail, or the tests above say nothing."""
    assert not site.exists(site.topic)
    with pytest.raises(amqp.PreconditionFailed), site.channel() as channel:
        channel.queue_declare(site.topic, durable=False, auto_delete=False)
        channel.queue_declare(site.topic, durable=True, auto_delete=False)
