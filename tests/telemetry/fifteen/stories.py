"""Plays scenarios, each once a session and at all details at the same time, and keeps what they told."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.telemetry.fifteen.scenarios import SCENARIOS
from tests.telemetry.fifteen.stages import Pair, Scene

if TYPE_CHECKING:
    from tests.telemetry.otlp_values import SpanData

TIMEOUTS = "tracedrpc.client.timeouts"
TIMEOUT_PHASE = "tracedrpc.timeout.phase"


@dataclass(frozen=True)
class Story:
    """What a scenario told: the caller, its trace, its log lines, and the time-outs it counted."""

    scene: Scene
    outcome: dict[str, Any]
    trace: list[SpanData]
    lines: list[dict[str, Any]]
    timeouts: Counter[str]

    @property
    def call(self) -> SpanData:
        """The span of the call or cast itself."""
        (root,) = [span for span in self.trace if not span.parent_id]
        (found,) = [span for span in self.trace if span.parent_id == root.span_id]
        return found


class Teller:
    """Remembers stories by name and detail. No call is slow that is not meant to be: machines are."""

    def __init__(self, pairs: dict[str, Pair], url: str) -> None:
        self._pairs = pairs
        self._url = url
        self._told: dict[tuple[str, str], Story | BaseException] = {}

    def tell(self, name: str, detail: str) -> Story:
        """Return what a scenario tells at a detail."""
        if (name, detail) not in self._told:
            with ThreadPoolExecutor() as threads:
                playing = {each: threads.submit(self._play, name, each) for each in self._pairs}
            for each, future in playing.items():
                self._told[name, each] = future.exception() or future.result()
        told = self._told[name, detail]
        if isinstance(told, BaseException):
            raise told
        return told

    def _play(self, name: str, detail: str) -> Story:
        pair, scenario = self._pairs[detail], SCENARIOS[name]
        before = timeouts(pair)
        with Scene(pair, self._url, slow_call_threshold=0) as scene:
            outcome = scenario.play(scene)
            trace = pair.trace(outcome["trace_id"], **scenario.wanted)
            msg_id = outcome.get("fields", {}).get("msg_id")
            lines = pair.client.lines(msg_id=msg_id) if msg_id else []
            return Story(scene, outcome, trace, lines, timeouts(pair) - before)


def timeouts(pair: Pair) -> Counter[str]:
    """Return how many time-outs the client has counted by phase."""
    pair.flush()
    return Counter({
        point.attributes[TIMEOUT_PHASE]: int(point.value)
        for point in pair.otlp.latest(TIMEOUTS)
        if point.service == pair.client.service
    })
