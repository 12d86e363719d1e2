"""Requests: oslo.messaging's keys, and what a server accepts."""

from __future__ import annotations

import copy
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracedrpc.exceptions import DecodeError, EncodeError
from tracedrpc.message import DeadLetter, Mode, Request
from tracedrpc.target import Target
from tracedrpc.wire.body import Properties, envelope
from tracedrpc.wire.request import decode_request, encode_request

MOST = 1 << 20
MSG_ID = "1" * 32
UNIQUE_ID = "2" * 32
REPLY_QUEUE = "reply_" + "3" * 32
PARENT = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
CARRIER = {"traceparent": PARENT, "tracestate": "vendor=1"}


def call(target=None, args=None, context=None, **more):
    more = {"msg_id": MSG_ID} | more
    mode = Mode.CALL if more["msg_id"] else Mode.CAST
    target = target or Target(topic="t")
    return Request(target, "ping", args or {}, context or {}, mode, UNIQUE_ID, **more)


def told(request, carrier=None, **more):
    reply_queue = REPLY_QUEUE if request.msg_id else None
    return json.loads(json.loads(encode_request(request, carrier or {}, reply_queue, **more))["oslo.message"])


def decode(message, headers=None, *, fanout=False):
    body = envelope(json.dumps(message))
    return decode_request(body, Properties(headers=headers or {}), max_bytes=MOST, fanout=fanout)


def message(**more):
    return {"method": "ping", "args": {}} | more


# ---- sending -------------------------------------------------------------------------------------


def test_a_call_has_exactly_these_keys():
    request = call(Target(topic="t"), {"x": 1}, {"user": "u"}, monitor_timeout_s=5)
    assert told(request) == {
        "method": "ping", "args": {"x": 1}, "_context_user": "u", "_unique_id": UNIQUE_ID,
        "_msg_id": MSG_ID, "_reply_q": REPLY_QUEUE, "_timeout": 5,
    }


def test_the_time_out_of_a_call_is_not_its_monitor_s():
    assert told(call(timeout_s=60))["_timeout"] is None


def test_a_cast_has_no_return_address():
    assert told(call(msg_id=None)) == {"method": "ping", "args": {}, "_unique_id": UNIQUE_ID}


def test_namespace_and_version_are_told_when_the_target_has_them():
    sent = told(call(Target(topic="t", namespace="", version="1.4")))
    assert (sent["namespace"], sent["version"]) == ("", "1.4")


def test_trace_context_is_written_where_oslo_messaging_looks_for_it():
    sent = told(call(), CARRIER)
    assert (sent["_context_traceparent"], sent["_context_tracestate"]) == (PARENT, "vendor=1")


def test_trace_context_stays_out_of_the_request_context_on_request():
    assert "_context_traceparent" not in told(call(), CARRIER, carrier_in_context=False)


def test_nothing_but_trace_context_of_a_carrier_is_written():
    assert "_context_baggage" not in told(call(), CARRIER | {"baggage": "secret=1"})


def test_another_parent_s_state_is_not_sent_with_ours():
    sent = told(call(context={"tracestate": "old"}), {"traceparent": PARENT})
    assert "_context_tracestate" not in sent


def test_the_request_is_only_read():
    args, context = {"x": [1]}, {"user": "u"}
    kept = copy.deepcopy((args, context))
    encode_request(call(None, args, context), CARRIER, REPLY_QUEUE)
    assert (args, context) == kept


@pytest.mark.parametrize(
    ("args", "context", "path"),
    [
        ({"image": {"owner": object()}}, {}, "args.image.owner"),
        ({}, {"session": object()}, "context.session"),
        ({"n": 1}, {"a": [1, b"\xff"]}, "context.a[1]"),
    ],
)
def test_an_error_names_the_argument_or_context_entry(args, context, path):
    with pytest.raises(EncodeError) as caught:
        encode_request(call(None, args, context), {}, REPLY_QUEUE)
    assert caught.value.path == path


# ---- receiving -----------------------------------------------------------------------------------


