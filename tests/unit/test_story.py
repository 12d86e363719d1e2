"""The sentences that a person reads at night: where a call died, and where it spent its time."""

from __future__ import annotations

import pytest

from tests.unit.rabbit_fakes import invocation
from tracedrpc.anatomy import Anatomy, Phase
from tracedrpc.drivers.timeouts import timed_out, undecodable
from tracedrpc.exceptions import DecodeError, ReplyDecodeError
from tracedrpc.message import ServerTimes, Stage
from tracedrpc.story import _PHASES, _STAGES, where_died, where_spent
from tracedrpc.telemetry import PoolStats

MS = 1_000_000
FULL_POOL = PoolStats(0, 8, 3, 8, 8, 0)


def call(stage=Stage.POOL_ACQUIRE, **fields):
    """Return a call of 3 s that was published, unless `published` is said to be False."""
    made = invocation()
    made.stage, made.routing_key, made.exchange = stage, "compute.cn7", "nova"
    if fields.pop("published", True):
        made.peer = "rabbit-1:5672"
        made.published_ns = made.started_ns + 5 * MS
    made.heartbeat_ns = made.started_ns
    for name, value in fields.items():
        setattr(made, name, value)
    made.ended_ns = made.started_ns + 3000 * MS
    return made


def beating(ago_ms, **fields):
    made = call(heartbeats=4, server="cn7", **fields)
    made.heartbeat_ns = made.ended_ns - ago_ms * MS
    return made


DIED = [
    (
        call(Stage.POOL_ACQUIRE, published=False, pool=FULL_POOL),
        "it got no connection (8 of at most 8 in use, 3 waiting) and was never published",
    ),
    (
        call(Stage.POOL_ACQUIRE, published=False),
        "it got no connection and was never published",
    ),
    (
        call(Stage.CONNECT, published=False),
        "no broker could be reached and it was never published",
    ),
    (
        call(Stage.PUBLISH, published=False, peer="rabbit-1:5672"),
        "it was being handed to the broker rabbit-1:5672, which did not take it",
    ),
    (
        call(Stage.PUBLISH, published=False, peer="rabbit-1:5672", attempts=3),
        "it was being handed to the broker rabbit-1:5672 (3 attempts), which did not take it",
    ),
    (
        call(Stage.POOL_ACQUIRE),
        "it was published, not confirmed, and got no connection to be published again",
    ),
    (
        call(Stage.CONNECT),
        "it was published, not confirmed, and no broker could be reached to publish it again",
    ),
    (
        call(Stage.PUBLISH, attempts=2),
        "it was published, not confirmed, and being handed to the broker rabbit-1:5672 again (2 attempts)",
    ),
    (
        call(Stage.CONFIRM),
        "it was handed to the broker rabbit-1:5672, which has not confirmed it",
    ),
    (
        call(Stage.UNROUTABLE),
        "the broker rabbit-1:5672 has no queue for it: no server is listening on 'compute.cn7'",
    ),
    (
        call(Stage.UNROUTABLE, queue_missing=True),
        "the broker rabbit-1:5672 has no queue for it: no server is listening on 'compute.cn7'",
    ),
    (
        call(Stage.UNROUTABLE, queue_messages=0, queue_consumers=1),
        (
            "the broker rabbit-1:5672 had no queue for it; 'compute.cn7' exists now, too late for this call; "
            "no messages wait there now, 1 consumer"
        ),
    ),
    (
        call(Stage.QUEUE_OR_SERVER),
        "the broker rabbit-1:5672 took it for queue 'compute.cn7', no word of a server since",
    ),
    (
        call(Stage.QUEUE_OR_SERVER, queue_messages=12, queue_consumers=2),
        (
            "the broker rabbit-1:5672 took it for queue 'compute.cn7', no word of a server since; "
            "12 messages wait there now, 2 consumers"
        ),
    ),
    (
        call(Stage.QUEUE_OR_SERVER, queue_messages=0, queue_consumers=2),
        (
            "the broker rabbit-1:5672 took it for queue 'compute.cn7', no word of a server since; "
            "that queue is empty now and has 2 consumers: a server has taken the call, or it expired there"
        ),
    ),
    (
        call(Stage.QUEUE_OR_SERVER, queue_messages=1, queue_consumers=0),
        (
            "the broker rabbit-1:5672 took it for queue 'compute.cn7', no word of a server since; "
            "1 message waits there now and nobody consumes"
        ),
    ),
    (
        call(Stage.QUEUE_OR_SERVER, queue_messages=7),
        (
            "the broker rabbit-1:5672 took it for queue 'compute.cn7', no word of a server since; "
            "7 messages wait there now"
        ),
    ),
    (
        call(Stage.QUEUE_OR_SERVER, queue_missing=True),
        (
            "the broker rabbit-1:5672 took it for queue 'compute.cn7', no word of a server since; "
            "there is no such queue now"
        ),
    ),
    (
        beating(300, stage=Stage.SERVER),
        "server 'cn7' was working on it, its last heartbeat came 0.3 s ago",
    ),
    (
        call(Stage.SERVER, heartbeats=1),
        "a server was working on it, its last heartbeat came 3.0 s ago",
    ),
    (
        beating(1200, stage=Stage.HEARTBEAT_LOST),
        "server 'cn7' was working on it and its heartbeats stopped, the last came 1.2 s ago",
    ),
    (
        call(Stage.HEARTBEAT_LOST),
        "no server sent a heartbeat in the 3.0 s since it was sent",
    ),
    (
        call(Stage.REPLY_LOST),
        "it was published; the connection that replies come on was lost and is not back",
    ),
    (
        call(Stage.REPLY_LOST, queue_messages=0, queue_consumers=3),
        (
            "it was published; the connection that replies come on was lost and is not back; "
            "no messages wait there now, 3 consumers"
        ),
    ),
    (
        call(Stage.REPLY_DECODE, server="cn7"),
        "server 'cn7' answered it, with a reply that cannot be decoded",
    ),
    (call(Stage.DONE), "its reply had come"),
]


