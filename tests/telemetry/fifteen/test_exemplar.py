"""Each histogram point of a slow call leads to its trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.telemetry.fifteen.stages import Scene
    from tests.telemetry.otlp_values import PointData

HISTOGRAMS = {"rpc.client.call.duration", "rpc.server.call.duration", "tracedrpc.server.queue.duration"}


def test_every_histogram_point_of_a_slow_call_carries_its_trace_id(scene: Scene) -> None:
    scene.serve()
    caller = scene.client()
    outcome = caller.call("nap", {"ms": 300})
    scene.pair.trace(outcome["trace_id"], SERVER=2)
    points = _points(scene)
    assert {point.name for point in points} >= HISTOGRAMS
    for name in {point.name for point in points}:
        traces = {each.trace_id for point in points if point.name == name for each in point.exemplars}
        assert outcome["trace_id"] in traces, name


def test_an_exemplar_names_the_span_of_its_own_side(scene: Scene) -> None:
    scene.serve()
    outcome = scene.client().call("nap", {"ms": 300})
    spans = scene.pair.trace(outcome["trace_id"], SERVER=2)
    kinds = {span.span_id: span.kind for span in spans if span.name.endswith("/nap")}
    for name, kind in {"rpc.client.call.duration": "CLIENT", "rpc.server.call.duration": "SERVER"}.items():
        found = [each for point in _points(scene) if point.name == name for each in point.exemplars]
        assert {kinds.get(each.span_id) for each in found} == {kind}


def _points(scene: Scene) -> list[PointData]:
    """Return the points of histograms that this scene's own call made: its topic is in their attributes."""
    scene.pair.flush()
    return [
        point for point in scene.pair.otlp.metrics
        if point.kind.endswith("istogram") and scene.topic in str(point.attributes)
        and f"{scene.topic}/echo" not in str(point.attributes)
    ]
