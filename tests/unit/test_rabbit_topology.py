"""Names and properties of exchanges and queues: oslo.messaging's, where a peer may meet them."""

from __future__ import annotations

import re

import pytest

from tracedrpc.drivers.rabbit.topology import (
    DEFAULT_EXCHANGE,
    consuming_for_broker,
    fanout_exchange,
    fanout_queue,
    fanout_stream,
    for_broker,
    reply_queue,
    shared_queues,
    topic_exchange,
)
from tracedrpc.options import Options

UNIQUE = "0" * 32
NAMED = "host:process:1"
QUORUM = {
    "rabbit_quorum_delivery_limit": 3,
    "rabbit_quorum_max_memory_length": 4,
    "rabbit_quorum_max_memory_bytes": 5,
}
LIMITS = {"x-delivery-limit": 3, "x-max-in-memory-length": 4, "x-max-in-memory-bytes": 5}


def shared(**options):
    return shared_queues("nova", "compute", "cn7", Options(**options))


def own(**options):
    """Return the queues that one process has to itself."""
    checked = Options(**options)
    return [fanout_queue("compute", UNIQUE, checked), reply_queue(UNIQUE, checked)]


# ---- what all have in common ---------------------------------------------------------------------


def test_a_server_consumes_topic_and_topic_server_and_a_fanout_queue_of_its_own():
    assert [queue.name for queue in shared()] == ["compute", "compute.cn7"]
    assert fanout_queue("compute", UNIQUE, Options()).name == f"compute_fanout_{UNIQUE}"


def test_the_shared_queues_are_bound_to_the_topic_exchange_by_their_names():
    for queue in shared():
        assert (queue.exchange.name, queue.exchange.kind, queue.routing_key) == ("nova", "topic", queue.name)


def test_the_shared_queues_are_transient_and_stay_like_the_originals():
    for queue in shared():
        assert (queue.durable, queue.auto_delete, queue.own) == (False, False, False)
        assert dict(queue.arguments) == {}
        assert (queue.exchange.durable, queue.exchange.auto_delete) == (False, False)


def test_amqp_durable_queues_makes_shared_queues_and_their_exchange_durable():
    for queue in shared(amqp_durable_queues=True):
        assert queue.durable
        assert queue.exchange.durable


def test_amqp_auto_delete_makes_shared_queues_and_their_exchange_go_with_their_users():
    for queue in shared(amqp_auto_delete=True):
        assert queue.auto_delete
        assert queue.exchange.auto_delete


def test_the_fanout_exchange_belongs_to_the_topic_and_goes_with_its_last_queue():
    exchange = fanout_exchange("compute", Options())
    assert (exchange.name, exchange.kind) == ("compute_fanout", "fanout")
    assert exchange.auto_delete
    assert not exchange.durable


def test_the_fanout_queue_is_our_own_and_expires_when_nobody_uses_it():
    queue = fanout_queue("compute", UNIQUE, Options())
    assert (queue.own, queue.durable, queue.auto_delete) == (True, True, False)
    assert dict(queue.arguments) == {"x-expires": 1_800_000}
    assert queue.exchange == fanout_exchange("compute", Options())
    assert queue.routing_key == "compute"


def test_a_reply_queue_has_the_originals_name_and_no_binding():
    queue = reply_queue(UNIQUE, Options())
    assert re.fullmatch(r"reply_[0-9a-f]{32}", queue.name)
    assert queue.exchange is None
    assert (queue.own, queue.durable) == (True, True)
    assert dict(queue.arguments) == {"x-expires": 1_800_000}


def test_queues_of_our_own_stay_for_ever_when_told_so():
    for queue in own(rabbit_transient_queues_ttl=0):
        assert dict(queue.arguments) == {}


def test_the_default_exchange_has_no_name_and_is_never_declared():
    assert DEFAULT_EXCHANGE.name == ""


def test_an_exchange_of_the_same_name_and_other_properties_is_another_one():
    assert topic_exchange("nova", Options()) != topic_exchange("nova", Options(amqp_durable_queues=True))


# ---- quorum queues -------------------------------------------------------------------------------


def test_quorum_queues_are_durable_and_say_so_with_their_limits():
    for queue in shared(rabbit_quorum_queue=True, **QUORUM):
        assert queue.durable
        assert queue.exchange.durable
        assert dict(queue.arguments) == {"x-queue-type": "quorum", **LIMITS}


def test_a_limit_of_nothing_is_left_to_the_broker():
    for queue in shared(rabbit_quorum_queue=True):
        assert dict(queue.arguments) == {"x-queue-type": "quorum"}


def test_the_kind_of_the_shared_queues_says_nothing_of_reply_and_fanout_queues():
    assert all("x-queue-type" not in queue.arguments for queue in own(rabbit_quorum_queue=True))
    assert all("x-queue-type" not in queue.arguments for queue in shared(rabbit_transient_quorum_queue=True))
    assert not fanout_exchange("compute", Options(rabbit_quorum_queue=True)).durable


