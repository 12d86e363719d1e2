"""A service that forks its workers gets the spans of every one of them, each once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from tests.telemetry.fifteen.processes import ROOT, SOON_S, environment
from tests.telemetry.fifteen.stages import is_whole

if TYPE_CHECKING:
    from tests.telemetry.fifteen.stages import Scene
    from tests.telemetry.otlp_receiver import OtlpReceiver

CHILDREN = 10


@pytest.mark.parametrize(("protocol", "spans"), [
    ("http/protobuf", "native"), ("grpc", "native"), ("http/protobuf", "sdk"),
])
def test_the_spans_of_all_forked_workers_arrive(
    scene: Scene, otlp: OtlpReceiver, protocol: str, spans: str,
) -> None:
    scene.serve(workers=4)
    service = f"prefork-{protocol[:4]}-{spans}"
    told = _run(scene, otlp, service, protocol, spans)
    assert told["parent"]["statuses"] == [0] * CHILDREN
    assert set(told) == {"parent", *(f"child-{number}" for number in range(CHILDREN))}
    traces = {trace_id: name for name, each in told.items() for trace_id in each["traces"]}
    assert len(traces) == 2 * CHILDREN + 3
    for trace_id in traces:
        assert otlp.wait_for(lambda it, id_=trace_id: is_whole(it, id_, {"CLIENT": 1, "SERVER": 1}), SOON_S)
    arrived = [span for span in otlp.spans if span.service == service]
    assert max(Counter(span.span_id for span in arrived).values()) == 1
    roots = {span.trace_id: span.attributes["worker"] for span in arrived if not span.parent_id}
    assert roots == traces
    per_worker = Counter(traces[span.trace_id] for span in arrived)
    assert per_worker == {name: each["exported"] for name, each in told.items()}


def _run(scene: Scene, otlp: OtlpReceiver, service: str, protocol: str, spans: str) -> dict[str, Any]:
    native = "off" if spans == "sdk" else "on"
    endpoint = otlp.grpc_url if protocol == "grpc" else otlp.http_url
    done = subprocess.run(
        [
            sys.executable, "-m", "tests.telemetry.fifteen.programs.prefork",
            f"{scene.url}?control_exchange={scene.exchange}", scene.topic, str(CHILDREN),
        ],
        env=environment(service, endpoint, protocol) | {"TRACEDRPC_NATIVE": native}, cwd=ROOT,
        capture_output=True, text=True, timeout=100, check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    return {each["worker"]: each for each in told}
