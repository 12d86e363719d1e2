"""With the server's clock wrong by much or little, the time in the queue is told right."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import pytest

from tests.telemetry.fifteen.processes import SOON_S
from tests.telemetry.fifteen.scenarios import eventually
from tracedrpc.anatomy import Phase
from tracedrpc.semconv import CLOCK_SKEW_MS, phase_ms

if TYPE_CHECKING:
    from tests.telemetry.fifteen.stages import Scene
    from tests.telemetry.otlp_values import SpanData

_numbers = itertools.count()
SKEWS_MS = [5000.0, -5000.0, 40.0, -40.0]
CALLS = 5
TRIES = 4
MOST_MS = 1.0
HELD_S = 0.05
"""How long the queue has no consumer, at the least."""
BEFORE = (Phase.PREPARE, Phase.CONNECT, Phase.ACQUIRE, Phase.PUBLISH)


@dataclass(frozen=True)
class Waited:
    """One call that waited in the queue: what was told, and what is true by the machine's own clock."""

    call: SpanData
    queues: list[SpanData]
    true_ms: float

    @property
    def told_ms(self) -> float:
        """The time in the queue as the CLIENT span tells it."""
        return float(self.call.attributes[phase_ms(Phase.QUEUE)])


@pytest.mark.parametrize("skew_ms", SKEWS_MS)
def test_the_time_in_the_queue_is_right_whatever_the_servers_clock_says(scene: Scene, skew_ms: float) -> None:
    scene.pair.server.do("skew", ms=skew_ms)
    try:
        waited = _told_right(scene)
    finally:
        scene.pair.server.do("skew", ms=0)
    assert _error_ms(waited) < MOST_MS
    assert _lie_ms(waited) < MOST_MS
    for each in waited:
        assert each.call.attributes[CLOCK_SKEW_MS] == pytest.approx(skew_ms, rel=0.1)


def test_two_clocks_that_agree_are_not_told_to_differ(scene: Scene) -> None:
    waited = _told_right(scene)
    assert _error_ms(waited) < MOST_MS
    assert not any(CLOCK_SKEW_MS in each.call.attributes for each in waited)


def _error_ms(waited: list[Waited]) -> float:
    """How wrong the CLIENT spans are about the time in the queue."""
    return median(abs(each.told_ms - each.true_ms) for each in waited)


def _lie_ms(waited: list[Waited]) -> float:
    """How wrong `queue` spans are about it, if there are any."""
    lies = [abs(_length_ms(queue) - each.true_ms) for each in waited for queue in each.queues]
    return median(lies) if lies else 0.0


def _told_right(scene: Scene) -> list[Waited]:
    """Wait in the queue, again if need be: who loses the processor between two stamps is told late."""
    for _ in range(TRIES):
        waited = _waited(scene)
        assert all(each.true_ms > HELD_S * 1e3 for each in waited)
        if max(_error_ms(waited), _lie_ms(waited)) < MOST_MS:
            break
    return waited


def _waited(scene: Scene) -> list[Waited]:
    """Let the client meet the server, then call while it is away until it comes back."""
    scene.serve()
    caller = scene.client()
    assert all(caller.call("echo")["ok"] for _ in range(20))
    scene.unserve()
    keys = [f"{scene.topic}-{next(_numbers)}" for _ in range(CALLS)]
    calling = [caller.ask("hold", {"key": key}, timeout=SOON_S) for key in keys]
    eventually(lambda: scene.queued() == CALLS, "all calls are in the queue")
    time.sleep(HELD_S)
    scene.serve()
    for key in keys:
        scene.pair.server.wait_for(event="entered", key=key)
        scene.pair.server.do("release", key=key)
    waited = [
        _waited_of(scene, key, future.result(SOON_S)) for key, future in zip(keys, calling, strict=True)
    ]
    scene.unserve()
    return waited


def _waited_of(scene: Scene, key: str, outcome: dict[str, Any]) -> Waited:
    """Return what one call told, and the truth: both processes read the same monotonic clock."""
    assert outcome["ok"]
    spans = scene.pair.trace(outcome["trace_id"], SERVER=2)
    (call,) = [span for span in spans if span.kind == "CLIENT" and span.name.endswith("/hold")]
    (served,) = [span for span in spans if span.kind == "SERVER" and span.name.endswith("/hold")]
    queues = [span for span in spans if span.name.startswith("queue ") and span.service == served.service]
    entered_ns = scene.pair.server.wait_for(event="entered", key=key)["at_ns"]
    delivered_ms = entered_ns / 1e6 - served.attributes[phase_ms(Phase.DISPATCH)]
    sent_ms = outcome["began_ns"] / 1e6 + sum(call.attributes.get(phase_ms(phase), 0) for phase in BEFORE)
    return Waited(call, queues, delivered_ms - sent_ms)


def _length_ms(span: SpanData) -> float:
    return (span.end_ns - span.start_ns) / 1e6