def test_reply_and_fanout_queues_can_be_quorum_queues_with_limits_and_expiry():
    for queue in own(rabbit_transient_quorum_queue=True, **QUORUM):
        assert queue.durable
        assert dict(queue.arguments) == {"x-queue-type": "quorum", **LIMITS, "x-expires": 1_800_000}


def test_the_fanout_exchange_is_durable_when_its_queues_are_quorum_queues():
    assert fanout_exchange("compute", Options(rabbit_transient_quorum_queue=True)).durable


# ---- mirrored queues -----------------------------------------------------------------------------


def test_mirrored_queues_are_all_asked_for_in_the_old_way():
    for queue in [*shared(rabbit_ha_queues=True), *own(rabbit_ha_queues=True)]:
        assert queue.arguments["x-ha-policy"] == "all"


def test_consumers_of_classic_queues_ask_to_be_cancelled_when_told_so():
    options = {"enable_cancel_on_failover": True}
    for queue in [*shared(**options), *own(**options)]:
        assert dict(queue.consumer_arguments) == {"x-cancel-on-ha-failover": True}
    for queue in [*shared(), *own()]:
        assert dict(queue.consumer_arguments) == {}


def test_consumers_of_quorum_queues_do_not_because_the_broker_refuses_that():
    options = {
        "enable_cancel_on_failover": True, "rabbit_quorum_queue": True, "rabbit_transient_quorum_queue": True,
    }
    for queue in [*shared(**options), *own(**options)]:
        assert dict(queue.consumer_arguments) == {}


@pytest.mark.parametrize(("version", "is_told"), [((3, 13, 7), True), ((4, 0, 0), False), ((4, 3), False)])
def test_a_broker_without_mirrored_queues_is_not_asked_to_cancel(version, is_told):
    arguments = {"x-cancel-on-ha-failover": True, "x-stream-offset": "next"}
    taken = consuming_for_broker(arguments, version)
    assert ("x-cancel-on-ha-failover" in taken) is is_told
    assert taken["x-stream-offset"] == "next"


# ---- streams -------------------------------------------------------------------------------------


def test_a_fanout_stream_is_one_for_all_and_keeps_messages_for_a_time():
    stream = fanout_stream("compute", Options(rabbit_stream_fanout=True, rabbit_transient_queues_ttl=60))
    assert stream.name == "compute_fanout"
    assert (stream.durable, stream.auto_delete, stream.own) == (True, False, False)
    assert dict(stream.arguments) == {"x-queue-type": "stream", "x-max-age": "60s"}
    assert stream.routing_key == "compute"


def test_a_fanout_stream_can_keep_its_messages_for_ever():
    stream = fanout_stream("compute", Options(rabbit_stream_fanout=True, rabbit_transient_queues_ttl=0))
    assert dict(stream.arguments) == {"x-queue-type": "stream"}


def test_clients_and_servers_declare_the_same_exchange_for_a_stream():
    for options in (
        Options(rabbit_stream_fanout=True),
        Options(rabbit_stream_fanout=True, rabbit_transient_quorum_queue=True),
    ):
        exchange = fanout_exchange("compute", options)
        assert (exchange.durable, exchange.auto_delete) == (True, True)
        assert fanout_stream("compute", options).exchange == exchange


# ---- names that stay -----------------------------------------------------------------------------


def test_queues_with_names_that_stay_are_declared_as_the_original_does_and_not_deleted():
    options = Options(use_queue_manager=True)
    for queue in (fanout_queue("compute", NAMED, options), reply_queue(NAMED, options)):
        assert queue.name.endswith("_host:process:1")
        assert (queue.durable, queue.own) == (False, False)
        assert dict(queue.arguments) == {"x-expires": 1_800_000}


def test_queues_with_names_that_stay_can_be_quorum_queues():
    options = Options(use_queue_manager=True, rabbit_transient_quorum_queue=True)
    queue = reply_queue(NAMED, options)
    assert (queue.durable, queue.own) == (True, False)
    assert queue.arguments["x-queue-type"] == "quorum"


# ---- versions of the broker ----------------------------------------------------------------------


@pytest.mark.parametrize("version", [(3, 10, 8), (4, 2, 9), (0,)])
def test_a_broker_before_4_3_gets_transient_queues_as_they_are(version):
    assert not for_broker(shared()[0], version).durable


@pytest.mark.parametrize("version", [(4, 3), (4, 3, 1), (5, 0)])
def test_a_broker_from_4_3_on_gets_durable_queues(version):
    queue = for_broker(shared()[0], version)
    assert queue.durable
    assert queue.name == "compute"


@pytest.mark.parametrize("options", [
    {}, {"amqp_auto_delete": True}, {"rabbit_quorum_queue": True}, {"use_queue_manager": True},
    {"rabbit_stream_fanout": True},
])
def test_no_queue_is_refused_by_rabbitmq_4_3(options):
    stream = fanout_stream("compute", Options(**options))
    declared = [*shared(**options), *own(**options), stream]
    assert all(for_broker(queue, (4, 3, 0)).durable for queue in declared)