def test_a_call_is_received_as_it_was_sent():
    request = call(Target(topic="t", namespace="n", version="1.4"), {"x": 1}, {"u": 1}, monitor_timeout_s=5)
    received = decode_request(encode_request(request, {}, REPLY_QUEUE), Properties(), max_bytes=MOST)
    assert (received.method, received.args, received.context) == ("ping", {"x": 1}, {"u": 1})
    assert (received.namespace, received.version, received.mode) == ("n", "1.4", Mode.CALL)
    assert (received.msg_id, received.reply_queue) == (MSG_ID, REPLY_QUEUE)
    assert (received.unique_id, received.monitor_timeout_s) == (UNIQUE_ID, 5)


def test_what_is_missing_has_a_default():
    received = decode({"method": "ping"})
    assert (received.args, received.context, received.version) == ({}, {}, "1.0")
    assert (received.namespace, received.unique_id, received.mode) == (None, None, Mode.CAST)


def test_a_message_of_a_fanout_exchange_is_a_fanout():
    assert decode(message(), fanout=True).mode is Mode.FANOUT


@pytest.mark.parametrize(
    "name", [REPLY_QUEUE, "reply_host-1.example:nova-api:3", "reply_me@host", "reply_x_y.z"],
)
def test_reply_queues_of_all_peers_are_accepted(name):
    assert decode(message(_msg_id=MSG_ID, _reply_q=name)).reply_queue == name


POISON = {
    "no method": {"args": {}},
    "method null": message(method=None),
    "method empty": message(method=""),
    "method a number": message(method=1),
    "method a list": message(method=["ping"]),
    "args a list": message(args=[1]),
    "args a text": message(args="x"),
    "args false": message(args=False),
    "too many arguments": message(args={f"a{number}": 0 for number in range(10_001)}),
    "namespace a number": message(namespace=1),
    "version a number": message(version=1.0),
    "version a list": message(version=[1, 0]),
    "unique id a number": message(_unique_id=1),
    "message id a number": message(_msg_id=1, _reply_q=REPLY_QUEUE),
    "message id empty": message(_msg_id="", _reply_q=REPLY_QUEUE),
    "message id alone": message(_msg_id=MSG_ID),
    "reply queue alone": message(_reply_q=REPLY_QUEUE),
    "reply queue a list": message(_msg_id=MSG_ID, _reply_q=[REPLY_QUEUE]),
    **{
        f"reply queue {name[:12]!r}": message(_msg_id=MSG_ID, _reply_q=name)
        for name in (
            "", "victim", "reply_", "amq.direct", "xreply_1", "reply_a b", "reply_a\n", "reply_a/b",
            "reply_#", "reply_\0", "reply_" + "x" * 300,
        )
    },
    **{
        f"monitor {value!r}": message(_timeout=value)
        for value in (True, False, "5", [5], {})
    },
}


@pytest.mark.parametrize("name", POISON)
def test_a_request_of_another_shape_is_refused(name):
    with pytest.raises(DecodeError) as caught:
        decode(POISON[name])
    assert caught.value.reason == "schema"


@pytest.mark.parametrize(
    ("value", "limit_s"),
    [
        (5, 5), (0.25, 0.25), (3600, 3600), (0, None), (-1, None), (float("nan"), None), (7200, 3600),
        (1e300, 3600), (float("inf"), 3600),
    ],
)
def test_a_request_is_served_whatever_limit_its_monitor_has(value, limit_s):
    assert decode(message(_timeout=value)).monitor_timeout_s == limit_s


# ---- trace context -------------------------------------------------------------------------------

IN_CONTEXT = message(_context_traceparent="old", _context_tracestate="old=1", _context_user="u")


def test_trace_context_is_taken_from_the_headers_first():
    assert decode(IN_CONTEXT, CARRIER).carrier == CARRIER


def test_without_headers_it_is_taken_from_the_request_context():
    assert decode(IN_CONTEXT).carrier == {"traceparent": "old", "tracestate": "old=1"}


@pytest.mark.parametrize("headers", [{}, CARRIER])
def test_endpoints_never_see_our_entries(headers):
    assert decode(IN_CONTEXT, headers).context == {"user": "u"}


def test_what_the_broker_and_the_sender_say_in_headers_is_received():
    received = decode({"method": "m"}, {
        "x-tracedrpc-deadline-ms": "2500", "x-delivery-count": 2,
        "x-death": [{"reason": "expired", "queue": "t.one", "count": 3}],
    })
    assert (received.timeout_s, received.delivery_count) == (2.5, 2)
    assert received.dead_letter == DeadLetter("expired", "t.one", 3)


