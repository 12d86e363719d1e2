"""Ids seen lately: bounded by age and by number."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hypothesis import given, settings
from hypothesis import strategies as st

from tracedrpc.wire.dedup import Seen


class Clock:
    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


def test_an_id_is_new_once():
    seen = Seen(60, 10)
    assert [seen.add("a"), seen.add("a"), seen.add("b")] == [True, False, True]


def test_an_id_is_forgotten_when_its_window_is_over():
    clock = Clock()
    seen = Seen(10, 10, clock)
    seen.add("a")
    clock.now_s = 9.9
    assert not seen.add("a")
    clock.now_s = 10
    assert seen.add("a")


def test_seeing_an_id_again_does_not_prolong_its_stay():
    clock = Clock()
    seen = Seen(10, 10, clock)
    seen.add("a")
    clock.now_s = 6
    seen.add("a")
    clock.now_s = 12
    assert seen.add("a")


def test_the_oldest_is_forgotten_when_there_are_too_many():
    seen = Seen(60, 2)
    for name in "abc":
        seen.add(name)
    assert [seen.add("c"), seen.add("b"), seen.add("a")] == [False, False, True]


def test_with_room_for_none_everything_is_new():
    assert Seen(60, 0).add("a")
    nothing = Seen(0, 10)
    assert [nothing.add("a"), nothing.add("a")] == [True, True]


def test_of_threads_that_add_the_same_id_one_is_first():
    seen = Seen(60, 10_000)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(seen.add, [str(number) for number in range(500)] * 4))
    assert sum(answers) == 500


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 4)), max_size=60),
    st.integers(0, 8), st.integers(0, 5),
)
def test_it_behaves_like_a_plain_list_of_what_was_added(steps, window_s, most):
    clock, model = Clock(), []
    seen = Seen(window_s, most, clock)
    for name, wait_s in steps:
        clock.now_s += wait_s
        model = [(known, at_s) for known, at_s in model if clock.now_s - at_s < window_s]
        is_new = name not in dict(model)
        assert seen.add(name) == is_new
        model = ([*model, (name, clock.now_s)] if is_new else model)
        model = model[-most:] if most else []
        assert len(seen) <= most
