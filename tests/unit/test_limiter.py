"""Storms in the log: a few lines of a kind, and no line that is kept back is forgotten."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.rabbit_fakes import Clock
from tracedrpc import _log
from tracedrpc._limiter import OTHER, Kind, Limiter
from tracedrpc._log import DEBUG, INFO, WARNING, limited, line

EVENT = "connect_failed"
PEER = "server.address"
LOST = Kind(EVENT, PEER, "rabbit-1:5672")


def kind(value):
    return Kind(EVENT, PEER, value)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def limiter(clock):
    return Limiter(most=3, window_s=10, most_kinds=5, clock=clock)


# ---- which lines are written ---------------------------------------------------------------------


def test_the_first_few_lines_of_a_kind_are_written_and_the_rest_of_the_window_is_not(limiter):
    assert [limiter.admit(LOST, INFO) for _ in range(6)] == [0, 0, 0, None, None, None]


def test_the_next_line_after_the_window_says_how_many_were_kept_back(limiter, clock):
    for _ in range(8):
        limiter.admit(LOST, INFO)
    clock.now_s += 10
    assert [limiter.admit(LOST, INFO) for _ in range(4)] == [5, 0, 0, None]


def test_each_kind_has_a_window_of_its_own(limiter):
    for _ in range(4):
        limiter.admit(LOST, INFO)
    assert limiter.admit(kind("rabbit-2:5672"), INFO) == 0
    assert limiter.admit(Kind("connection_lost", PEER, LOST.value), INFO) == 0


def test_a_slow_drip_is_never_held_back(limiter, clock):
    for _ in range(100):
        assert limiter.admit(LOST, INFO) == 0
        clock.now_s += 3.5


def test_what_was_kept_back_is_due_when_its_window_is_over(limiter, clock):
    for _ in range(5):
        limiter.admit(LOST, INFO)
    limiter.admit(LOST, WARNING)
    assert not limiter.is_due()
    clock.now_s += 9.9
    assert not limiter.is_due()
    assert limiter.take_due() == []
    clock.now_s += 0.1
    assert limiter.is_due()
    assert limiter.take_due() == [(LOST, WARNING, 3)]
    assert not limiter.is_due()
    assert limiter.take_due() == []


def test_what_was_kept_back_can_be_had_before_its_window_is_over(limiter):
    for _ in range(5):
        limiter.admit(LOST, INFO)
    assert limiter.take_due(everything=True) == [(LOST, INFO, 2)]


# ---- bounds --------------------------------------------------------------------------------------


def test_kinds_that_are_too_many_are_counted_as_one(limiter):
    for number in range(5):
        assert limiter.admit(kind(str(number)), INFO) == 0
    admitted = [limiter.admit(kind(f"another-{number}"), INFO) for number in range(100)]
    assert admitted == [0, 0, 0, *[None] * 97]
    assert limiter.take_due(everything=True) == [(kind(OTHER), INFO, 97)]
    assert len(limiter._windows) <= 6


def test_kinds_that_have_been_quiet_make_room(limiter, clock):
    for number in range(5):
        limiter.admit(kind(str(number)), INFO)
    clock.now_s += 10
    assert limiter.admit(kind("new"), INFO) == 0
    assert set(limiter._windows) == {kind("new")}


steps = st.lists(
    st.tuples(st.sampled_from(["line", "line", "line", "tick", "due"]), st.integers(0, 12)), max_size=200,
)


@settings(max_examples=200, deadline=None)
@given(steps)
def test_every_line_is_written_or_counted_exactly_once(given_steps):
    clock = Clock()
    limiter = Limiter(most=2, window_s=10, most_kinds=4, clock=clock)
    asked, written, told = 0, 0, Counter()
    for step, number in given_steps:
        if step == "tick":
            clock.now_s += number
        elif step == "due":
            for what, _, count in limiter.take_due():
                told[what] += count
        else:
            asked += 1
            suppressed = limiter.admit(kind(str(number)), INFO)
            if suppressed is not None:
                written += 1
                told["line"] += suppressed
    for what, _, count in limiter.take_due(everything=True):
        told[what] += count
    assert written + told.total() == asked
    assert len(limiter._windows) <= 5


def test_many_threads_lose_no_count():
    limiter = Limiter(most=5, window_s=1000)
    with ThreadPoolExecutor(8) as threads:
        said = list(threads.map(lambda _: limiter.admit(LOST, INFO), range(4000)))
    assert said.count(0) == 5
    assert limiter.take_due(everything=True) == [(LOST, INFO, 3995)]


def test_a_child_process_begins_anew_also_when_the_parent_was_counting(limiter):
    for _ in range(9):
        limiter.admit(LOST, INFO)
    locked = threading.Event()

    def hold():
        with limiter._lock:
            locked.set()
            threading.Event().wait(0.2)

    holder = threading.Thread(target=hold)
    holder.start()
    assert locked.wait(5)
    limiter.forget()
    assert limiter.admit(LOST, INFO) == 0
    holder.join(5)


# ---- lines ---------------------------------------------------------------------------------------


@pytest.fixture
def log(caplog, monkeypatch, clock):
    caplog.set_level(logging.DEBUG, "tracedrpc")
    monkeypatch.setattr(_log, "limiter", Limiter(clock=clock))
    return caplog


def texts(log):
    return [record.getMessage() for record in log.records]


def test_a_storm_is_five_lines_and_then_one_with_its_count(log, clock):
    for number in range(100):
        limited(WARNING, EVENT, {PEER: LOST.value, "number": number}, PEER)
    assert [text[-8:] for text in texts(log)] == [f"number={number}" for number in range(5)]
    log.clear()
    clock.now_s += 10
    limited(WARNING, EVENT, {PEER: LOST.value, "number": 100}, PEER)
    assert texts(log) == [f"{EVENT} tracedrpc.suppressed=95 {PEER}=rabbit-1:5672 number=100"]


def test_any_line_brings_the_counts_that_are_due_as_lines_of_their_events(log, clock):
    for _ in range(9):
        limited(WARNING, EVENT, {PEER: LOST.value}, PEER)
    log.clear()
    clock.now_s += 10
    line(DEBUG, "call_finished", {})
    assert texts(log) == [f"{EVENT} tracedrpc.suppressed=4 {PEER}=rabbit-1:5672", "call_finished"]
    assert log.records[0].levelno == WARNING
    assert vars(log.records[0])["tracedrpc.suppressed"] == 4


def test_a_line_below_the_level_is_neither_written_nor_counted(log):
    log.set_level(logging.WARNING, "tracedrpc")
    for _ in range(100):
        assert limited(INFO, EVENT, {PEER: LOST.value}, PEER)
    assert _log.limiter.take_due(everything=True) == []


def test_whether_a_line_was_written_is_said(log):
    assert [limited(INFO, EVENT, {PEER: "a"}, PEER) for _ in range(6)] == [*[True] * 5, False]


def test_counts_are_told_when_the_process_ends():
    code = (
        "import logging; logging.basicConfig(level=logging.INFO, format='%(message)s')\n"
        "from tracedrpc.telemetry import ConnectionInfo, Telemetry\n"
        "for number in range(50):\n"
        "    Telemetry().connect_failed(ConnectionInfo(number, 'rabbit-1:5672', 'send'), 'refused', 10)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stderr.splitlines()
    assert len(lines) == 6
    assert lines[-1] == "connect_failed tracedrpc.suppressed=45 server.address=rabbit-1:5672"
