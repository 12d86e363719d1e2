"""What telemetry costs, in plain spans of the SDK: instructions of the one over those of the other.

The budgets are 8 us a side without an SDK, 80 us not sampled, and 250 us or eight spans for a
sampled call, where a plain span with eight attributes takes 32 us. Time is no measure on a busy
machine; the number of bytecodes that a call executes is the same each time. It stands for time to
about a tenth, which is what the limit of a call that is not sampled has on top. `make bench` prints
the us.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.bench.price import (
    CASES,
    EIGHT,
    SILENT,
    FixedPool,
    client_side,
    incoming,
    invocation,
    provider,
    server_side,
)
from tracedrpc.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

MOST_SPANS = {
    "no SDK": 0.5, "not sampled": 2.75, "not sampled, by the SDK": 2.75, "standard, by the SDK": 8.0,
    "standard": 4.0, "full": 6.0,
}
WARM_UP = 20


@pytest.fixture(scope="module")
def costs() -> Iterator[dict[str, float]]:
    """Return what a call costs in each case, both sides, in plain spans."""
    logger = logging.getLogger("tracedrpc")
    before = logger.level
    logger.setLevel(SILENT)
    tracer = provider().get_tracer("plain")
    span = _instructions(lambda: tracer.start_span("compute/reboot", attributes=EIGHT).end())
    silent = _instructions(lambda: _call(Telemetry()))
    telemetries = {case.title: case.make() for case in CASES}
    yield {
        title: (_instructions(lambda telemetry=telemetry: _call(telemetry)) - silent) / span
        for title, telemetry in telemetries.items()
    }
    logger.setLevel(before)


def _call(telemetry: Telemetry) -> None:
    """Go through a call's way on both sides."""
    carrier = client_side(telemetry, invocation(), FixedPool())
    server_side(telemetry, incoming(carrier))


def _instructions(work: Callable[[], Any]) -> int:
    """Return how many bytecodes this executes in Python, once its caches are warm."""
    count = 0

    def trace(frame: FrameType, event: str, _arg: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    for _ in range(WARM_UP):
        work()
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("case", MOST_SPANS)
def test_a_call_costs_no_more_than_its_budget(costs: dict[str, float], case: str) -> None:
    assert costs[case] <= MOST_SPANS[case], costs


def test_less_detail_costs_less(costs: dict[str, float]) -> None:
    in_order = [costs[case] for case in ("no SDK", "not sampled", "standard", "full", "standard, by the SDK")]
    assert in_order == sorted(in_order)
