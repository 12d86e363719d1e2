from __future__ import annotations

import pytest

from tests.console.support import span
from tracedrpc_console.methods import methods, percentile
from tracedrpc_console.spans import Kind, Span

CALL = {"rpc.method": "compute/reboot", "tracedrpc.mode": "call", "tracedrpc.phase.queue_ms": 10.0}
CAST = {"rpc.method": "audit/log", "tracedrpc.mode": "cast"}


def spans() -> list[Span]:
    return [
        span("1", "", "api", "compute/reboot", Kind.CLIENT, 0, 40, attributes=CALL),
        span("2", "1", "compute", "compute/reboot", Kind.SERVER, 12, 36, attributes={
            "tracedrpc.phase.handler_ms": 20.0, "rpc.method": "compute/reboot", "tracedrpc.mode": "call",
        }),
        span("3", "1", "api", "publish nova:compute", Kind.CLIENT, 0, 1),
        span("4", "2", "compute", "cast audit/log", Kind.PRODUCER, 30, 31, attributes=CAST),
    ]


def test_a_method_tells_how_often_how_long_and_on_what() -> None:
    call, cast = methods(spans())
    assert (call.name, call.mode, call.count, call.errors) == ("compute/reboot", "call", 1, 0)
    assert (call.p50_ms, call.p95_ms) == (40.0, 40.0)
    assert call.queue == pytest.approx(0.25)
    assert call.handler == pytest.approx(0.5)
    assert (cast.name, cast.mode, cast.queue, cast.handler) == ("audit/log", "cast", None, None)


def test_calls_without_an_answer_count_as_errors_and_in_no_share() -> None:
    timed_out = span(
        "9", "", "api", "compute/reboot", Kind.CLIENT, 0, 1000, is_error=True,
        attributes={"rpc.method": "compute/reboot", "tracedrpc.mode": "call"},
    )
    call = methods([*spans(), timed_out])[0]
    assert (call.count, call.errors, call.p95_ms) == (2, 1, 1000.0)
    assert call.queue == pytest.approx(0.25)


def test_percentiles_are_values_that_occurred() -> None:
    values = [float(number) for number in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.95), percentile([7.0], 0.95)) == (50.0, 95.0, 7.0)
