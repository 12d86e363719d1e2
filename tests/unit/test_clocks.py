"""How far other clocks are from ours: the truth is always within what is claimed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracedrpc.clocks import MOST_SERVERS, RETURN_NS, WINDOW_NS, Clocks, Quality

MS = 1_000_000
NOW_NS = 10**15


def call(clocks, skew_ns, request_ns, reply_ns, at_ns, server="cn7"):
    """Tell of one call whose two ways took so long; what the clock says of it follows."""
    return clocks.skew_ns(server, skew_ns - reply_ns, skew_ns + request_ns, at_ns)


ways = st.integers(0, 10**10)


@settings(max_examples=300, deadline=None)
@given(
    st.integers(-(10**13), 10**13),
    st.lists(st.tuples(ways, ways, st.integers(0, 2 * WINDOW_NS)), min_size=1, max_size=30),
)
def test_the_bounds_hold_the_truth_after_any_calls_as_long_as_the_clocks_run_alike(skew_ns, calls):
    clocks, at_ns, widths = Clocks(), NOW_NS, []
    for request_ns, reply_ns, pause_ns in calls:
        at_ns += pause_ns
        low_ns, high_ns = clocks._learn("cn7", skew_ns - reply_ns, skew_ns + request_ns, at_ns)
        assert low_ns <= skew_ns <= high_ns
        widths.append((request_ns + reply_ns, high_ns - low_ns))
    assert all(told <= own for own, told in widths)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(ways, ways), min_size=1, max_size=30))
def test_within_a_window_bounds_only_become_narrower(calls):
    clocks = Clocks()
    widths = []
    for request_ns, reply_ns in calls:
        low_ns, high_ns = clocks._learn("cn7", -reply_ns, request_ns, NOW_NS)
        widths.append(high_ns - low_ns)
    assert all(later <= earlier for earlier, later in pairwise(widths))


@pytest.mark.parametrize("skew_ms", [5000, -5000, 40, -40])
def test_a_clock_that_is_wrong_is_found_out_by_one_quick_call(skew_ms):
    skew_ns, quality = call(Clocks(), skew_ms * MS, 200_000, 200_000, NOW_NS)
    assert quality is Quality.ESTIMATED
    assert abs(skew_ns - skew_ms * MS) <= 200_000


def test_clocks_that_agree_as_far_as_can_be_told_are_believed():
    assert call(Clocks(), 0, 5 * MS, 5 * MS, NOW_NS) == (0, Quality.SENDER_CLOCK)
    assert call(Clocks(), 4 * MS, 5 * MS, 5 * MS, NOW_NS) == (0, Quality.SENDER_CLOCK)


def test_where_only_the_bounds_are_known_the_ways_back_are_taken_to_be_short():
    skew_ns, _ = call(Clocks(), 5000 * MS, 900 * MS, 100_000, NOW_NS)
    assert skew_ns - 5000 * MS == RETURN_NS - 100_000


@pytest.mark.parametrize("after_ns", [MS, WINDOW_NS + MS, 2 * WINDOW_NS])
@pytest.mark.parametrize("was_ms", [0, 5000, -40])
def test_a_clock_that_is_set_is_believed_at_once(was_ms, after_ns):
    clocks = Clocks()
    for number in range(5):
        call(clocks, was_ms * MS, 200_000, 200_000, NOW_NS + number * WINDOW_NS // 2)
    at_ns = NOW_NS + 2 * WINDOW_NS + after_ns
    skew_ns, quality = call(clocks, 800 * MS, 200_000, 200_000, at_ns)
    assert quality is Quality.ESTIMATED
    assert abs(skew_ns - 800 * MS) <= 200_000


def test_a_clock_that_drifts_is_followed():
    clocks, at_ns = Clocks(), NOW_NS
    for number in range(200):
        at_ns += WINDOW_NS // 3
        truth_ns = 10 * MS + number * (WINDOW_NS // 3) // 20_000  # 50 us a second
        skew_ns, _ = call(clocks, truth_ns, 2 * MS, 2 * MS, at_ns)
        assert abs(skew_ns - truth_ns) < 10 * MS


def test_what_was_learnt_long_ago_is_forgotten():
    clocks = Clocks()
    call(clocks, 0, 100, 100, NOW_NS)
    late_ns = NOW_NS + 10 * WINDOW_NS
    call(clocks, 0, 9 * MS, 9 * MS, late_ns)
    low_ns, high_ns = clocks._learn("cn7", -9 * MS, 9 * MS, late_ns + MS)
    assert high_ns - low_ns == 18 * MS


def test_a_server_without_a_name_teaches_nothing_about_others_without_one():
    clocks = Clocks()
    call(clocks, 0, 100, 100, NOW_NS, server="")
    skew_ns, quality = call(clocks, 40 * MS, 200_000, 200_000, NOW_NS, server="")
    assert quality is Quality.ESTIMATED
    assert abs(skew_ns - 40 * MS) <= 200_000


def test_each_server_has_a_clock_of_its_own():
    clocks = Clocks()
    call(clocks, 40 * MS, 1000, 1000, NOW_NS, server="a")
    assert call(clocks, 0, 1000, 1000, NOW_NS, server="b") == (0, Quality.SENDER_CLOCK)


def test_no_more_servers_are_remembered_than_there_may_be():
    clocks = Clocks()
    for number in range(3 * MOST_SERVERS):
        call(clocks, 0, 1000, 1000, NOW_NS + number, server=f"s{number}")
    assert len(clocks._recent) <= MOST_SERVERS
