"""The server is on Jaeger's critical path of every call, and little of a slow call stays unexplained."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tests.telemetry.fifteen.processes import SOON_S
from tests.telemetry.fifteen.scenarios import eventually
from tracedrpc_console.analysis.critical import PathSpan, Section, critical_path

if TYPE_CHECKING:
    from tests.telemetry.fifteen.stages import Caller, Pair, Scene
    from tests.telemetry.otlp_values import SpanData

SLOW_US = 20_000
UNEXPLAINED = 0.05
TRIES = 4
HELD_S = 0.2
"""How long the queue has no consumer, at the least."""


def test_the_server_is_on_the_path_of_every_call(scene: Scene) -> None:
    scene.serve()
    caller = scene.client()
    fast = scene.pair.client.do("many", calls=_calls(scene, caller, "echo", {}, 24), threads=2)
    scene.unserve()
    outcomes = [*fast, *_slow(scene)]
    assert len(outcomes) >= 50
    assert all(outcome["ok"] for outcome in outcomes)
    paths = [_path(scene.pair, outcome["trace_id"]) for outcome in outcomes]
    assert not [path for path in paths if not _has_server(path)]


def test_little_of_a_slow_call_stays_unexplained(scene: Scene) -> None:
    for _ in range(TRIES):
        paths = [_path(scene.pair, outcome["trace_id"]) for outcome in _slow(scene)]
        assert all(_call_us(path) >= SLOW_US for path in paths)
        shares = sorted(_unexplained(path) for path in paths)
        nearly_all = shares[int(len(shares) * 0.9)]
        if nearly_all < UNEXPLAINED:
            break
    # Again if need be, and not all: a call that lost the processor between two stamps proves nothing.
    assert nearly_all < UNEXPLAINED, shares


def _slow(scene: Scene) -> list[dict[str, Any]]:
    """Call what is slow: in the handler, in the queue, for want of a worker."""
    return [*_in_the_handler(scene), *_in_the_queue(scene), *_waiting_for_a_worker(scene)]


def _calls(
    scene: Scene, caller: Caller, method: str, args: dict[str, Any], count: int,
) -> list[dict[str, Any]]:
    call = {
        "transport": caller.transport, "topic": scene.topic, "method": method, "args": args,
        "root": "request", "timeout": SOON_S,
    }
    return [call] * count


def _in_the_handler(scene: Scene) -> list[dict[str, Any]]:
    """Call a method that takes a while."""
    scene.serve()
    calls = _calls(scene, scene.client(), "nap", {"ms": 100}, 10)
    outcomes: list[dict[str, Any]] = scene.pair.client.do("many", calls=calls, threads=3)
    scene.unserve()
    return outcomes


def _in_the_queue(scene: Scene) -> list[dict[str, Any]]:
    """Call while the queue has no consumer; the server comes back for all of them."""
    scene.serve()
    caller = scene.client()
    scene.unserve()
    calls = _calls(scene, caller, "echo", {}, 10)
    calling = scene.pair.client.ask("many", calls=calls, threads=len(calls))
    eventually(lambda: scene.queued() == len(calls), "all calls are in the queue")
    time.sleep(HELD_S)
    scene.serve(workers=4)
    outcomes: list[dict[str, Any]] = calling.result(SOON_S)
    scene.unserve()
    return outcomes


def _waiting_for_a_worker(scene: Scene) -> list[dict[str, Any]]:
    """Call a server whose only worker is slow, from more threads than one."""
    scene.serve(workers=1)
    calls = _calls(scene, scene.client(), "nap", {"ms": 80}, 10)
    outcomes: list[dict[str, Any]] = scene.pair.client.do("many", calls=calls, threads=3)
    scene.unserve()
    return outcomes


def _path(pair: Pair, trace_id: str) -> list[Section]:
    spans = pair.trace(trace_id, SERVER=2)
    return critical_path([_path_span(span) for span in spans])


def _path_span(span: SpanData) -> PathSpan:
    name = f"{span.service} {span.name}"
    return PathSpan(span.span_id, span.parent_id, name, span.kind, span.start_ns // 1000, span.end_ns // 1000)


def _has_server(path: list[Section]) -> bool:
    return any(section.span.kind == "SERVER" and "server-" in section.span.name for section in path)


def _is_call(section: Section) -> bool:
    return section.span.kind == "CLIENT" and "/" in section.span.name


def _call_us(path: list[Section]) -> int:
    return next(section.span.end_us - section.span.start_us for section in path if _is_call(section))


def _unexplained(path: list[Section]) -> float:
    """Return the share of a call that none of its children took."""
    own_us = sum(section.end_us - section.start_us for section in path if _is_call(section))
    return own_us / _call_us(path)
