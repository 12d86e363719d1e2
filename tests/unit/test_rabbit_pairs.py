"""What is begun is ended: the moments of a pool, whatever is done to it, in any order and by many."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from time import monotonic_ns

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.pairs import check_pairs
from tests.unit.rabbit_fakes import Clock, FakeLink
from tracedrpc._deadline import Deadline
from tracedrpc.drivers.rabbit.errors import ConnectFailed, Reason, connect_failed
from tracedrpc.drivers.rabbit.pool import ConnectionPool
from tracedrpc.exceptions import TransportDriverError
from tracedrpc.testing import RecordingTelemetry

GIVEN_UP = ("error", "stale", "idle")


class Lab:
    """A pool whose connections are opened and told of like real ones, and fail when they are told to."""

    def __init__(self, max_size=2):
        self.telemetry = RecordingTelemetry()
        self.fails = False
        self.pool = ConnectionPool(
            self.open, self.telemetry, max_size=max_size, min_size=1, ttl_s=60, clock=Clock(),
        )

    def open(self, deadline):
        link = FakeLink()
        self.telemetry.connection_created(link.info)
        if self.fails:
            self.telemetry.connect_failed(link.info, "refused", 1)
            raise connect_failed(Reason.REFUSED, "broker:5672")
        link.info = replace(link.info, ready_ns=monotonic_ns(), connect_ns=1000)
        self.telemetry.connection_ready(link.info)
        return link

    def count(self, name):
        return len(self.telemetry.of(name))


class PoolMachine(RuleBasedStateMachine):
    """One thread does everything that can be done, in any order."""

    def __init__(self):
        super().__init__()
        self.lab = Lab()
        self.pool = self.lab.pool
        self.held = []
        self.looked_after = []
        self.used_ns = 0

    @rule()
    def acquire(self):
        try:
            self.held.append(self.pool.acquire(Deadline.after(0)))
        except TransportDriverError:
            return

    @rule()
    def connects_fail(self):
        self.lab.fails = not self.lab.fails

    @precondition(lambda self: self.held)
    @rule()
    def release(self):
        self.pool.release(self.held.pop())

    @precondition(lambda self: self.held)
    @rule()
    def discard(self):
        self.pool.discard(self.held.pop(), random.choice(GIVEN_UP))

    @rule()
    def look_after_the_coldest(self):
        link = self.pool.take_idle(0)
        if link is not None:
            self.looked_after.append(link)

    @rule()
    def ask_on_the_hottest(self):
        link = self.pool.take_hottest()
        if link is not None:
            self.looked_after.append(link)

    @precondition(lambda self: self.looked_after)
    @rule()
    def put_back(self):
        self.pool.put_idle(self.looked_after.pop(), 0)

    @precondition(lambda self: self.looked_after)
    @rule()
    def expire(self):
        self.pool.discard(self.looked_after.pop(), "idle")

    @rule()
    def close(self):
        self.pool.close()

    @invariant()
    def counts_agree(self):
        stats, lab = self.pool.stats(), self.lab
        assert stats.in_use == len(self.held) + len(self.looked_after)
        assert stats.acquired == lab.count("connection_acquired")
        assert stats.created == lab.count("connection_ready")
        assert stats.closed == lab.count("connection_closed")
        assert stats.created - stats.closed == stats.idle + stats.in_use
        assert stats.used_ns >= self.used_ns
        assert lab.count("acquire_started") == stats.acquired + lab.count("acquire_failed")
        self.used_ns = stats.used_ns

    def teardown(self):
        for link in self.held:
            self.pool.release(link)
        for link in self.looked_after:
            self.pool.put_idle(link)
        self.pool.close()
        assert self.pool.stats().in_use == self.pool.stats().idle == 0
        check_pairs(self.lab.telemetry)


TestPoolMachine = PoolMachine.TestCase
TestPoolMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_forty_threads_that_do_as_they_please_leave_nothing_open():
    lab = Lab(max_size=3)

    def borrow(chance):
        try:
            link = lab.pool.acquire(Deadline.after(chance.choice([0, 0.01, 5])))
        except TransportDriverError:
            lab.fails = False
            return
        if chance.random() < 0.7:
            lab.pool.release(link)
        else:
            lab.pool.discard(link, chance.choice(GIVEN_UP))
        lab.fails = chance.random() < 0.05

    def borrow_often(number):
        chance = random.Random(number)
        for _ in range(30):
            borrow(chance)
        if number == 7:
            lab.pool.close()

    with ThreadPoolExecutor(40) as threads:
        for future in [threads.submit(borrow_often, number) for number in range(40)]:
            future.result(60)
    stats = lab.pool.stats()
    assert (stats.idle, stats.in_use, stats.waiters) == (0, 0, 0)
    assert stats.created == stats.closed == lab.count("connection_ready")
    assert stats.used_ns > 0
    check_pairs(lab.telemetry)


# ---- what was used, and for how long -------------------------------------------------------------


def test_the_time_in_somebodys_hands_is_counted_when_it_comes_back():
    lab = Lab()
    link = lab.pool.acquire(Deadline.after(1))
    assert lab.pool.stats().used_ns == 0
    taken_ns = link.taken_ns
    lab.pool.release(link)
    used_ns = lab.pool.stats().used_ns
    assert 0 < used_ns <= monotonic_ns() - taken_ns
    assert lab.pool.stats().acquired == 1
    assert lab.pool.stats().min_size == 1


def test_a_look_after_an_idle_connection_is_no_use_of_it():
    lab = Lab()
    lab.pool.release(lab.pool.acquire(Deadline.after(1)))
    used_ns = lab.pool.stats().used_ns
    lab.pool.put_idle(lab.pool.take_idle(0), 0)
    lab.pool.discard(lab.pool.take_hottest(), "idle")
    assert lab.pool.stats().used_ns == used_ns


class Asker:
    def __init__(self):
        self.pools, self.spent_ns = [], []

    def waits(self, pool):
        self.pools.append(pool)

    def connects(self, spent_ns):
        self.spent_ns.append(spent_ns)


def test_who_finds_an_idle_connection_hears_of_no_wait():
    lab, asker = Lab(), Asker()
    lab.pool.release(lab.pool.acquire(Deadline.after(1)))
    lab.pool.acquire(Deadline.after(1), asker)
    assert (asker.pools, asker.spent_ns) == ([], [])


def test_who_finds_none_hears_how_full_the_pool_is_and_how_long_connecting_took():
    lab, asker = Lab(), Asker()
    lab.pool.acquire(Deadline.after(1))
    lab.pool.acquire(Deadline.after(1), asker)
    ((pool,), (spent_ns,)) = asker.pools, asker.spent_ns
    assert (pool.in_use, pool.idle, pool.max_size) == (1, 0, 2)
    assert spent_ns > 0


def test_a_connect_in_vain_counts_too():
    lab, asker = Lab(), Asker()
    lab.fails = True
    with pytest.raises(ConnectFailed):
        lab.pool.acquire(Deadline.after(1), asker)
    assert len(asker.spent_ns) == 1
    assert lab.telemetry.of("acquire_failed")[0].fields["reason"] == "connect_failed"


def test_who_waits_while_another_connects_hears_how_much_of_it_was_connecting():
    lab, asker = Lab(max_size=1), Asker()
    held = lab.pool.acquire(Deadline.after(1))
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(lab.pool.acquire, Deadline.after(5), asker)
        while not lab.pool.stats().waiters:
            threading.Event().wait(0.001)
        held.info = replace(held.info, ready_ns=monotonic_ns(), connect_ns=777)
        lab.pool.release(held)
        assert waiting.result(5) is held
    assert asker.spent_ns == [777]
