"""Pauses between attempts: the first at once, then growing, with jitter, up to a limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracedrpc.drivers.rabbit.backoff import GROWTH, Backoff, reconnect_backoff
from tracedrpc.options import Options


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


# ---- the options ---------------------------------------------------------------------------------


def pauses(count, monkeypatch, **options):
    """Return the longest that each pause may be."""
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    backoff = reconnect_backoff(Options(**options))
    return [backoff.next_s() for _ in range(count)]


def test_the_first_pause_is_the_sum_of_both_options_for_it(monkeypatch):
    assert pauses(2, monkeypatch, kombu_reconnect_delay=1.0, rabbit_retry_interval=2) == [0.0, 3.0]


def test_a_retry_backoff_is_added_to_each_further_pause(monkeypatch):
    options = {"kombu_reconnect_delay": 1.0, "rabbit_retry_backoff": 2, "rabbit_interval_max": 30}
    assert pauses(4, monkeypatch, **options) == pytest.approx([0.0, 1.0, 3.6, 7.76])


def test_no_pause_is_longer_than_the_interval_s_maximum(monkeypatch):
    options = {"rabbit_interval_max": 3, "rabbit_retry_backoff": 2, "rabbit_retry_interval": 9}
    assert pauses(4, monkeypatch, **options) == [0.0, 3.0, 3.0, 3.0]


def test_a_splay_lengthens_every_pause_the_first_included(monkeypatch):
    options = {"kombu_reconnect_splay": 10.0, "kombu_reconnect_delay": 1.0}
    assert pauses(2, monkeypatch, **options) == [10.0, 11.0]


def test_a_delay_of_nothing_does_not_make_it_try_without_any_pause():
    backoff = reconnect_backoff(Options(kombu_reconnect_delay=0))
    backoff.next_s()
    assert backoff.next_s() > 0
