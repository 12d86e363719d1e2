"""Deadlines: one instant for all steps of a call."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracedrpc import _deadline
from tracedrpc._deadline import FOREVER_S, Deadline

times = st.floats(0, 1e6)


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(_deadline, "monotonic", lambda: now[0])
    return now


def test_what_is_left_shrinks_as_time_passes(clock):
    deadline = Deadline.after(5)
    clock[0] += 2
    assert deadline.left_s() == 3


def test_what_is_left_is_never_below_zero(clock):
    deadline = Deadline.after(5)
    clock[0] += 50
    assert deadline.left_s() == 0


def test_it_expires_at_its_instant(clock):
    deadline = Deadline.after(5)
    assert not deadline.is_expired()
    clock[0] += 5
    assert deadline.is_expired()


def test_a_time_out_of_nothing_has_expired_already(clock):
    assert Deadline.after(0).is_expired()


def test_no_limit_is_ten_years_away(clock):
    assert Deadline.after(None).left_s() == FOREVER_S


def test_its_text_says_what_is_left(clock):
    assert repr(Deadline.after(1.5)) == "<Deadline 1.500 s left>"


@settings(max_examples=100, deadline=None)
@given(times, times)
def test_the_sooner_of_two_is_never_later_than_either(timeout_s, limit_s):
    deadline = Deadline.after(timeout_s)
    sooner = deadline.sooner(limit_s)
    assert sooner.at_s <= deadline.at_s
    assert sooner.left_s() <= limit_s


def test_a_wait_without_end_is_given_no_limit_and_others_theirs():
    assert Deadline.after(None).limit_s() is None
    assert 9 < Deadline.after(10).limit_s() <= 10
    assert Deadline.after(-1).limit_s() == 0
