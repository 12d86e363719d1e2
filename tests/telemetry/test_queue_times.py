"""How long requests waited in their queues, whatever the clocks say."""

from __future__ import annotations

import dataclasses
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.telemetry.support import MS, Asked, incoming
from tracedrpc.clocks import Quality
from tracedrpc.message import DeadLetter, Mode
from tracedrpc_otel.queue_times import MOST_SENDERS, QueueTime, QueueTimes

WAY_MS = 0.4
"""What the way takes when nothing waits."""


class Bench:
    """A server with workers, and time that passes as it is told."""

    def __init__(self, workers: int = 1) -> None:
        self.now_ns = 10**15
        self.times = QueueTimes(lambda: self.now_ns)
        self.times.serve(workers)
        self.skew_ms = 0.0

    def rest(self, ms: float) -> None:
        self.now_ns += int(ms * MS)

    def take(
        self, waited_ms: float, sender: str | None = "reply_1", mode: Mode = Mode.CALL, **fields: Any,
    ) -> QueueTime | None:
        """Take a request up that waited so long; its sender's clock is `skew_ms` behind ours."""
        return self.times.begin(self.request(waited_ms, sender, mode, **fields))

    def request(self, waited_ms: float, sender: str | None, mode: Mode, **fields: Any) -> Asked:
        asked = incoming(mode=mode, reply_queue=sender, **fields)
        line = asked.timeline
        line.delivered_ns = self.now_ns
        line.delivered_wall_ns = 10**18 + self.now_ns
        sent_ns = line.delivered_wall_ns - int((waited_ms + self.skew_ms) * MS)
        asked.received = dataclasses.replace(asked.received, sent_ns=sent_ns)
        return asked

    def work(self, ms: float) -> None:
        """Finish a request so much later."""
        self.rest(ms)
        self.times.end()

    def run(self, waited_ms: float, work_ms: float = 1.0, **how: Any) -> QueueTime | None:
        found = self.take(waited_ms, **how)
        self.work(work_ms)
        return found


def _ms(found: QueueTime | None) -> float:
    assert found is not None
    return found.ns / MS


def test_clocks_that_agree_are_believed() -> None:
    bench = Bench()
    for waited_ms in (WAY_MS, 18, 3000):
        bench.rest(100)
        assert bench.run(waited_ms) == QueueTime(int(waited_ms * MS), Quality.SENDER_CLOCK)


@pytest.mark.parametrize("skew_ms", [5000, 40, -40, -5000])
def test_a_clock_that_is_wrong_invents_no_queue_time(skew_ms: float) -> None:
    bench = Bench()
    bench.skew_ms = skew_ms
    bench.rest(100)
    first = bench.run(WAY_MS)
    assert first is not None
    assert first.quality is Quality.ESTIMATED
    assert _ms(first) < 1
    for waited_ms in (18, 700, WAY_MS):
        assert abs(_ms(bench.run(waited_ms)) - waited_ms) < 1


def test_a_queue_that_is_never_empty_is_not_taken_for_a_wrong_clock() -> None:
    bench = Bench()
    bench.times.listen()
    for _ in range(200):
        found = bench.run(waited_ms=1500, work_ms=100)
        assert found == QueueTime(1500 * MS, Quality.SENDER_CLOCK)


def test_what_waited_for_the_server_to_start_did_wait() -> None:
    bench = Bench()
    bench.rest(60_000)
    bench.times.listen()
    bench.rest(2)
    assert _ms(bench.run(30_000)) == 30_000


def test_a_busy_server_with_a_free_worker_learns_too() -> None:
    bench = Bench(workers=4)
    bench.skew_ms = 5000
    bench.rest(100)
    bench.take(WAY_MS)
    bench.rest(30)
    for _ in range(5):
        assert _ms(bench.run(WAY_MS, sender="reply_2")) < 1


def test_a_queue_that_is_emptied_quickly_teaches_nothing() -> None:
    bench = Bench(workers=64)
    bench.times.listen()
    for gone_ms in range(1000):
        bench.rest(1)
        assert _ms(bench.run(30_000 + gone_ms, work_ms=0.5)) == 30_000 + gone_ms


