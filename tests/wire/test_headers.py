"""The headers that carry trace context and times."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracedrpc.message import W3C_KEYS, DeadLetter, ServerTimes
from tracedrpc.telemetry import Telemetry
from tracedrpc.wire.headers import (
    carrier_of,
    dead_letter,
    delivery_count,
    heartbeat_headers,
    reply_headers,
    request_headers,
    sent_ns,
    server_name,
    server_times,
    timeout_s,
)

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


def test_a_reply_and_a_heartbeat_tell_who_sent_them():
    named = ServerTimes(1, 1, 2, 3, "cn7")
    assert reply_headers(named, CARRIER)["x-tracedrpc-server"] == "cn7"
    assert heartbeat_headers("cn7", CARRIER) == CARRIER | {"x-tracedrpc-server": "cn7"}
    assert heartbeat_headers("", CARRIER) == CARRIER


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


def test_a_listener_gets_the_keys_it_asks_for_and_no_others():
    headers = CARRIER | {"b3": "1-2", "baggage": "secret=1"}
    assert carrier_of(headers, {}, frozenset({"b3"})) == {"b3": "1-2"}
    assert carrier_of(headers, {}, W3C_KEYS | {"b3"}) == CARRIER | {"b3": "1-2"}


def test_other_keys_are_looked_for_in_the_headers_only():
    assert carrier_of({}, {"b3": "the application's own", **CARRIER}, W3C_KEYS | {"b3"}) == CARRIER


def test_without_a_wish_it_is_w3c_as_of_any_telemetry():
    assert Telemetry.carrier_keys is W3C_KEYS


@pytest.mark.parametrize("text", ["", "x" * 1025, "\u00e9", 5, None])
def test_what_cannot_be_trace_context_of_another_format_is_left_out(text):
    assert carrier_of({"b3": text}, {}, frozenset({"b3"})) == {}


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


def test_the_senders_limit_is_read_as_seconds():
    assert timeout_s(request_headers({}, 1, 1.5)) == 1.5
    assert timeout_s(request_headers({}, 1, None)) is None


@pytest.mark.parametrize("text", [None, 5, "", "-1", "1.5", "1e3", "\u0663", "9" * 20, b"5", ["5"]])
def test_a_limit_that_cannot_be_read_is_none(text):
    assert timeout_s({"x-tracedrpc-deadline-ms": text}) is None


@pytest.mark.parametrize("name", [None, 5, "", "x" * 256, "a\nb", "\x1b[31m", "\u2028", b"cn7", ["cn7"]])
def test_a_server_whose_name_cannot_be_one_has_none(name):
    assert server_name({"x-tracedrpc-server": name}) == ""
    assert server_times(reply_headers(TIMES, {}) | {"x-tracedrpc-server": name}) == TIMES


def test_a_dead_letter_tells_where_it_was_taken_out_last():
    deaths = [
        {"reason": "rejected", "queue": "compute", "count": 2, "routing-keys": ["compute"]},
        {"reason": "expired", "queue": "compute.cn7", "count": 1},
    ]
    assert dead_letter({"x-death": deaths}) == DeadLetter("rejected", "compute", 2)


def test_a_reason_that_is_not_known_is_no_name_of_its_own():
    assert dead_letter({"x-death": [{"reason": "boredom", "queue": "q", "count": 1}]}).reason == "other"


@pytest.mark.parametrize("deaths", [
    None, "expired", [], {}, [None], ["expired"], [[]], [{}], [{"reason": "expired"}], [{"queue": "q"}],
    [{"reason": 1, "queue": "q"}], [{"reason": "expired", "queue": "q\n"}], [{"reason": "", "queue": "q"}],
])
def test_a_dead_letter_that_cannot_be_read_is_none(deaths):
    assert dead_letter({"x-death": deaths}) is None


@pytest.mark.parametrize(("told", "count"), [
    (3, 3), (0, 0), (-1, 0), (True, 0), ("3", 0), (None, 0), (1.5, 0), ([1], 0),
])
def test_deliveries_are_counted_where_a_number_says_so(told, count):
    assert delivery_count({"x-delivery-count": told}) == count
    assert dead_letter({"x-death": [{"reason": "expired", "queue": "q", "count": told}]}).count == count


values = st.none() | st.integers() | st.text(max_size=9) | st.binary(max_size=5) | st.just([1])
deaths = st.lists(
    values | st.lists(values, max_size=2) | st.dictionaries(
        st.sampled_from(["reason", "queue", "count", "time"]), values | st.lists(values, max_size=2),
    ),
    max_size=3,
)
headers = st.dictionaries(
    st.sampled_from([
        *CARRIER, "b3", "x-tracedrpc-sent-ns", "x-tracedrpc-timing", "x-tracedrpc-server",
        "x-tracedrpc-deadline-ms", "x-death", "x-delivery-count",
    ]),
    values | st.builds("wait={};handler={};total={}".format, values, st.integers(), st.just(5)) | deaths,
)


@settings(max_examples=100, deadline=None)
@given(headers, headers)
def test_whatever_headers_come_nothing_is_raised(one, other):
    assert sent_ns(one) >= 0
    assert server_times(one) is None or server_times(one).total_us >= 0
    for carrier in (carrier_of(one, other), carrier_of(one, other, W3C_KEYS | {"b3", "x-death"})):
        assert all(isinstance(value, str) and value.isascii() for value in carrier.values())
    assert server_name(one).isprintable()
    assert timeout_s(one) is None or timeout_s(one) >= 0
    assert delivery_count(one) >= 0
    death = dead_letter(one)
    assert death is None or (death.count >= 0 and death.queue.isprintable())
