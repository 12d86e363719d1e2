"""The headers that carry trace context and times."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracedrpc.message import ServerTimes
from tracedrpc.wire.headers import carrier_of, reply_headers, request_headers, sent_ns, server_times

CARRIER = {"traceparent": "00-1-2-01", "tracestate": "a=1"}
TIMES = ServerTimes(1_700_000_000_000_000_000, 10, 20, 40)


def test_a_request_tells_when_it_was_sent_and_what_time_is_left():
    assert request_headers(CARRIER, 123, 1.5) == CARRIER | {
        "x-tracedrpc-sent-ns": "123", "x-tracedrpc-deadline-ms": "1500",
    }


def test_a_request_without_limit_tells_no_deadline():
    assert request_headers({}, 123, None) == {"x-tracedrpc-sent-ns": "123"}


def test_a_deadline_that_has_passed_is_zero():
    assert request_headers({}, 1, -3.0)["x-tracedrpc-deadline-ms"] == "0"


def test_a_reply_tells_the_server_s_own_durations():
    assert reply_headers(TIMES, {}) == {
        "x-tracedrpc-sent-ns": "1700000000000000000",
        "x-tracedrpc-timing": "wait=10;handler=20;total=40",
    }


def test_a_carrier_is_only_read():
    carrier = dict(CARRIER)
    request_headers(carrier, 1, 1)
    reply_headers(TIMES, carrier)
    assert carrier == CARRIER


@pytest.mark.parametrize(
    "timing",
    [
        None, 5, b"wait=1;handler=2;total=3", "", "wait=1;handler=2", "wait=-1;handler=2;total=3",
        "wait=1;handler=2;total=3;", "wait=1;handler=2;total=3\n", "wait=1.5;handler=2;total=3",
        "wait=٣;handler=2;total=3", "wait=" + "9" * 5000 + ";handler=2;total=3", ["wait"],
    ],
)
def test_times_that_cannot_be_read_are_none(timing):
    assert server_times({"x-tracedrpc-timing": timing}) is None


def test_durations_are_told_even_when_the_clock_is_not():
    assert server_times({"x-tracedrpc-timing": "wait=1;handler=2;total=3"}) == ServerTimes(0, 1, 2, 3)


def test_trace_context_has_no_other_entries():
    assert carrier_of(CARRIER | {"baggage": "secret=1", "x": "y"}, {}) == CARRIER


def test_headers_come_before_the_request_context():
    assert carrier_of({"traceparent": "a"}, {"traceparent": "b", "tracestate": "c"}) == {"traceparent": "a"}


def test_state_without_a_parent_is_nothing():
    assert carrier_of({"tracestate": "a=1"}, {}) == {}


@settings(max_examples=100, deadline=None)
@given(*[st.integers(0, 10**15 - 1)] * 3, st.integers(0, 2**63 - 1))
def test_any_times_survive_the_way(wait_us, handler_us, total_us, wall_ns):
    times = ServerTimes(wall_ns, wait_us, handler_us, total_us)
    headers = reply_headers(times, CARRIER)
    assert server_times(headers) == times
    assert all(type(value) is str for value in headers.values())


values = st.none() | st.integers() | st.text(max_size=9) | st.binary(max_size=5) | st.just([1])
headers = st.dictionaries(
    st.sampled_from([*CARRIER, "x-tracedrpc-sent-ns", "x-tracedrpc-timing"]),
    values | st.builds("wait={};handler={};total={}".format, values, st.integers(), st.just(5)),
)


@settings(max_examples=100, deadline=None)
@given(headers, headers)
def test_whatever_headers_come_nothing_is_raised(one, other):
    assert sent_ns(one) >= 0
    assert server_times(one) is None or server_times(one).total_us >= 0
    assert all(isinstance(value, str) and value.isascii() for value in carrier_of(one, other).values())
