"""The phases of a call add up to its duration, and each is where the time was spent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.telemetry.fifteen.processes import SOON_S
from tests.telemetry.fifteen.scenarios import SHORT_S, eventually
from tracedrpc.anatomy import Phase
from tracedrpc.semconv import phase_ms

if TYPE_CHECKING:
    from tests.telemetry.fifteen.stages import Scene
    from tests.telemetry.otlp_values import SpanData

PHASES = frozenset(phase_ms(phase) for phase in Phase)


def test_the_phases_of_every_call_of_a_mixed_load_add_up_to_it(scene: Scene) -> None:
    outcomes = _load(scene)
    calls = [_call(scene, outcome) for outcome in outcomes]
    assert len(calls) >= 60
    assert {span.status for span in calls} == {"UNSET", "ERROR"}
    off = [(span.name, missing) for span in calls if abs(missing := _missing_ms(span)) > _allowed_ms(span)]
    assert not off


def test_the_time_in_the_handler_is_told_as_time_in_the_handler(scene: Scene) -> None:
    scene.serve()
    outcome = scene.client().call("nap", {"ms": 50})
    attributes = _call(scene, outcome).attributes
    assert attributes[phase_ms(Phase.HANDLER)] >= 50
    assert max(PHASES & set(attributes), key=attributes.get) == phase_ms(Phase.HANDLER)


def test_the_wait_for_a_worker_is_told_as_wait_for_a_worker(scene: Scene) -> None:
    scene.serve(workers=1)
    caller = scene.client()
    busy = [caller.ask("nap", {"ms": 60}) for _ in range(2)]
    spans = [_call(scene, future.result(20)) for future in busy]
    waits = sorted(span.attributes[phase_ms(Phase.DISPATCH)] for span in spans)
    assert waits[1] >= 40
    assert all(span.attributes[phase_ms(Phase.HANDLER)] >= 60 for span in spans)


def test_the_time_to_connect_is_told_as_time_to_connect_on_both_sides(scene: Scene) -> None:
    scene.serve()
    proxy = scene.proxy()
    caller = scene.client(scene.through(proxy), conn_pool_ttl=0.2, conn_pool_min_size=0)
    assert all(caller.call("echo")["ok"] for _ in range(5))
    eventually(lambda: not caller.state()["idle"], "the connection to publish on has expired")
    proxy.delay(0.05)
    outcome = caller.call("echo", timeout=SOON_S)
    call, request = _call(scene, outcome), _request(scene, outcome)
    assert call.attributes[phase_ms(Phase.CONNECT)] > 200  # a handshake of several round trips
    assert 50 < call.attributes[phase_ms(Phase.QUEUE)] < 150
    assert 50 < request.attributes[phase_ms(Phase.QUEUE)] < 150


def _load(scene: Scene) -> list[dict[str, Any]]:
    """Call what returns, sleeps, raises, does not exist, or takes too long; from four threads."""
    scene.serve(workers=3)
    transport = scene.client().transport
    kinds: list[dict[str, Any]] = [
        {"method": "echo", "args": {"value": "x" * 20_000}},
        {"method": "nap", "args": {"ms": 15}},
        {"method": "fail"},
        {"method": "miss"},
        {"method": "missing"},
        {"method": "echo"},
    ]
    common = {"transport": transport, "topic": scene.topic, "root": "request", "timeout": 20}
    late = common | {"method": "nap", "args": {"ms": SHORT_S * 500}, "timeout": SHORT_S / 4}
    nobody = common | {"topic": f"{scene.topic}-nobody", "method": "echo", "timeout": SHORT_S / 2}
    calls = [common | kind for kind in kinds] * 10 + [late, nobody, nobody]
    outcomes: list[dict[str, Any]] = scene.pair.client.do("many", calls=calls, threads=4)
    return outcomes


def _call(scene: Scene, outcome: dict[str, Any]) -> SpanData:
    spans = scene.pair.trace(outcome["trace_id"], SERVER=1, CLIENT=1)
    (root,) = [span for span in spans if not span.parent_id]
    (call,) = [span for span in spans if span.parent_id == root.span_id]
    return call


def _request(scene: Scene, outcome: dict[str, Any]) -> SpanData:
    spans = scene.pair.trace(outcome["trace_id"], SERVER=2)
    (request,) = [span for span in spans if span.kind == "SERVER" and span.parent_id]
    return request


def _duration_ms(span: SpanData) -> float:
    return (span.end_ns - span.start_ns) / 1e6


def _missing_ms(span: SpanData) -> float:
    told = [value for key, value in span.attributes.items() if key in PHASES]
    assert all(value >= 0 for value in told)
    return _duration_ms(span) - sum(told)


def _allowed_ms(span: SpanData) -> float:
    return max(1.0, 0.02 * _duration_ms(span))
