"""However a call ends, its spans end, and nothing of it stays in any table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.telemetry.fifteen.processes import SOON_S
from tests.telemetry.fifteen.scenarios import SHORT_S, eventually
from tests.telemetry.fifteen.stages import Pair, Scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.telemetry.otlp_receiver import OtlpReceiver
    from tracedrpc_console.broker import Broker

EMPTY = {"waiting": 0, "in_use": 0, "pool_waiters": 0}
GAUGES = ("tracedrpc.client.in_flight", "tracedrpc.server.active_requests")


@pytest.fixture(scope="module")
def counted(otlp: OtlpReceiver, rabbit_url: str) -> Iterator[Pair]:
    """Give a pair that counts its spans from the first to the last."""
    pair = Pair.start(otlp, "counted", TRACEDRPC_TRACING="full").ready()
    try:
        for agent in (pair.client, pair.server):
            agent.do("keep_ledger")
        yield pair
    finally:
        pair.close()


@pytest.fixture
def stage(counted: Pair, rabbit_url: str) -> Iterator[Scene]:
    """Give a scene of theirs, and look afterwards whether anything was lost."""
    with Scene(counted, rabbit_url) as scene:
        yield scene
        scene.release_all()
        _all_ended(counted)


def _all_ended(pair: Pair) -> None:
    for agent in (pair.client, pair.server):
        eventually(lambda agent=agent: not agent.do("open_spans")["open"], "every span has ended")
        assert agent.do("open_spans")["started"]
        counts = agent.do("counts")
        assert counts["dropped"] == 0
        assert not [said for said in agent.said if "left_current" in said]
        assert not [said for said in agent.lines() if "detach" in said["log"].lower()]
    pair.flush()
    for name in GAUGES:
        assert not [point for point in pair.otlp.latest(name) if point.value and "counted" in point.service]


def _nothing_in_flight(caller: Any) -> None:
    eventually(lambda: caller.state().items() >= EMPTY.items(), "nothing is in flight")


@pytest.mark.parametrize("method", ["echo", "fail", "miss", "missing", "leave"])
def test_every_span_ends_whatever_the_handler_does(stage: Scene, method: str) -> None:
    stage.serve()
    caller = stage.client()
    outcome = caller.call(method)
    assert outcome["ok"] is (method == "echo")
    assert caller.call("echo")["ok"]
    _nothing_in_flight(caller)


def test_every_span_ends_when_the_handler_exits_without_a_caller(stage: Scene) -> None:
    stage.serve()
    caller = stage.client()
    for method in ("leave", "fail"):
        assert caller.cast(method)["ok"]
    assert caller.call("echo")["ok"]
    _nothing_in_flight(caller)


def test_every_span_ends_when_calls_time_out(stage: Scene) -> None:
    stage.serve()
    caller = stage.client()
    holding = [stage.hold(caller, timeout=SHORT_S) for _ in range(3)]
    assert not any(future.result(SOON_S)["ok"] for future in holding)
    assert not caller.call("echo", topic=f"{stage.topic}-nobody", timeout=SHORT_S)["ok"]
    _nothing_in_flight(caller)


def test_every_span_ends_when_the_caller_is_interrupted(stage: Scene) -> None:
    stage.serve()
    caller = stage.client()
    holding = stage.hold(caller, timeout=SOON_S, here=True)
    stage.pair.client.interrupt()
    assert holding.result(SOON_S) == {"interrupted": True}
    _nothing_in_flight(caller)
    assert caller.call("echo")["ok"]


def test_every_span_ends_when_the_transport_is_closed_under_calls(stage: Scene) -> None:
    stage.serve()
    caller = stage.client()
    holding = [stage.hold(caller, timeout=SOON_S) for _ in range(3)]
    stage.pair.client.do("disconnect", name=caller.transport)
    assert {future.result(SOON_S)["error"] for future in holding} == {"MessagingException"}


def test_every_span_ends_when_the_broker_is_killed_under_load(counted: Pair, mortal: Broker) -> None:
    with Scene(counted, mortal.url) as stage:
        stage.serve()
        caller = stage.client()
        holding = [stage.hold(caller, timeout=2 * SHORT_S) for _ in range(3)]
        mortal.kill9()
        doomed = [caller.ask("echo", timeout=2 * SHORT_S) for _ in range(3)]
        doomed += [caller.ask("note", {"key": "x"}, verb="cast", timeout=SHORT_S)]
        assert not any(future.result(SOON_S)["ok"] for future in [*holding, *doomed])
        _nothing_in_flight(caller)
        stage.release_all()
        _all_ended(counted)