def test_a_peer_that_says_none_of_it_leaves_none():
    received = decode({"method": "m"})
    assert (received.timeout_s, received.dead_letter, received.delivery_count) == (None, None, 0)


def test_a_carrier_of_another_format_is_received_on_request():
    headers = CARRIER | {"b3": "1-2-1"}
    body = envelope(json.dumps({"method": "m"}))
    received = decode_request(
        body, Properties(headers=headers), max_bytes=MOST, carrier_keys=frozenset({"b3"}),
    )
    assert received.carrier == {"b3": "1-2-1"}


def test_the_state_of_another_parent_is_not_taken():
    assert decode(IN_CONTEXT, {"traceparent": PARENT}).carrier == {"traceparent": PARENT}


@pytest.mark.parametrize("value", [5, b"00-", None, "", "é", "x" * 513, ["a"], {"a": 1}, True])
def test_a_header_that_cannot_be_trace_context_is_none(value):
    assert decode(message(), {"traceparent": value}).carrier == {}


@pytest.mark.parametrize(
    ("value", "sent_ns"),
    [("1700000000000000000", 1700000000000000000), ("-5", 0), ("1e9", 0), ("9" * 30, 0), ("٣", 0), (7, 0)],
)
def test_the_sender_s_clock_is_read_or_zero(value, sent_ns):
    assert decode(message(), {"x-tracedrpc-sent-ns": value}).sent_ns == sent_ns


# ---- for any value -------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
names = st.sampled_from(["image", "_x1", "größe", "self", "args"])
contexts = st.dictionaries(st.text(max_size=6), json_values, max_size=3)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(names, json_values, max_size=2), contexts, st.none() | st.text(max_size=5))
def test_any_request_survives_the_way(args, context, namespace):
    request = call(Target(topic="t", namespace=namespace), args, context)
    body = encode_request(request, CARRIER, REPLY_QUEUE)
    received = decode_request(body, Properties(), max_bytes=MOST)
    assert (received.args, received.context, received.namespace) == (args, context, namespace)
    assert received.carrier == CARRIER


def outcome(*given, **named):
    try:
        return decode(*given, **named)
    except DecodeError as error:
        return error


KEYS = (
    "method", "args", "namespace", "version", "_msg_id", "_reply_q", "_timeout", "_unique_id", "_context_a",
)
odd_messages = st.dictionaries(st.sampled_from(KEYS), json_values, max_size=6)
odd_headers = st.dictionaries(
    st.sampled_from(["traceparent", "tracestate", "x-tracedrpc-sent-ns"]),
    json_values | st.binary(max_size=5),
)


@settings(max_examples=100, deadline=None)
@given(odd_messages, odd_headers)
def test_whatever_comes_only_decode_errors_are_raised(odd, headers):
    received = outcome({"method": "ping"} | odd, headers)
    if isinstance(received, DecodeError):
        assert received.reason == "schema"
    else:
        assert (received.msg_id is None) == (received.reply_queue is None)
        assert all(isinstance(value, str) for value in received.carrier.values())


def test_argument_names_may_be_any_text_as_methods_with_keyword_arguments_take_them():
    received = decode(message(args={"a b": 1, "a.b": 2}))
    assert received.args == {"a b": 1, "a.b": 2}


@pytest.mark.parametrize("wrong", [
    {"method": 5}, {"args": "none"}, {"namespace": 1}, {"version": []}, {"_unique_id": 7},
    {"_timeout": "soon"},
])
def test_the_error_for_a_call_that_makes_no_sense_says_whom_to_tell(wrong):
    message = {"method": "ping", "_msg_id": MSG_ID, "_reply_q": REPLY_QUEUE} | wrong
    with pytest.raises(DecodeError) as caught:
        decode(message)
    assert caught.value.return_address == (MSG_ID, REPLY_QUEUE)


@pytest.mark.parametrize("message", [
    {"method": 5},
    {"method": 5, "_msg_id": MSG_ID, "_reply_q": "somebody-else"},
    {"method": 5, "_msg_id": [MSG_ID], "_reply_q": REPLY_QUEUE},
])
def test_nobody_is_told_where_the_return_address_is_none(message):
    with pytest.raises(DecodeError) as caught:
        decode(message)
    assert caught.value.return_address is None
