"""Replies and heartbeats: oslo.messaging's keys, and what a client accepts."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracedrpc.exceptions import DecodeError, EncodeError
from tracedrpc.message import ServerTimes
from tracedrpc.wire.body import Properties, envelope
from tracedrpc.wire.headers import heartbeat_headers, reply_headers
from tracedrpc.wire.reply import (
    decode_reply,
    encode_failure,
    encode_heartbeat,
    encode_result,
    find_msg_id,
)

MOST = 1 << 20
IDS = ("m", "u")


def inner(body):
    return json.loads(json.loads(body)["oslo.message"])


def decode(message, headers=None):
    return decode_reply(envelope(json.dumps(message)), Properties(headers=headers or {}), MOST)


def test_a_result_has_exactly_these_keys():
    assert inner(encode_result(*IDS, {"ok": 1})) == {
        "result": {"ok": 1}, "failure": None, "ending": True, "_msg_id": "m", "_unique_id": "u",
    }


def test_a_failure_has_exactly_these_keys():
    assert inner(encode_failure(*IDS, '{"class": "X"}')) == {
        "result": None, "failure": '{"class": "X"}', "ending": True, "_msg_id": "m", "_unique_id": "u",
    }


def test_a_heartbeat_has_exactly_these_keys():
    assert inner(encode_heartbeat(*IDS)) == {
        "result": None, "failure": None, "ending": False, "_msg_id": "m", "_unique_id": "u",
    }


def test_ids_are_quoted():
    assert inner(encode_heartbeat('a"b', "c\\d"))["_msg_id"] == 'a"b'


def test_an_error_names_the_place_in_the_result():
    with pytest.raises(EncodeError) as caught:
        encode_result(*IDS, {"rows": [1, object()]})
    assert caught.value.path == "result.rows[1]"


def test_a_failure_is_told_from_a_result():
    reply = decode_reply(encode_failure(*IDS, "{}"), Properties(), MOST)
    assert (reply.failure, reply.result, reply.ending) == ("{}", None, True)


def test_a_heartbeat_does_not_end_the_call():
    assert decode_reply(encode_heartbeat(*IDS), Properties(), MOST).ending is False


def test_what_old_peers_leave_out_has_a_default():
    reply = decode({"_msg_id": "m"})
    assert (reply.result, reply.failure, reply.ending, reply.unique_id) == (None, None, True, None)


def test_the_server_s_own_times_come_along():
    times = ServerTimes(1_700_000_000_000_000_000, 10, 20, 40)
    reply = decode_reply(encode_result(*IDS, 1), Properties(headers=reply_headers(times, {})), MOST)
    assert reply.server_times == times


POISON = {
    "no message id": {"result": 1},
    "message id null": {"_msg_id": None},
    "message id empty": {"_msg_id": ""},
    "message id a number": {"_msg_id": 1},
    "message id a list": {"_msg_id": ["m"]},
    "unique id a number": {"_msg_id": "m", "_unique_id": 1},
    "failure an object": {"_msg_id": "m", "failure": {"class": "X"}},
    "failure a list": {"_msg_id": "m", "failure": []},
    "failure false": {"_msg_id": "m", "failure": False},
    "ending null": {"_msg_id": "m", "ending": None},
    "ending a number": {"_msg_id": "m", "ending": 1},
    "ending a text": {"_msg_id": "m", "ending": "false"},
}


@pytest.mark.parametrize("name", POISON)
def test_a_reply_of_another_shape_is_refused(name):
    with pytest.raises(DecodeError) as caught:
        decode(POISON[name])
    assert caught.value.reason == "schema"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
    | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=100, deadline=None)
@given(json_values, st.text(min_size=1, max_size=5))
def test_any_result_survives_the_way(result, msg_id):
    reply = decode_reply(encode_result(msg_id, "u", result), Properties(), MOST)
    assert (reply.result, reply.msg_id, reply.unique_id) == (result, msg_id, "u")


def outcome(*given, **named):
    try:
        return decode(*given, **named)
    except DecodeError as error:
        return error


KEYS = ("result", "failure", "ending", "_msg_id", "_unique_id")


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.sampled_from(KEYS), json_values),
    st.dictionaries(st.sampled_from(["x-tracedrpc-timing", "x-tracedrpc-sent-ns"]), json_values),
)
def test_whatever_comes_only_decode_errors_are_raised(odd, headers):
    told = outcome({"_msg_id": "m"} | odd, headers)
    if isinstance(told, DecodeError):
        assert told.reason == "schema"
    else:
        assert told.failure is None or isinstance(told.failure, str)


# ---- who answered --------------------------------------------------------------------------------


def test_a_reply_and_a_heartbeat_say_who_sent_them():
    times = ServerTimes(1, 2, 3, 5, "cn7")
    reply = decode_reply(encode_result(*IDS, 1), Properties(headers=reply_headers(times, {})), MOST)
    assert (reply.server, reply.server_times.server) == ("cn7", "cn7")
    beat = decode_reply(encode_heartbeat(*IDS), Properties(headers=heartbeat_headers("cn7", {})), MOST)
    assert (beat.server, beat.server_times) == ("cn7", None)


def test_a_peer_that_does_not_say_has_no_name():
    assert decode_reply(encode_result(*IDS, 1), Properties(), MOST).server == ""


# ---- whose reply it is, when it cannot be decoded --------------------------------------------------


MSG_ID = "0123456789abcdef" * 2


@pytest.mark.parametrize("result", [1, "x" * 5000, {"_msg_id": "f" * 32}, '"_msg_id": "' + "f" * 32 + '"'])
def test_the_call_of_a_reply_that_is_too_large_is_known(result):
    body = encode_result(MSG_ID, "u" * 32, result)
    with pytest.raises(DecodeError):
        decode_reply(body, Properties(), 10)
    assert find_msg_id(body) == MSG_ID
    assert find_msg_id(memoryview(body)) == MSG_ID
    assert find_msg_id(body.decode()) == MSG_ID


def test_the_call_of_a_reply_without_an_envelope_is_known():
    assert find_msg_id(json.dumps({"result": 1, "_msg_id": MSG_ID}).encode()) == MSG_ID


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=2000) | st.text(max_size=500))
def test_any_other_body_belongs_to_no_call(body):
    assert find_msg_id(body) is None
