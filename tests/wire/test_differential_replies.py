"""Replies and heartbeats, ours against oslo.messaging's own code."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wire.differential import CONTENT, MOST, any_values, inner, json_values, properties
from tracedrpc._deadline import Deadline
from tracedrpc.drivers.waiters import Waiters
from tracedrpc.message import Invocation, Mode, Request
from tracedrpc.target import Target
from tracedrpc.telemetry import Telemetry
from tracedrpc.wire.body import envelope
from tracedrpc.wire.reply import decode_reply, encode_failure, encode_heartbeat, encode_result

MSG_ID = "1" * 32
SOON_S = 10.0
EXAMPLES = settings(max_examples=60, deadline=None)


def waited(messages, monitor_s=None):
    """Return what our caller gets out of these messages, as `stock.wait` tells it."""
    waiters = Waiters(Telemetry(), [], MOST)
    request = Request(Target(topic="t"), "m", {}, {}, Mode.CALL, "u", MSG_ID, SOON_S, monitor_s)
    waiter = waiters.expect(Invocation(request, Deadline.after(SOON_S)))
    for body, content in messages:
        waiters.deliver("q", body, properties(content), 1)
    return {"result": waiters.result(waiter)}


def same_ids(ours, theirs):
    assert len(theirs["_unique_id"]) == len("1" * 32)
    return ours | {"_unique_id": theirs["_unique_id"]}


@EXAMPLES
@given(any_values)
def test_a_result_has_stock_s_keys_and_values(stock, result):
    theirs = inner(stock.reply(MSG_ID, result)["body"])
    assert same_ids(inner(encode_result(MSG_ID, "u", result)), theirs) == theirs


def test_a_heartbeat_has_stock_s_keys_and_values(stock):
    theirs = inner(stock.heartbeat(MSG_ID)["body"])
    assert same_ids(inner(encode_heartbeat(MSG_ID, "u")), theirs) == theirs


def test_a_cast_is_answered_by_neither(stock):
    assert stock.reply(None, 5) == {}


@EXAMPLES
@given(json_values)
def test_we_read_the_result_that_stock_writes(stock, result):
    sent = stock.reply(MSG_ID, result)
    reply = decode_reply(sent["body"], properties(sent["content"]), MOST)
    assert (reply.msg_id, reply.result, reply.failure, reply.ending) == (MSG_ID, result, None, True)
    assert len(reply.unique_id) == len(MSG_ID)


def our_message(result, unique_id):
    is_heartbeat = result is ...
    return encode_heartbeat(MSG_ID, unique_id) if is_heartbeat else encode_result(MSG_ID, unique_id, result)


def ours(*results):
    return [(our_message(each, f"u{index}"), CONTENT) for index, each in enumerate(results)]


def theirs(stock, *results):
    sent = [stock.heartbeat(MSG_ID) if each is ... else stock.reply(MSG_ID, each) for each in results]
    return [(each["body"], each["content"]) for each in sent]


@EXAMPLES
@given(st.integers(0, 3), json_values)
def test_heartbeats_before_a_result_change_nothing_on_any_side(stock, heartbeats, result):
    told = (*[...] * heartbeats, result)
    wanted = {"result": result}
    assert stock.wait(MSG_ID, ours(*told), [], 5) == wanted
    assert waited(ours(*told), 5) == wanted
    assert waited(theirs(stock, *told), 5) == wanted
    assert stock.wait(MSG_ID, theirs(stock, *told), [], 5) == wanted


def old_pair(result):
    """Return the two messages that peers of before 2016 answer with."""
    first = {"result": result, "failure": None, "ending": False, "_msg_id": MSG_ID, "_unique_id": "a"}
    second = {"result": None, "failure": None, "ending": True, "_msg_id": MSG_ID, "_unique_id": "b"}
    return [(envelope(json.dumps(each)), CONTENT) for each in (first, second)]


@EXAMPLES
@given(json_values.filter(lambda value: value is not None))
def test_the_two_messages_of_an_old_peer_are_one_result(stock, result):
    assert waited(old_pair(result)) == stock.wait(MSG_ID, old_pair(result), [], 5) == {"result": result}


def test_an_old_peer_s_two_messages_without_a_value_are_a_result_even_where_stock_stumbles(stock):
    with pytest.raises(Exception, match="restart"):
        stock.wait(MSG_ID, old_pair(None), [], None)
    assert waited(old_pair(None)) == {"result": None}


def test_a_failure_has_stock_s_keys(stock):
    from tests.wire.differential_errors import Spec

    theirs = inner(stock.fail(MSG_ID, Spec("ValueError", ("no",)))["body"])
    mine = inner(encode_failure(MSG_ID, "u", theirs["failure"]))
    assert same_ids(mine, theirs) == theirs
