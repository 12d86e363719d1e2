"""Pauses between attempts: the first at once, then growing, with jitter, up to a limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracedrpc.drivers.rabbit.backoff import GROWTH, Backoff


def test_the_first_attempt_is_made_at_once():
    assert Backoff(0.1, 5.0).next_s() == 0.0


def test_pauses_grow_by_the_same_factor(monkeypatch):
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    backoff = Backoff(0.1, 5.0)
    pauses = [backoff.next_s() for _ in range(5)]
    assert pauses == pytest.approx([0.0, 0.1, 0.1 * GROWTH, 0.1 * GROWTH**2, 0.1 * GROWTH**3])


@given(st.floats(0.001, 2.0), st.floats(0.001, 10.0), st.integers(2, 60))
def test_a_pause_is_never_longer_than_the_limit_and_never_tiny(first_s, most_s, attempts):
    backoff = Backoff(first_s, most_s)
    pauses = [backoff.next_s() for _ in range(attempts)][1:]
    assert all(min(first_s, most_s) / 2 <= pause <= most_s for pause in pauses)


def test_many_who_lost_the_same_broker_do_not_come_back_together():
    backoffs = [Backoff(1.0, 5.0) for _ in range(50)]
    assert len({(each.next_s(), each.next_s()) for each in backoffs}) == 50


def test_after_a_success_it_begins_again():
    backoff = Backoff(0.1, 5.0)
    for _ in range(5):
        backoff.next_s()
    backoff.reset()
    assert backoff.next_s() == 0.0


def test_a_thousand_attempts_do_not_overflow():
    backoff = Backoff(0.1, 5.0)
    assert max(backoff.next_s() for _ in range(2000)) <= 5.0