def test_what_all_workers_were_busy_for_teaches_nothing() -> None:
    bench = Bench(workers=2)
    bench.skew_ms = 5000
    bench.rest(100)
    bench.take(WAY_MS)
    bench.take(WAY_MS)
    bench.rest(100)
    found = bench.take(300, sender="reply_2")
    assert found == QueueTime(5300 * MS, Quality.SENDER_CLOCK)


def test_a_clock_that_is_set_is_noticed_by_the_second_request() -> None:
    bench = Bench()
    for _ in range(20):
        bench.rest(100)
        bench.run(WAY_MS)
    bench.skew_ms = 5000
    bench.rest(100)
    bench.run(WAY_MS)
    bench.rest(100)
    assert _ms(bench.run(WAY_MS)) < 1


def test_one_stall_is_no_wrong_clock() -> None:
    bench = Bench()
    for _ in range(4):
        bench.rest(100)
        bench.run(WAY_MS)
    bench.rest(100)
    assert _ms(bench.run(2000)) == 2000  # the process stood still
    bench.rest(100)
    assert _ms(bench.run(WAY_MS)) == WAY_MS


def test_a_busy_machine_does_not_make_clocks_look_wrong() -> None:
    bench, chance = Bench(), random.Random(7)
    for _ in range(500):
        bench.rest(100)
        way_ms = chance.uniform(0.3, 8)
        found = bench.run(way_ms)
        assert abs(_ms(found) - way_ms) < 5


def test_what_no_broker_would_deliver_is_refused() -> None:
    bench = Bench()
    assert bench.run(61_000, timeout_s=60.0) is None
    assert _ms(bench.run(61_000, timeout_s=60.0, mode=Mode.CAST, sender=None)) == 61_000
    assert bench.run(-1, sender=None, mode=Mode.CAST) is None


def test_letters_that_were_dead_or_delivered_before_teach_nothing() -> None:
    bench = Bench()
    bench.rest(100)
    assert _ms(bench.run(5000, dead_letter=DeadLetter("expired", "source", 1))) == 5000
    bench.rest(100)
    again = bench.request(5000, "reply_1", Mode.CALL)
    again.redelivered = True
    assert _ms(bench.times.begin(again)) == 5000
    assert not bench.times._floors


def test_the_memory_driver_has_one_clock() -> None:
    bench = Bench()
    bench.rest(100)
    asked = bench.request(3000, "reply_1", Mode.CALL)
    asked.system = "memory"
    assert bench.times.begin(asked) == QueueTime(3000 * MS, Quality.SENDER_CLOCK)
    assert not bench.times._floors


def test_a_sender_that_does_not_say_when_is_not_guessed_about() -> None:
    assert QueueTimes().begin(incoming()) is None


def test_senders_are_bounded() -> None:
    bench = Bench()
    bench.skew_ms = 5000
    for number in range(MOST_SENDERS + 100):
        bench.rest(100)
        bench.run(WAY_MS, sender=f"reply_{number}")
    assert len(bench.times._floors) == MOST_SENDERS
    assert _ms(bench.run(WAY_MS, sender=f"reply_{MOST_SENDERS + 99}")) < 1


@settings(max_examples=50)
@given(st.lists(st.tuples(
    st.integers(-(10**19), 10**19), st.integers(0, 100), st.sampled_from(["reply_1", "reply_2", None]),
    st.sampled_from([None, 0.0, 1.0, 60.0]),
), max_size=40))
def test_whatever_peers_say_a_wait_is_never_negative_nor_longer_than_allowed(told: Any) -> None:
    bench = Bench(workers=2)
    for skew_ns, rest_ms, sender, timeout_s in told:
        bench.rest(rest_ms)
        bench.skew_ms = skew_ns / MS
        found = bench.take(0, sender=sender, timeout_s=timeout_s)
        assert found is None or found.ns >= 0
        if found is not None and timeout_s is not None:
            assert found.ns <= timeout_s * 1e9
        if rest_ms % 2:
            bench.work(1)
    assert bench.times._busy <= len(told)
