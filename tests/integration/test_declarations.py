"""What is declared with each option: equal to what oslo.messaging 18.3.1 declares, whoever comes first.

RabbitMQ itself compares: it refuses to declare again what has other properties.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import Any

import amqp
import pytest

from tests.integration.support import Endpoint
from tracedrpc.testing import RecordingTelemetry

TTL = {"x-expires": 1_800_000}
LIMITS = {
    "rabbit_quorum_delivery_limit": 3, "rabbit_quorum_max_memory_length": 1000,
    "rabbit_quorum_max_memory_bytes": 1_000_000,
}
LIMITED = {"x-delivery-limit": 3, "x-max-in-memory-length": 1000, "x-max-in-memory-bytes": 1_000_000}
QUORUM = {"x-queue-type": "quorum"}


@dataclass(frozen=True)
class Case:
    """Options, and what the original declares with them; `own` are queues with random names."""

    options: dict[str, Any]
    shared: dict[str, Any] = field(default_factory=dict)
    own: dict[str, Any] = field(default_factory=lambda: {"durable": True, "arguments": TTL})
    topic_exchange: dict[str, Any] = field(default_factory=dict)
    fanout_exchange: dict[str, Any] = field(default_factory=dict)


CASES = {
    "defaults": Case({}),
    "durable": Case(
        {"amqp_durable_queues": "true"}, shared={"durable": True}, topic_exchange={"durable": True},
    ),
    "auto-delete": Case(
        {"amqp_auto_delete": "true"}, shared={"auto_delete": True}, topic_exchange={"auto_delete": True},
    ),
    "mirrored": Case(
        {"rabbit_ha_queues": "true"}, shared={"arguments": {"x-ha-policy": "all"}},
        own={"durable": True, "arguments": {"x-ha-policy": "all", **TTL}},
    ),
    "quorum": Case(
        {"rabbit_quorum_queue": "true"}, shared={"durable": True, "arguments": QUORUM},
        topic_exchange={"durable": True},
    ),
    "quorum with limits": Case(
        {"rabbit_quorum_queue": "true", **LIMITS}, shared={"durable": True, "arguments": QUORUM | LIMITED},
        topic_exchange={"durable": True},
    ),
    "transient quorum": Case(
        {"rabbit_transient_quorum_queue": "true", **LIMITS},
        own={"durable": True, "arguments": QUORUM | LIMITED | TTL}, fanout_exchange={"durable": True},
    ),
    "all quorum": Case(
        {"rabbit_quorum_queue": "true", "rabbit_transient_quorum_queue": "true", **LIMITS},
        shared={"durable": True, "arguments": QUORUM | LIMITED},
        own={"durable": True, "arguments": QUORUM | LIMITED | TTL},
        topic_exchange={"durable": True}, fanout_exchange={"durable": True},
    ),
    "another expiry": Case(
        {"rabbit_transient_queues_ttl": "60"}, own={"durable": True, "arguments": {"x-expires": 60_000}},
    ),
    "no expiry": Case({"rabbit_transient_queues_ttl": "0"}, own={"durable": True}),
}

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


def declare_queue(channel, name, properties):
    channel.queue_declare(name, **{"durable": False, "auto_delete": False} | properties)


def declare_exchanges(channel, site, case):
    topic = {"durable": False, "auto_delete": False} | case.topic_exchange
    channel.exchange_declare(site.exchange, "topic", **topic)
    fanout = {"durable": False, "auto_delete": True} | case.fanout_exchange
    channel.exchange_declare(f"{site.topic}_fanout", "fanout", **fanout)


def declare_shared(channel, site, case):
    for name in (site.topic, f"{site.topic}.one"):
        declare_queue(channel, name, case.shared)


def use(site, case, telemetry=None):
    """Call, cast and fan out to a server with the options; return client and server."""
    endpoint = Endpoint()
    server = site.serve(endpoint, transport=site.transport(telemetry, **case.options))
    client = site.client(site.transport(telemetry, **case.options))
    assert client.call({}, "echo", value=1) == 1
    assert client.prepare(server="one").call({}, "echo", value=2) == 2
    client.prepare(fanout=True).cast({}, "note")
    endpoint.wait_for(3)
    return client, server


@every_case
def test_the_original_may_declare_after_us(site, case):
    client, server = use(site, case)
    with site.channel() as channel:
        declare_exchanges(channel, site, case)
        declare_shared(channel, site, case)
        declare_queue(channel, client.transport.driver._replies.name, case.own)
        declare_queue(channel, server.listener._queues[-1].name, case.own)


@every_case
def test_the_original_may_declare_before_us(site, case):
    telemetry = RecordingTelemetry()
    with site.channel() as channel:
        declare_exchanges(channel, site, case)
        declare_shared(channel, site, case)
        use(site, case, telemetry)
    assert telemetry.of("queue_adopted") == []


def test_a_wrong_property_would_have_been_noticed(site):
    use(site, CASES["quorum with limits"])
    for properties in ({"durable": True, "arguments": QUORUM}, {"durable": True}, {}):
        with pytest.raises(amqp.PreconditionFailed), site.channel() as channel:
            declare_queue(channel, site.topic, properties)


# ---- consumers -----------------------------------------------------------------------------------


@pytest.fixture
def consumed(monkeypatch):
    """Return what is said to the broker of each consumer, by the queue's name."""
    told = {}
    consume = amqp.Channel.basic_consume

    def basic_consume(self, queue="", *args, **kwargs):
        told[queue] = kwargs.get("arguments") or {}
        return consume(self, queue, *args, **kwargs)

    monkeypatch.setattr(amqp.Channel, "basic_consume", basic_consume)
    return told


