"""Every span has its parent, and what happens behind a call's back begins no trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.telemetry.fifteen.scenarios import SHORT_S, eventually
from tests.telemetry.fifteen.stages import Pair, Scene, is_whole

if TYPE_CHECKING:
    from tests.telemetry.otlp_receiver import OtlpReceiver


def test_every_span_of_many_stories_has_its_parent_and_only_requests_are_roots(
    otlp: OtlpReceiver, rabbit_url: str,
) -> None:
    pair = Pair.start(otlp, "orphans", TRACEDRPC_TRACING="full").ready()
    try:
        with Scene(pair, rabbit_url) as scene:
            traces = [*_live(scene), *_reconnect_idly(scene)]
        for trace_id in traces:
            pair.trace(trace_id, SERVER=1)
            assert otlp.wait_for(lambda it, trace_id=trace_id: is_whole(it, trace_id, {}))
    finally:
        pair.close()
    spans = [span for span in otlp.spans if span.service in {pair.client.service, pair.server.service}]
    assert {span.trace_id for span in spans} == set(traces)
    ids = {span.span_id for span in spans}
    assert not [span.name for span in spans if span.parent_id and span.parent_id not in ids]
    assert {span.name for span in spans if not span.parent_id} == {"request"}


def _live(scene: Scene) -> list[str]:
    """Call, cast, fan out, fail, time out and be monitored, each below a request of the application's."""
    scene.serve()
    caller = scene.client(warm=False)
    outcomes = [caller.call(method) for method in ("echo", "fail", "miss", "missing")]
    outcomes.append(caller.call("nap", {"ms": 700}, call_monitor_timeout=1.0))
    outcomes.append(caller.call("echo", topic=f"{scene.topic}-nobody", timeout=SHORT_S / 2))
    outcomes.append(caller.cast("note", {"key": scene.topic}))
    outcomes.append(caller.cast("note", {"key": f"{scene.topic}-all"}, fanout=True))
    scene.pair.server.wait_for(event="noted", key=f"{scene.topic}-all")
    scene.pair.server.wait_for(event="noted", key=scene.topic)
    outcomes.append(scene.hold(caller, timeout=SHORT_S / 2).result(20))
    scene.release_all()
    scene.pair.client.wait_for_line("reply_discarded")
    return [outcome["trace_id"] for outcome in outcomes]


def _reconnect_idly(scene: Scene) -> list[str]:
    """Let keepers and consumers live through heartbeats, expiry and resets while nobody calls."""
    proxy = scene.proxy()
    caller = scene.client(
        scene.through(proxy), warm=False,
        heartbeat_timeout_threshold=1, conn_pool_ttl=0.2, conn_pool_min_size=0,
    )
    outcome = caller.call("echo", timeout=20)
    scene.pair.client.wait_for_line("connection_expired")
    for _ in range(2):
        eventually(lambda: len(proxy), "the consumer of replies is connected")
        assert proxy.reset_all()
    eventually(lambda: len(proxy), "the consumer of replies is connected")
    return [outcome["trace_id"]]
