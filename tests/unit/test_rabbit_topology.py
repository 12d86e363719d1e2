"""Names and properties of exchanges and queues: oslo.messaging's, where a peer may meet them."""

from __future__ import annotations

import re

import pytest

from tracedrpc.drivers.rabbit.topology import (
    DEFAULT_EXCHANGE,
    fanout_exchange,
    for_broker,
    reply_queue,
    server_queues,
    topic_exchange,
)
from tracedrpc.options import Options

UNIQUE = "0" * 32


def queues(**options):
    return server_queues("nova", "compute", "cn7", UNIQUE, Options(**options))


def test_a_server_consumes_topic_and_topic_server_and_a_fanout_queue_of_its_own():
    assert [queue.name for queue in queues()] == ["compute", "compute.cn7", f"compute_fanout_{UNIQUE}"]


def test_the_shared_queues_are_bound_to_the_topic_exchange_by_their_names():
    for queue in queues()[:2]:
        assert (queue.exchange.name, queue.exchange.kind, queue.routing_key) == ("nova", "topic", queue.name)


def test_the_shared_queues_are_transient_and_stay_like_the_originals():
    for queue in queues()[:2]:
        assert (queue.durable, queue.auto_delete, queue.own) == (False, False, False)
        assert dict(queue.arguments) == {}
        assert (queue.exchange.durable, queue.exchange.auto_delete) == (False, False)


def test_amqp_durable_queues_makes_shared_queues_and_their_exchange_durable():
    for queue in queues(amqp_durable_queues=True)[:2]:
        assert queue.durable
        assert queue.exchange.durable


def test_amqp_auto_delete_makes_shared_queues_and_their_exchange_go_with_their_users():
    for queue in queues(amqp_auto_delete=True)[:2]:
        assert queue.auto_delete
        assert queue.exchange.auto_delete


def test_quorum_queues_are_durable_and_say_so():
    for queue in queues(rabbit_quorum_queue=True)[:2]:
        assert queue.durable
        assert queue.exchange.durable
        assert queue.arguments["x-queue-type"] == "quorum"


def test_the_fanout_exchange_belongs_to_the_topic_and_goes_with_its_last_queue():
    exchange = fanout_exchange("compute")
    assert (exchange.name, exchange.kind) == ("compute_fanout", "fanout")
    assert exchange.auto_delete
    assert not exchange.durable


def test_the_fanout_queue_is_our_own_and_expires_when_nobody_uses_it():
    queue = queues()[-1]
    assert (queue.own, queue.durable, queue.auto_delete) == (True, True, False)
    assert dict(queue.arguments) == {"x-expires": 1_800_000}
    assert queue.exchange == fanout_exchange("compute")
    assert queue.routing_key == "compute"


def test_a_reply_queue_has_the_originals_name_and_no_binding():
    queue = reply_queue(UNIQUE, Options())
    assert re.fullmatch(r"reply_[0-9a-f]{32}", queue.name)
    assert queue.exchange is None
    assert (queue.own, queue.durable) == (True, True)
    assert dict(queue.arguments) == {"x-expires": 1_800_000}


def test_queues_of_our_own_stay_for_ever_when_told_so():
    options = Options(rabbit_transient_queues_ttl=0)
    assert dict(reply_queue(UNIQUE, options).arguments) == {}


@pytest.mark.parametrize("version", [(3, 10, 8), (4, 2, 9), (0,)])
def test_a_broker_before_4_3_gets_transient_queues_as_they_are(version):
    assert not for_broker(queues()[0], version).durable


@pytest.mark.parametrize("version", [(4, 3), (4, 3, 1), (5, 0)])
def test_a_broker_from_4_3_on_gets_durable_queues(version):
    queue = for_broker(queues()[0], version)
    assert queue.durable
    assert queue.name == "compute"


def test_no_queue_is_refused_by_rabbitmq_4_3():
    for options in (Options(), Options(amqp_auto_delete=True), Options(rabbit_quorum_queue=True)):
        declared = [*server_queues("nova", "compute", "cn7", UNIQUE, options), reply_queue(UNIQUE, options)]
        assert all(for_broker(queue, (4, 3, 0)).durable for queue in declared)


def test_the_default_exchange_has_no_name_and_is_never_declared():
    assert DEFAULT_EXCHANGE.name == ""


def test_an_exchange_of_the_same_name_and_other_properties_is_another_one():
    assert topic_exchange("nova", Options()) != topic_exchange("nova", Options(amqp_durable_queues=True))