CANCEL = {"enable_cancel_on_failover": "true"}


def test_the_broker_is_asked_to_end_the_consumers_of_a_queue_that_fails_over(site, consumed):
    use(site, Case(CANCEL))
    assert len(consumed) == 4
    assert all(arguments == {"x-cancel-on-ha-failover": True} for arguments in consumed.values())


def test_quorum_queues_and_that_request_go_together(site, consumed):
    use(site, Case(CANCEL | {"rabbit_quorum_queue": "true", "rabbit_transient_quorum_queue": "true"}))
    assert set(map(len, consumed.values())) == {0}


def test_without_the_option_nothing_is_said(site, consumed):
    use(site, Case({}))
    assert set(map(len, consumed.values())) == {0}


# ---- names that stay -----------------------------------------------------------------------------


@pytest.fixture
def named(site):
    """Give options for queues with names of this test's own, which are deleted in the end."""
    options = {"use_queue_manager": "true", "hostname": "cn7", "processname": site.topic}
    yield options
    with contextlib.suppress(amqp.AMQPError), site.channel() as channel:
        for number in (1, 2, 3):
            channel.queue_delete(f"reply_cn7:{site.topic}:{number}")
            channel.queue_delete(f"{site.topic}_fanout_cn7:{site.topic}:{number}")


QUORUM_TOO = {"rabbit_transient_quorum_queue": "true"}


@pytest.mark.parametrize(("more", "properties"), [
    ({}, {"arguments": TTL}),
    (QUORUM_TOO, {"durable": True, "arguments": QUORUM | TTL}),
], ids=["classic", "quorum"])
def test_queues_with_names_that_stay_are_declared_as_the_original_does(site, named, more, properties):
    case = Case(named | more, own=properties)
    telemetry = RecordingTelemetry()
    names = [f"reply_cn7:{site.topic}:1", f"{site.topic}_fanout_cn7:{site.topic}:1"]
    with site.channel() as channel:
        declare_queue(channel, names[0], properties)
        client, server = use(site, case, telemetry)
        for name in names:
            declare_queue(channel, name, properties)
    assert [client.transport.driver._replies.name, server.listener._queues[-1].name] == names
    assert telemetry.of("queue_adopted") == []


def test_queues_with_names_that_stay_are_there_after_the_end_and_used_again(site, named):
    for _ in range(2):
        client, server = use(site, Case(named))
        name, fanout = client.transport.driver._replies.name, server.listener._queues[-1].name
        assert (name, fanout) == (f"reply_cn7:{site.topic}:1", f"{site.topic}_fanout_cn7:{site.topic}:1")
        server.stop()
        server.wait()
        client.transport.cleanup()
        assert site.exists(name)
        assert site.exists(fanout)


def test_a_reply_left_in_a_queue_that_is_used_again_bothers_nobody(site, named):
    client, _ = use(site, Case(named))
    name = client.transport.driver._replies.name
    client.transport.cleanup()
    with site.channel() as channel:
        channel.basic_publish(amqp.Message(b"{}", content_type="application/json"), "", name)
    again = site.client(site.transport(**named))
    assert again.call({}, "echo", value=3) == 3
    assert again.transport.driver._replies.name == name


def test_two_transports_of_one_process_have_two_names(site, named):
    site.serve(Endpoint())
    clients = [site.client(site.transport(**named)) for _ in range(2)]
    assert [client.call({}, "echo", value=1) for client in clients] == [1, 1]
    assert [client.transport.driver._replies.name[-2:] for client in clients] == [":1", ":2"]


def test_two_servers_of_one_process_each_get_a_fanout(site, named):
    endpoints = [Endpoint(), Endpoint()]
    for endpoint, name in zip(endpoints, ("one", "two"), strict=True):
        site.serve(endpoint, server=name, transport=site.transport(**named))
    site.client(site.transport(**named)).prepare(fanout=True).cast({}, "note")
    for endpoint in endpoints:
        endpoint.wait_for(1)


# ---- the login -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["PLAIN", "AMQPLAIN"])
def test_each_way_to_log_in_works(site, method):
    use(site, Case({"rabbit_login_method": method}))
