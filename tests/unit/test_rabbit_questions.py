"""Questions about queues: asked at once or not at all, once for all who ask, never waited for long."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest

from tests.unit.rabbit_fakes import Clock, FakeLink
from tracedrpc._deadline import Deadline
from tracedrpc.drivers.rabbit.link import QueueState
from tracedrpc.drivers.rabbit.pool import ConnectionPool
from tracedrpc.drivers.rabbit.questions import Questions
from tracedrpc.testing import RecordingTelemetry

SOON_S = 5.0
ANSWER = QueueState(exists=True, messages=7, consumers=2)


class Lab:
    def __init__(self, idle=1):
        self.telemetry = RecordingTelemetry()
        self.links = []
        self.pool = ConnectionPool(
            self.open, self.telemetry, max_size=4, min_size=0, ttl_s=60, clock=Clock(),
        )
        self.questions = Questions(self.pool, self.telemetry)
        for link in [self.pool.acquire(Deadline.after(SOON_S)) for _ in range(idle)]:
            self.pool.release(link)

    def open(self, deadline):
        link = FakeLink()
        link.state = ANSWER
        self.links.append(link)
        return link

    def ask(self, queue="compute", limit_s=SOON_S):
        return self.questions.ask(queue, limit_s)


@pytest.fixture
def lab():
    return Lab()


def test_the_answer_is_the_brokers(lab):
    assert lab.ask() == ANSWER
    assert lab.links[0].done == ["read", "look_at compute"]


def test_the_connection_goes_back_to_the_pool(lab):
    lab.ask()
    assert lab.pool.take_hottest() is lab.links[0]


def test_the_connection_that_was_used_last_is_asked_on():
    lab = Lab(idle=3)
    lab.ask()
    assert [len(link.done) for link in lab.links] == [0, 0, 2]


def test_without_an_idle_connection_nobody_is_asked():
    lab = Lab(idle=0)
    assert lab.ask() is None
    assert not lab.links


def test_a_connection_that_takes_no_messages_now_is_not_asked_on(lab):
    lab.links[0].is_blocked = True
    assert lab.ask() is None
    assert lab.links[0].done == ["read"]
    assert lab.pool.stats().idle == 1


@pytest.mark.parametrize("operation", ["read", "look_at"])
def test_a_connection_that_does_not_answer_is_given_up(lab, operation):
    lab.links[0].breaks[operation] = TimeoutError()
    assert lab.ask() is None
    assert lab.links[0].done[-1] == "abandon"
    assert lab.telemetry.of("connection_lost")[0].fields["reason"] == "timeout"
    assert lab.telemetry.of("connection_closed")[0].fields["reason"] == "error"
    stats = lab.pool.stats()
    assert (stats.idle, stats.in_use) == (0, 0)


def test_a_fault_of_ours_costs_the_connection_and_not_its_slot(lab):
    lab.links[0].breaks["look_at"] = KeyError("a fault of ours")
    with pytest.raises(KeyError):
        lab.ask()
    assert lab.pool.stats().in_use == 0
    assert not lab.questions._asked


def test_all_who_ask_about_a_queue_at_once_get_the_answer_of_one_question(lab):
    begun, goes_on = threading.Event(), threading.Event()
    link = lab.links[0]

    def look_at(queue, timeout_s):
        link.done.append(f"look_at {queue}")
        begun.set()
        assert goes_on.wait(SOON_S)
        return ANSWER

    link.look_at = look_at
    with ThreadPoolExecutor(9) as threads:
        first = threads.submit(lab.ask)
        assert begun.wait(SOON_S)
        waiting = threading.Semaphore(0)
        event = lab.questions._asked["compute"].answered
        wait = event.wait
        event.wait = lambda timeout: (waiting.release(), wait(timeout))
        others = [threads.submit(lab.ask) for _ in range(8)]
        for _ in others:
            assert waiting.acquire(timeout=SOON_S)
        goes_on.set()
        assert [future.result(SOON_S) for future in (first, *others)] == [ANSWER] * 9
    assert link.done.count("look_at compute") == 1


def test_who_waits_for_anothers_question_does_not_wait_beyond_its_own_limit(lab):
    begun, goes_on = threading.Event(), threading.Event()

    def look_at(queue, timeout_s):
        begun.set()
        assert goes_on.wait(SOON_S)
        return ANSWER

    lab.links[0].look_at = look_at
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(lab.ask)
        assert begun.wait(SOON_S)
        began_s = monotonic()
        assert lab.ask(limit_s=0.05) is None
        assert monotonic() - began_s < SOON_S / 2
        goes_on.set()
        assert first.result(SOON_S) == ANSWER


def test_the_question_is_told_how_long_it_may_take(lab):
    limits = []
    lab.links[0].look_at = lambda queue, timeout_s: limits.append(timeout_s)
    lab.ask(limit_s=3)
    assert 2 < limits[0] <= 3


def test_questions_about_different_queues_do_not_wait_for_each_other():
    lab = Lab(idle=2)
    begun, goes_on = threading.Event(), threading.Event()

    def look_at(queue, timeout_s):
        begun.set()
        assert goes_on.wait(SOON_S)

    lab.links[1].look_at = look_at
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(lab.ask, "a")
        assert begun.wait(SOON_S)
        assert lab.ask("b") == ANSWER
        goes_on.set()
        slow.result(SOON_S)
