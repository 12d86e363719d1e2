"""The pool: operations in, moments out. No broker, and no waiting but for events."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest

from tests.unit.rabbit_fakes import Clock, FakeLink
from tracedrpc._deadline import Deadline
from tracedrpc.drivers.rabbit.errors import (
    AcquireTimeout,
    ConnectFailed,
    ConnectionClosed,
    Reason,
    connect_failed,
)
from tracedrpc.drivers.rabbit.pool import ConnectionPool
from tracedrpc.testing import RecordingTelemetry

SOON_S = 5.0


class Lab:
    """A pool, the connections it opened, and what it told."""

    def __init__(self, max_size=2, min_size=0, ttl_s=60.0, open_=None):
        self.telemetry = RecordingTelemetry()
        self.clock = Clock()
        self.opened = []
        self.pool = ConnectionPool(
            open_ or self.open, self.telemetry,
            max_size=max_size, min_size=min_size, ttl_s=ttl_s, clock=self.clock,
        )

    def open(self, deadline):
        link = FakeLink(clock=self.clock)
        self.opened.append(link)
        return link

    def acquire(self, timeout_s=SOON_S):
        return self.pool.acquire(Deadline.after(timeout_s))

    def results(self):
        return [moment.fields["result"] for moment in self.telemetry.of("connection_acquired")]

    def reasons(self):
        return [moment.fields["reason"] for moment in self.telemetry.of("connection_closed")]


@pytest.fixture
def lab():
    return Lab()


def wait_until(is_so, timeout_s=SOON_S):
    """Wait for what no event announces: another thread has begun to wait."""
    give_up = monotonic() + timeout_s
    while not is_so():
        assert monotonic() < give_up
        threading.Event().wait(0.001)


# ---- borrowing -----------------------------------------------------------------------------------


def test_no_connection_is_opened_before_one_is_asked_for(lab):
    assert not lab.opened
    assert lab.telemetry.names() == ["pool_opened"]


def test_the_first_borrower_gets_a_new_connection(lab):
    assert lab.acquire() is lab.opened[0]
    assert lab.results() == ["created"]


def test_a_connection_given_back_is_used_again(lab):
    first = lab.acquire()
    lab.pool.release(first)
    assert lab.acquire() is first
    assert lab.results() == ["created", "hit"]


def test_the_last_connection_in_is_the_first_out(lab):
    first, second = lab.acquire(), lab.acquire()
    lab.pool.release(first)
    lab.pool.release(second)
    assert lab.acquire() is second
    assert lab.acquire() is first


def test_one_who_waits_gets_the_connection_that_comes_back():
    lab = Lab(max_size=1)
    held = lab.acquire()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(lab.acquire)
        wait_until(lambda: lab.pool.stats().waiters)
        lab.pool.release(held)
        assert waiting.result(SOON_S) is held
    assert lab.results() == ["created", "waited"]
    assert lab.telemetry.of("connection_acquired")[1].fields["waited_ns"] > 0


def test_a_wait_ends_at_the_callers_deadline():
    lab = Lab(max_size=1)
    lab.acquire()
    began_s = monotonic()
    with pytest.raises(AcquireTimeout, match="all 1 are in use"):
        lab.acquire(timeout_s=0.1)
    assert 0.09 < monotonic() - began_s < 0.3
    (failed,) = lab.telemetry.of("acquire_failed")
    assert failed.fields["reason"] == "timeout"
    assert lab.pool.stats().waiters == 0


def test_an_expired_deadline_still_gets_an_idle_connection(lab):
    lab.pool.release(lab.acquire())
    lab.acquire(timeout_s=0)
    assert lab.results()[-1] == "hit"


def test_a_short_wait_comes_before_a_further_connection(lab):
    held = lab.acquire()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(lab.acquire)
        wait_until(lambda: lab.pool.stats().waiters)
        lab.pool.release(held)
        assert waiting.result(SOON_S) is held
    assert len(lab.opened) == 1


def test_who_waits_in_vain_for_a_while_gets_a_further_connection(lab):
    assert lab.acquire() is not lab.acquire()
    assert lab.results() == ["created", "created"]


def test_fifty_threads_never_hold_more_connections_than_allowed():
    lab = Lab(max_size=4)
    lock = threading.Lock()
    held, most = set(), []

    def borrow():
        for _ in range(40):
            link = lab.acquire()
            with lock:
                assert link not in held
                held.add(link)
                most.append(len(held))
            with lock:
                held.discard(link)
            lab.pool.release(link)

    with ThreadPoolExecutor(50) as threads:
        for future in [threads.submit(borrow) for _ in range(50)]:
            future.result(30)
    assert max(most) <= 4
    assert len(lab.opened) <= 4
    stats = lab.pool.stats()
    assert (stats.idle, stats.in_use, stats.waiters) == (len(lab.opened), 0, 0)
    assert len(lab.results()) == 50 * 40


def test_fifty_threads_that_break_connections_never_hold_more_than_allowed():
    lab = Lab(max_size=3)

    def borrow(number):
        for turn in range(10):
            link = lab.acquire(30)
            if (number + turn) % 3:
                lab.pool.release(link)
            else:
                lab.pool.discard(link, "error")

    with ThreadPoolExecutor(50) as threads:
        for future in [threads.submit(borrow, number) for number in range(50)]:
            future.result(60)
    stats = lab.pool.stats()
    assert stats.in_use == 0
    assert stats.idle <= 3
    assert stats.created - stats.closed == stats.idle
    assert stats.created == len(lab.opened)


# ---- I/O outside the lock ------------------------------------------------------------------------


def test_a_connect_that_hangs_hinders_nobody_else():
    begun, goes_on = threading.Event(), threading.Event()
    lab = Lab(max_size=2)
    first = lab.acquire()

    def slow(deadline):
        begun.set()
        assert goes_on.wait(SOON_S)
        return lab.open(deadline)

    lab.pool._open = slow
    with ThreadPoolExecutor(1) as threads:
        second = threads.submit(lab.acquire)
        assert begun.wait(SOON_S)
        lab.pool.release(first)
        assert lab.acquire(timeout_s=0) is first
        lab.pool.release(first)
        goes_on.set()
        assert second.result(SOON_S) is lab.opened[1]


def test_a_close_that_hangs_hinders_nobody_else():
    begun, goes_on = threading.Event(), threading.Event()
    lab = Lab(max_size=2)
    first, second = lab.acquire(), lab.acquire()
    lab.pool.release(first)

    def slow_close():
        begun.set()
        assert goes_on.wait(SOON_S)

    second.close = slow_close
    with ThreadPoolExecutor(1) as threads:
        closing = threads.submit(lab.pool.discard, second, "idle")
        assert begun.wait(SOON_S)
        assert lab.acquire(timeout_s=0) is first
        goes_on.set()
        closing.result(SOON_S)


def test_the_opener_is_told_the_callers_deadline():
    deadlines = []
    lab = Lab()
    lab.pool._open = lambda deadline: deadlines.append(deadline) or FakeLink()
    deadline = Deadline.after(7)
    lab.pool.acquire(deadline)
    assert deadlines == [deadline]


def test_a_failed_connect_gives_its_slot_back():
    lab = Lab(max_size=1)

    def refuse(deadline):
        raise connect_failed(Reason.REFUSED, "broker:5672")

    lab.pool._open = refuse
    for _ in range(3):
        with pytest.raises(ConnectFailed, match="nothing listens there"):
            lab.acquire()
    lab.pool._open = lab.open
    assert lab.acquire() is lab.opened[0]
    assert lab.pool.stats().in_use == 1


def test_a_failed_connect_wakes_one_who_waits():
    begun, goes_on = threading.Event(), threading.Event()
    lab = Lab(max_size=1)

    def refuse(deadline):
        begun.set()
        assert goes_on.wait(SOON_S)
        lab.pool._open = lab.open
        raise connect_failed(Reason.REFUSED, "broker:5672")

    lab.pool._open = refuse
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(lab.acquire)
        assert begun.wait(SOON_S)
        second = threads.submit(lab.acquire)
        wait_until(lambda: lab.pool.stats().waiters)
        goes_on.set()
        with pytest.raises(ConnectFailed):
            first.result(SOON_S)
        assert second.result(SOON_S) is lab.opened[0]


# ---- giving up -----------------------------------------------------------------------------------


def test_a_discarded_connection_frees_its_slot():
    lab = Lab(max_size=1)
    broken = lab.acquire()
    lab.pool.discard(broken, "error")
    assert lab.acquire() is not broken


def test_one_who_waits_gets_the_slot_of_a_discarded_connection():
    lab = Lab(max_size=1)
    broken = lab.acquire()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(lab.acquire)
        wait_until(lambda: lab.pool.stats().waiters)
        lab.pool.discard(broken, "error")
        assert waiting.result(SOON_S) is lab.opened[1]


@pytest.mark.parametrize(("reason", "how"), [
    ("error", "abandon"), ("stale", "abandon"), ("idle", "close"), ("pool_closed", "close"),
])
def test_a_connection_is_closed_politely_unless_it_is_broken(lab, reason, how):
    link = lab.acquire()
    lab.pool.discard(link, reason)
    assert link.done == [how]
    assert lab.reasons() == [reason]


# ---- keeping -------------------------------------------------------------------------------------


def test_a_connection_expires_when_it_was_idle_for_its_time_to_live():
    lab = Lab(ttl_s=10)
    link = lab.acquire()
    lab.clock.now_s += 9.9
    assert not lab.pool.is_expired(link)
    lab.clock.now_s += 0.1
    assert lab.pool.is_expired(link)


def test_the_last_few_connections_never_expire():
    lab = Lab(ttl_s=10, min_size=1)
    first, second = lab.acquire(), lab.acquire()
    lab.clock.now_s += 100
    assert lab.pool.is_expired(first)
    lab.pool.discard(first, "idle")
    assert not lab.pool.is_expired(second)


def test_the_coldest_connection_is_looked_after_first(lab):
    first, second = lab.acquire(), lab.acquire()
    lab.pool.release(second)
    lab.pool.release(first)
    assert lab.pool.take_idle(0) is second
    lab.pool.put_idle(second, 0)
    assert lab.pool.take_idle(1) is first
    assert lab.pool.take_idle(1) is None


def test_a_connection_that_was_looked_after_keeps_its_place(lab):
    first, second = lab.acquire(), lab.acquire()
    lab.pool.release(first)
    lab.pool.release(second)
    lab.pool.put_idle(lab.pool.take_idle(0), 0)
    assert lab.acquire() is second


def test_one_who_waits_gets_a_connection_that_was_looked_after():
    lab = Lab(max_size=1)
    lab.pool.release(lab.acquire())
    kept = lab.pool.take_idle(0)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(lab.acquire)
        wait_until(lambda: lab.pool.stats().waiters)
        lab.pool.put_idle(kept, 0)
        assert waiting.result(SOON_S) is kept


# ---- the end -------------------------------------------------------------------------------------


def test_closing_ends_idle_connections_and_refuses_borrowers(lab):
    idle = lab.acquire()
    lab.pool.release(idle)
    lab.pool.close()
    assert idle.done == ["close"]
    with pytest.raises(ConnectionClosed):
        lab.acquire()
    assert lab.telemetry.names()[-3:] == ["pool_closed", "acquire_started", "acquire_failed"]


def test_closing_twice_is_closing_once(lab):
    lab.pool.close()
    lab.pool.close()
    assert lab.telemetry.names().count("pool_closed") == 1


def test_a_borrowed_connection_ends_when_it_comes_back_to_a_closed_pool(lab):
    link = lab.acquire()
    lab.pool.close()
    assert link.done == []
    lab.pool.release(link)
    assert link.done == ["close"]
    assert lab.reasons() == ["pool_closed"]


def test_a_connection_that_was_looked_after_ends_when_the_pool_is_closed(lab):
    lab.pool.release(lab.acquire())
    kept = lab.pool.take_idle(0)
    lab.pool.close()
    lab.pool.put_idle(kept, 0)
    assert kept.done == ["close"]


def test_closing_ends_the_wait_of_those_who_wait():
    lab = Lab(max_size=1)
    lab.acquire()
    with ThreadPoolExecutor(5) as threads:
        waiting = [threads.submit(lab.acquire, 60) for _ in range(5)]
        wait_until(lambda: lab.pool.stats().waiters == 5)
        lab.pool.close()
        for future in waiting:
            with pytest.raises(ConnectionClosed):
                future.result(SOON_S)
    assert [moment.fields["reason"] for moment in lab.telemetry.of("acquire_failed")] == ["closed"] * 5


def test_a_connection_opened_while_the_pool_closes_is_closed_again():
    begun, goes_on = threading.Event(), threading.Event()
    lab = Lab()

    def slow(deadline):
        begun.set()
        assert goes_on.wait(SOON_S)
        return lab.open(deadline)

    lab.pool._open = slow
    with ThreadPoolExecutor(1) as threads:
        late = threads.submit(lab.acquire)
        assert begun.wait(SOON_S)
        lab.pool.close()
        goes_on.set()
        with pytest.raises(ConnectionClosed):
            late.result(SOON_S)
    assert lab.opened[0].done == ["close"]
    assert lab.pool.stats().in_use == 0


def test_a_child_process_starts_with_an_empty_pool_and_sends_nothing(lab):
    idle, used = lab.acquire(), lab.acquire()
    lab.pool.release(idle)
    lab.pool.forget()
    assert idle.done == ["forget"]
    assert used.done == []
    stats = lab.pool.stats()
    assert (stats.idle, stats.in_use, stats.waiters) == (0, 0, 0)
    assert lab.acquire() is lab.opened[2]


def test_a_child_process_can_use_a_pool_whose_lock_the_parent_held(lab):
    lab.pool._changed.acquire()
    lab.pool.forget()
    lab.acquire(timeout_s=1)


def test_stats_count_what_there_is(lab):
    idle, _ = lab.acquire(), lab.acquire()
    lab.pool.release(idle)
    stats = lab.pool.stats()
    assert (stats.idle, stats.in_use, stats.max_size, stats.created, stats.closed) == (1, 1, 2, 2, 0)
    assert "1 idle, 1 in use, at most 2" in repr(lab.pool)
