"""Requests, ours against oslo.messaging's own code: the same bytes in meaning, read the same."""

from __future__ import annotations

import ipaddress
import itertools
import xmlrpc.client

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracedrpc
from tests.wire.differential import (
    CONTENT,
    MOST,
    any_values,
    contexts,
    inner,
    keyword_arguments,
    names,
    properties,
    texts,
)
from tracedrpc.exceptions import EncodeError
from tracedrpc.message import Mode
from tracedrpc.rpc.transport import RPCTransport
from tracedrpc.wire.body import COMPRESSION, compress
from tracedrpc.wire.request import decode_request, encode_request

PARENT = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
HEX_DIGITS = 32
EXAMPLES = settings(max_examples=60, deadline=None)


class Keeper:
    """A driver that keeps what it should carry."""

    system = "rabbitmq"

    def call(self, invocation):
        self.request = invocation.request

    cast = call


def our_request(way, target, ctxt, method, args, **settings):
    keeper = Keeper()
    client = tracedrpc.get_rpc_client(RPCTransport(keeper), tracedrpc.Target(**target), **settings)
    getattr(client, way)(ctxt, method, **args)
    return keeper.request


def our_message(request, theirs):
    """Return our message for a request, under the ids that stock chose for it."""
    reply_queue = "reply_" + "0" * HEX_DIGITS if request.msg_id else None
    ours = inner(encode_request(request, {}, reply_queue))
    for key in {"_unique_id", "_msg_id", "_reply_q"} & set(ours):
        assert len(ours[key]) == len(theirs[key])
        ours[key] = theirs[key]
    return ours


targets = st.fixed_dictionaries(
    {"topic": st.just("compute")},
    optional={
        "exchange": st.just("nova"), "namespace": st.none() | texts, "server": st.just("host-1"),
        "version": st.sampled_from([None, "1.0", "2.13", "1.4.2"]),
    },
)
monitors = st.none() | st.integers(1, 3600) | st.floats(0.5, 3600)


@EXAMPLES
@given(st.sampled_from(["call", "cast"]), targets, contexts, names, keyword_arguments, monitors)
def test_a_request_has_stock_s_keys_and_values(stock, way, target, context, method, args, monitor):
    more = {"timeout": 30, "call_monitor_timeout": monitor}
    theirs = inner(stock.request(way, target, context, method, args, **more)["body"])
    assert our_message(our_request(way, target, context, method, args, **more), theirs) == theirs


@EXAMPLES
@given(targets, contexts, names, keyword_arguments)
def test_a_fanout_has_stock_s_keys_and_values(stock, target, context, method, args):
    target = target | {"fanout": True}
    theirs = inner(stock.request("cast", target, context, method, args)["body"])
    assert our_message(our_request("cast", target, context, method, args), theirs) == theirs


class OldContext:
    """A request context that tells its values the old way."""

    def __init__(self, values):
        self.values = values

    def to_dict(self):
        return self.values


@EXAMPLES
@given(contexts)
def test_a_context_object_is_sent_as_stock_sends_it(stock, values):
    context, target = OldContext(values), {"topic": "compute"}
    theirs = inner(stock.request("call", target, context, "ping", {})["body"])
    assert our_message(our_request("call", target, context, "ping", {}), theirs) == theirs


@pytest.mark.parametrize("monitor", [0, 7200, 0.25])
def test_any_monitor_limit_that_stock_sends_is_sent_the_same_and_read(stock, monitor):
    target, more = {"topic": "compute"}, {"timeout": 9000, "call_monitor_timeout": monitor}
    sent = stock.request("call", target, {}, "ping", {}, **more)
    theirs = inner(sent["body"])
    ours = our_message(our_request("call", target, {}, "ping", {}, **more), theirs)
    assert bool(ours.pop("_timeout")) == bool(theirs.pop("_timeout"))
    assert ours == theirs
    decode_request(sent["body"], properties(sent["content"]), max_bytes=MOST)


compressions = st.sampled_from([None, "gzip", "bzip2", "lzma"])
"""kombu's names; stock's help says "bz2" and stock then fails with a KeyError."""


