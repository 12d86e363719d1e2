"""The whole engine under many seeded schedules: threads, network and broker in every order.

`TRACEDRPC_SCHEDULES` says how many; each part runs its share. A failure prints its steps and seed.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.simulated.engine import simulated
from tests.simulated.machine import Troubles
from tests.simulated.stage import PATIENT_S, TOPIC, Stage
from tracedrpc.drivers.rabbit.consumer import CHECK_S

SCHEDULES = int(os.environ.get("TRACEDRPC_SCHEDULES", "2000"))
PARTS = 8


@pytest.fixture
def world_of_its_own():
    with simulated():
        yield


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_happens_nothing_is_lost_doubled_late_or_left(part, world_of_its_own):
    class Part(Troubles):
        """Its name is its own, so hypothesis begins elsewhere for each part."""

    Part.__qualname__ = f"Troubles{part}"
    run_state_machine_as_test(Part, settings=settings(
        max_examples=max(1, SCHEDULES // PARTS), stateful_step_count=12, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    ))


def history(seed: int) -> list:
    stage = Stage(seed, eagerness=0.3)
    try:
        stage.start_server()
        stage.world.run(0.1)
        stage.weather.cut, stage.weather.delay_s = 0.02, 0.01
        for _ in range(10):
            stage.call(10.0, 0.02)
            stage.cast(2.0)
        stage.world.run(3.0)
        stage.settle()
    finally:
        stage.end()
    return stage.world.history


def test_the_same_seed_gives_the_same_history(world_of_its_own):
    assert history(1) == history(1)


def test_another_seed_gives_another_history(world_of_its_own):
    assert history(1) != history(2)


def cut_again_and_again(seed: int) -> None:
    stage = Stage(seed, eagerness=0.1)
    try:
        stage.start_server()
        stage.world.run(0.1)
        stage.weather.cut = 0.05
        for _ in range(10):
            stage.call(PATIENT_S, 0.02)
        stage.world.run(3.0)
        stage.settle()
    finally:
        stage.end()


def test_patient_calls_get_their_answers_though_connections_break_again_and_again(world_of_its_own):
    for seed in range(20):
        cut_again_and_again(seed)


def test_messages_that_went_down_with_a_connection_would_be_missed(world_of_its_own, monkeypatch):
    from tracedrpc.drivers.rabbit.courier import Courier

    monkeypatch.setattr(Courier, "_lost", lambda self, shipment: None)
    with pytest.raises(AssertionError, match="Timed out"):
        for seed in range(20):
            cut_again_and_again(seed)


def test_a_server_that_forgets_ids_is_found_out(world_of_its_own, monkeypatch):
    from tracedrpc.wire.dedup import Seen

    monkeypatch.setattr(Seen, "add", lambda self, unique_id: True)
    with pytest.raises(AssertionError, match="was executed 2 times"):
        delivered_twice()


def test_a_message_delivered_twice_is_executed_once(world_of_its_own):
    delivered_twice()


def delivered_twice() -> None:
    stage = Stage(3, eagerness=0.1)
    try:
        stage.cast(30.0)
        stage.world.run(1.0)
        stage.start_server()
        stage.broker.twice_from_now = True
        stage.world.run(5.0)
        stage.settle()
    finally:
        stage.end()


def test_a_fanout_reaches_its_servers_soon_after_its_exchange_was_deleted(world_of_its_own):
    stage = Stage(5, eagerness=0.1)
    try:
        stage.start_server()
        stage.start_server()
        stage.world.run(1.0)
        del stage.broker.exchanges[f"{TOPIC}_fanout"]
        stage.world.run(CHECK_S + 1)
        stage.cast(5.0, fanout=True)
        stage.world.run(1.0)
        assert set(stage.executed) == {("server-1", 1), ("server-2", 1)}
        stage.settle()
    finally:
        stage.end()
