"""The keeper: confirms, heartbeats and expiry of idle connections, on its own thread."""

from __future__ import annotations

import threading

import pytest

from tests.unit.rabbit_fakes import Clock, FakeLink, shipment
from tracedrpc._deadline import Deadline
from tracedrpc.drivers.rabbit.keeper import Keeper
from tracedrpc.drivers.rabbit.outgoing import Outcome
from tracedrpc.drivers.rabbit.pool import ConnectionPool
from tracedrpc.options import Options
from tracedrpc.testing import RecordingTelemetry


class Lab:
    def __init__(self, *, min_size=0, ttl_s=60.0, rate=3):
        self.telemetry = RecordingTelemetry()
        self.clock = Clock()
        self.settled = []
        self.links = []
        self.pool = ConnectionPool(
            self.open, self.telemetry, max_size=4, min_size=min_size, ttl_s=ttl_s, clock=self.clock,
        )
        options = Options(conn_pool_ttl=ttl_s, conn_pool_min_size=min_size, heartbeat_rate=rate)
        self.keeper = Keeper(self.pool, options, self.telemetry)

    def open(self, deadline):
        link = FakeLink(lambda message, outcome: self.settled.append(outcome), self.clock)
        self.links.append(link)
        return link

    def idle(self, count=1, *, unsettled=False):
        """Put new idle connections into the pool, perhaps with a confirm missing."""
        links = [self.open(None) for _ in range(count)]
        self.pool._size += count
        for link in links:
            if unsettled:
                link.publish(shipment(), 1.0)
            self.pool.release(link)
        return links

    def look(self):
        return self.keeper._look_after_all()


@pytest.fixture
def lab():
    lab = Lab()
    yield lab
    lab.keeper.close()


def test_no_thread_is_started_before_there_is_something_to_look_after(lab):
    assert not [each for each in threading.enumerate() if each.name == "tracedrpc-keeper"]


def test_a_missing_confirm_is_read_on_the_keepers_thread(lab):
    (link,) = lab.idle(unsettled=True)
    lab.keeper.watch()
    link.wait_for("read")
    assert [each for each in threading.enumerate() if each.name == "tracedrpc-keeper"]
    lab.keeper.close()
    assert lab.settled == [Outcome.CONFIRMED]


def test_it_looks_again_while_a_confirm_is_missing(lab):
    (link,) = lab.idle(unsettled=True)
    link.answers = [None, None]
    assert lab.look()
    assert lab.look()
    assert not lab.look()
    assert lab.settled == [Outcome.CONFIRMED]


def test_a_connection_that_is_fine_stays_in_its_place(lab):
    cold, warm = lab.idle(2)
    lab.look()
    assert lab.pool.acquire(Deadline.after(0)) is warm
    assert lab.pool.acquire(Deadline.after(0)) is cold


def test_a_connection_that_died_while_idle_is_given_up_and_told(lab):
    dead, fine = lab.idle(2)
    dead.breaks["read"] = ConnectionResetError()
    lab.look()
    assert dead.done[-1] == "abandon"
    assert fine.done[-1] != "abandon"
    assert lab.telemetry.of("connection_lost")[0].fields["reason"] == "reset"
    assert lab.telemetry.of("connection_closed")[0].fields["reason"] == "stale"
    assert lab.pool.stats().idle == 1


def test_what_was_unconfirmed_on_a_dead_connection_is_lost_and_said_so(lab):
    (dead,) = lab.idle(unsettled=True)
    dead.breaks["read"] = ConnectionResetError()
    lab.look()
    assert lab.settled == [Outcome.LOST]


def test_an_idle_connection_expires_without_anybody_asking_for_one(lab):
    (link,) = lab.idle()
    lab.clock.now_s += 61
    lab.look()
    assert link.done == ["close"]
    (expired,) = lab.telemetry.of("connection_expired")
    assert expired.fields["idle_s"] == pytest.approx(61)
    assert lab.telemetry.of("connection_closed")[0].fields["reason"] == "idle"
    assert lab.pool.stats().idle == 0


def test_the_coldest_connections_expire_and_the_least_number_stays():
    lab = Lab(min_size=1)
    cold, warm = lab.idle(2)
    lab.clock.now_s += 61
    lab.look()
    assert cold.done == ["close"]
    assert "close" not in warm.done


def test_a_connection_with_a_confirm_missing_does_not_expire(lab):
    (link,) = lab.idle(unsettled=True)
    link.answers = [None]
    lab.clock.now_s += 61
    lab.look()
    assert "close" not in link.done


def test_a_heartbeat_is_sent_on_each_idle_connection_once_in_a_while(lab):
    links = lab.idle(2)
    lab.look()
    lab.look()
    assert [link.done.count("heartbeat") for link in links] == [1, 1]
    lab.keeper._heartbeat_due_s = 0.0
    lab.look()
    assert [link.done.count("heartbeat") for link in links] == [2, 2]


def test_a_broker_that_has_been_silent_too_long_is_a_lost_connection(lab):
    from amqp.exceptions import ConnectionForced

    (link,) = lab.idle()
    link.breaks["heartbeat"] = ConnectionForced("Too many heartbeats missed")
    lab.look()
    assert lab.telemetry.of("connection_lost")[0].fields["reason"] == "heartbeat"


def test_a_borrowed_connection_is_left_alone(lab):
    (link,) = lab.idle()
    lab.pool.acquire(Deadline.after(0))
    lab.look()
    assert link.done == []


def test_the_thread_outlives_what_it_should_not_have_met(lab):
    (odd,) = lab.idle(unsettled=True)
    odd.breaks["read"] = KeyError("a fault of ours")
    lab.keeper.watch()
    (failed,) = lab.telemetry.wait_for("background_failed")
    assert failed.fields["where"] == "keeper"
    (link,) = lab.idle(unsettled=True)
    lab.keeper._is_busy = False
    lab.keeper.watch()
    link.wait_for("read")


def test_a_fault_of_ours_does_not_lose_a_slot_of_the_pool(lab):
    (odd,) = lab.idle(unsettled=True)
    odd.breaks["read"] = KeyError("a fault of ours")
    with pytest.raises(KeyError):
        lab.look()
    assert lab.pool.stats().in_use == 0


def test_closing_ends_the_thread(lab):
    lab.idle(unsettled=True)
    lab.keeper.watch()
    lab.keeper.close()
    assert not lab.keeper._thread.is_alive()


def test_a_closed_keeper_starts_no_thread(lab):
    lab.keeper.close()
    lab.keeper.watch()
    assert lab.keeper._thread is None