@EXAMPLES
@given(st.sampled_from(["call", "cast"]), targets, contexts, names, keyword_arguments, monitors, compressions)
def test_we_read_what_stock_writes(stock, way, target, context, method, args, monitor, compression):
    sent = stock.request(
        way, target, context, method, args, compression, call_monitor_timeout=monitor, timeout=30,
    )
    told = inner(stock.request(way, target, context, method, args)["body"])
    received = decode_request(sent["body"], properties(sent["content"]), max_bytes=MOST)
    assert (received.method, received.args) == (method, told["args"])
    assert received.context == {k.removeprefix("_context_"): v for k, v in told.items() if "_context_" in k}
    assert received.namespace == target.get("namespace")
    assert received.version == (target.get("version") or "1.0")
    assert len(received.unique_id) == HEX_DIGITS
    if way == "call":
        assert received.mode is Mode.CALL
        assert len(received.msg_id) == HEX_DIGITS
        assert received.reply_queue.startswith("reply_")
        assert received.monitor_timeout_s == monitor
    else:
        assert (received.mode, received.msg_id, received.reply_queue) == (Mode.CAST, None, None)


def ours_on_the_wire(request, carrier, compression):
    body = encode_request(request, carrier, "reply_1" if request.msg_id else None)
    if compression is None:
        return body, CONTENT
    body, header = compress(body, compression)
    return body, (*CONTENT[:2], {COMPRESSION: header})


carriers = st.sampled_from([{}, {"traceparent": PARENT}, {"traceparent": PARENT, "tracestate": "a=1"}])


@EXAMPLES
@given(
    st.sampled_from(["call", "cast"]), targets, contexts, names, keyword_arguments, monitors, carriers,
    compressions,
)
def test_stock_reads_what_we_write(stock, way, target, context, method, args, monitor, carrier, compression):
    request = our_request(way, target, context, method, args, call_monitor_timeout=monitor, timeout=30)
    told = inner(encode_request(request, {}, "reply_1" if request.msg_id else None))
    received = stock.receive(*ours_on_the_wire(request, carrier, compression))
    context = {k.removeprefix("_context_"): v for k, v in told.items() if "_context_" in k} | carrier
    is_call = way == "call"
    assert received["ctxt"] == context | {"client_timeout": monitor if is_call else None}
    assert received["message"].get("args") == told["args"]
    assert received["message"].get("method") == method
    assert received["message"].get("namespace") == target.get("namespace")
    assert received["message"].get("version") == target.get("version")
    assert received["unique_id"] == request.unique_id
    assert (received["msg_id"], received["reply_q"]) == (request.msg_id, "reply_1" if is_call else None)
    assert received["timeout"] == (monitor if is_call else None)


def test_stock_knows_a_request_of_ours_that_comes_twice(stock):
    request = our_request("cast", {"topic": "compute"}, {}, "ping", {})
    body = encode_request(request, {}, None)
    stock.receive(body, CONTENT)
    with pytest.raises(Exception, match="pop from empty list"):
        stock.receive(body, CONTENT)


@EXAMPLES
@given(any_values)
def test_an_argument_is_coerced_as_stock_coerces_it(stock, value):
    theirs = inner(stock.request("cast", {"topic": "t"}, {}, "m", {"value": value})["body"])
    ours = inner(encode_request(our_request("cast", {"topic": "t"}, {}, "m", {"value": value}), {}, None))
    assert ours["args"] == theirs["args"]


DESCRIBED = [ValueError("x"), ValueError, len, itertools.count(), xmlrpc.client.DateTime("20200102T03:04:05")]
"""Values that stock sends as a description: `repr`, `str`, or a date without its zone."""


@pytest.mark.parametrize("value", DESCRIBED, ids=lambda value: type(value).__name__)
def test_what_stock_sends_as_a_description_we_refuse_by_name(stock, value):
    theirs = inner(stock.request("cast", {"topic": "t"}, {}, "m", {"value": value})["body"])
    assert isinstance(theirs["args"]["value"], str)
    with pytest.raises(EncodeError, match=r"args\.value cannot be sent"):
        encode_request(our_request("cast", {"topic": "t"}, {}, "m", {"value": value}), {}, None)


def test_a_network_is_text_for_us_and_the_list_of_its_addresses_for_stock(stock):
    value = ipaddress.ip_network("10.0.0.0/31")
    theirs = inner(stock.request("cast", {"topic": "t"}, {}, "m", {"value": value})["body"])
    ours = inner(encode_request(our_request("cast", {"topic": "t"}, {}, "m", {"value": value}), {}, None))
    assert theirs["args"]["value"] == ["10.0.0.0", "10.0.0.1"]
    assert ours["args"]["value"] == "10.0.0.0/31"