@pytest.mark.parametrize(("told", "sentence"), DIED, ids=[sentence for _, sentence in DIED])
def test_where_a_call_died_is_one_sentence(told, sentence):
    assert where_died(told) == sentence


def test_each_stage_and_each_phase_has_its_words():
    assert set(_STAGES) == set(Stage)
    assert set(_PHASES) == set(Phase)
    assert {told.stage for told, _ in DIED} == set(Stage)


def test_a_slow_call_says_where_its_time_went_in_the_order_of_its_way():
    made = call(Stage.DONE, pool=FULL_POOL, server="cn7", attempts=1)
    start_ns = made.started_ns
    made.acquire_ns, made.connect_ns = start_ns + 1 * MS, 300 * MS
    made.acquired_ns = start_ns + 501 * MS
    made.published_ns = start_ns + 511 * MS
    made.replied_ns, made.woken_ns = start_ns + 2900 * MS, start_ns + 2999 * MS
    made.server_times = ServerTimes(
        made.wall_ns(made.replied_ns) - 100 * MS, 300_000, 1_000_000, 1_400_000, "cn7",
    )
    assert where_spent(made) == (
        "3000.0 ms: 300.0 connecting to the broker rabbit-1:5672, "
        "200.0 waiting for a connection (8 of at most 8 in use, 3 waiting), "
        "889.0 in queue 'compute.cn7' and on the way there, "
        "300.0 waiting for a worker on server 'cn7', 1000.0 in the method on server 'cn7', "
        "100.0 encoding the reply on server 'cn7', 100.0 on the way back, "
        "99.0 waking the caller's thread"
    )


SPENT = {
    Phase.PREPARE: "preparing the request",
    Phase.CONNECT: "connecting to the broker rabbit-1:5672",
    Phase.ACQUIRE: "waiting for a connection (8 of at most 8 in use, 3 waiting)",
    Phase.PUBLISH: "publishing (2 attempts)",
    Phase.UNROUTABLE: "while no queue 'compute.cn7' existed",
    Phase.CONFIRM: "waiting for the broker's confirm",
    Phase.QUEUE: "in queue 'compute.cn7' and on the way there",
    Phase.DISPATCH: "waiting for a worker on server 'cn7'",
    Phase.HANDLER: "in the method on server 'cn7'",
    Phase.REPLY: "encoding the reply on server 'cn7'",
    Phase.RETURN: "on the way back",
    Phase.REMOTE: "in queue 'compute.cn7', at a server and on the way",
    Phase.WAKEUP: "waking the caller's thread",
    Phase.FINISH: "decoding the result",
}


@pytest.mark.parametrize(("phase", "words"), SPENT.items())
def test_each_phase_reads_as_a_share_of_the_time(phase, words):
    made = call(pool=FULL_POOL, attempts=2, server="cn7")
    made._anatomy = Anatomy({Phase.PREPARE: 20 * MS, phase: 980 * MS}, 1000 * MS)
    assert where_spent(made) == f"1000.0 ms: 980.0 {words}"


# ---- the exceptions ------------------------------------------------------------------------------


def test_a_time_out_says_it_all_and_has_it_in_fields():
    made = beating(300, stage=Stage.SERVER, reply_queue="reply_1")
    made.queue_messages, made.queue_consumers = 4, 2
    error = timed_out(made)
    request = made.request
    assert str(error) == (
        f"Timed out waiting for a reply to message ID {request.msg_id}: compute/reboot, 3.000 s: "
        "server 'cn7' was working on it, its last heartbeat came 0.3 s ago"
    )
    assert (error.method, error.target, error.msg_id) == ("reboot", request.target, request.msg_id)
    assert (error.reply_queue, error.phase, error.elapsed_s) == ("reply_1", "server", 3.0)
    assert (error.last_heartbeat_age_s, error.queue_messages, error.queue_consumers) == (0.3, 4, 2)


def test_a_time_out_without_a_heartbeat_has_no_age_of_one():
    assert timed_out(call(Stage.QUEUE_OR_SERVER)).last_heartbeat_age_s is None


def test_a_reply_that_cannot_be_decoded_says_why():
    made = call(Stage.REPLY_DECODE, server="cn7", reply_queue="reply_1")
    error = undecodable(made, DecodeError("size", "the body has more than 1024 bytes"))
    assert isinstance(error, ReplyDecodeError)
    assert str(error) == (
        f"Cannot decode the reply to message ID {made.request.msg_id}: compute/reboot, 3.000 s: server 'cn7' "
        "answered it, with a reply that cannot be decoded: the body has more than 1024 bytes"
    )
    assert (error.reason, error.phase, error.msg_id) == ("size", "reply_decode", made.request.msg_id)
