"""Plays scenarios, each once a session and at all details at the same time, and keeps what they told."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.telemetry.fifteen.scenarios import SCENARIOS, Scenario
from tests.telemetry.fifteen.stages import Pair, Scene

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.telemetry.otlp_values import SpanData

AHEAD = 4
"""How many scenarios are played at once at the most."""
TIMEOUTS = "tracedrpc.client.timeouts"
TIMEOUT_PHASE = "tracedrpc.timeout.phase"


@dataclass(frozen=True)
class Story:
    """What a scenario told: the caller, its trace, and the client's log lines about it."""

    scene: Scene
    outcome: dict[str, Any]
    trace: list[SpanData]
    lines: list[dict[str, Any]]

    @property
    def call(self) -> SpanData:
        """The span of the call or cast itself."""
        (root,) = [span for span in self.trace if not span.parent_id]
        (found,) = [span for span in self.trace if span.parent_id == root.span_id]
        return found


class Teller:
    """Has scenarios played, each once a session, and keeps what they told.

    Who asks for one has the next few begun as well, because most of their time is spent waiting;
    in tests they are asked for in their order. No call is slow that is not meant to be: machines are.
    """

    def __init__(self, pairs: dict[str, Pair], url: str) -> None:
        self._pairs = pairs
        self._url = url
        self._stages = {detail: Turns() for detail in pairs}
        self._threads = ThreadPoolExecutor(AHEAD * len(pairs))
        self._told: dict[tuple[str, str], Future[Story]] = {}

    def tell(self, name: str, detail: str) -> Story:
        """Return what a scenario tells at a detail."""
        names = list(SCENARIOS)
        begun = names.index(name)
        for each in names[begun : begun + AHEAD]:
            for pair in self._pairs:
                if (each, pair) not in self._told:
                    self._told[each, pair] = self._threads.submit(self._play, each, pair)
        return self._told[name, detail].result()

    def close(self) -> None:
        """Wait for what was begun."""
        self._threads.shutdown(cancel_futures=True)

    def _play(self, name: str, detail: str) -> Story:
        pair, scenario = self._pairs[detail], SCENARIOS[name]
        with self._stages[detail].turn(is_alone=scenario.is_alone):
            return self._told_by(pair, scenario)

    def _told_by(self, pair: Pair, scenario: Scenario) -> Story:
        with Scene(pair, self._url, slow_call_threshold=0) as scene:
            outcome = scenario.play(scene)
            trace = pair.trace(outcome["trace_id"], **scenario.wanted)
            msg_id = outcome.get("fields", {}).get("msg_id")
            lines = pair.client.lines(msg_id=msg_id) if msg_id else []
            return Story(scene, outcome, trace, lines)


class Turns:
    """Lets many play at once, or one that must be alone."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._playing = 0
        self._is_taken = False

    @contextmanager
    def turn(self, *, is_alone: bool) -> Iterator[None]:
        """Wait for one's turn, and have it."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_taken)
            self._is_taken = is_alone
            self._changed.wait_for(lambda: not (is_alone and self._playing))
            self._playing += 1
        try:
            yield
        finally:
            with self._changed:
                self._playing -= 1
                if is_alone:
                    self._is_taken = False
                self._changed.notify_all()


def timeouts(pair: Pair) -> Counter[str]:
    """Return how many time-outs the client has counted by phase."""
    pair.flush()
    return Counter({
        point.attributes[TIMEOUT_PHASE]: int(point.value)
        for point in pair.otlp.latest(TIMEOUTS)
        if point.service == pair.client.service
    })
