"""The same trees through the RPC layer and the memory driver, threads and all."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from opentelemetry.trace import SpanKind, StatusCode

import tracedrpc
from tests.telemetry.support import CANARY, Lab
from tracedrpc.testing import memory_transport
from tracedrpc_otel.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator


class Endpoint:
    target = tracedrpc.Target(namespace="ops", version="1.0")

    def __init__(self) -> None:
        self.contexts: list[Any] = []

    def echo(self, ctxt: Any, value: str) -> str:
        self.contexts.append(dict(ctxt))
        trace.get_current_span().set_attribute("application", "own")
        return value

    def fail(self, ctxt: Any) -> None:
        raise LookupError(CANARY)

    @tracedrpc.expected_exceptions(LookupError)
    def refuse(self, ctxt: Any) -> None:
        raise LookupError(CANARY)

    def sleep(self, ctxt: Any) -> None:
        time.sleep(0.5)


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
def client(lab: Lab, endpoint: Endpoint) -> Iterator[Any]:
    transport = memory_transport(telemetry=lab.inner)
    server = tracedrpc.get_rpc_server(
        transport, tracedrpc.Target(topic="compute", server="cn7"), [endpoint], executor="threading",
    )
    server.start()
    to = tracedrpc.Target(topic="compute", namespace="ops", version="1.0")
    yield tracedrpc.get_rpc_client(transport, to, timeout=5)
    server.stop()
    server.wait()
    transport.cleanup()


def _settled(lab: Lab, count: int) -> list[Any]:
    """Wait for the spans: a server's may end just after the caller has its reply."""
    give_up = time.monotonic() + 3
    while (len(lab.spans) < count or lab.ledger.open) and time.monotonic() < give_up:
        time.sleep(0.005)
    assert not lab.ledger.open
    return lab.spans


def test_a_call_is_one_trace_of_two_sides(lab: Lab, client: Any, endpoint: Endpoint) -> None:
    context = {"token": CANARY}
    tracer = lab.provider.get_tracer("application")
    with tracer.start_as_current_span("request") as root:
        assert client.call(context, "echo", value=CANARY) == CANARY
    spans = {(span.name, span.kind): span for span in _settled(lab, 4)}
    caller = spans["compute.ops/echo", SpanKind.CLIENT]
    server = spans["compute.ops/echo", SpanKind.SERVER]
    assert caller.parent == root.get_span_context()
    assert server.parent.span_id == caller.context.span_id
    assert server.attributes["application"] == "own"
    assert caller.start_time <= server.start_time <= server.end_time <= caller.end_time
    assert context == {"token": CANARY}
    assert endpoint.contexts == [{"token": CANARY}]
    assert all(CANARY not in span.to_json() for span in spans.values())


@pytest.mark.parametrize(
    ("method", "error", "server_status"),
    [
        ("fail", "LookupError", StatusCode.ERROR),
        ("refuse", "LookupError", StatusCode.UNSET),
        ("missing", "NoSuchMethod", StatusCode.ERROR),
    ],
)
def test_a_failure_shows_on_both_sides(
    lab: Lab, client: Any, method: str, error: str, server_status: StatusCode,
) -> None:
    with pytest.raises(Exception, match=r".*") as caught:
        client.call({}, method)
    assert caught.value is not None
    spans = {span.kind: span for span in _settled(lab, 2) if "messaging.system" not in span.attributes}
    caller, server = spans[SpanKind.CLIENT], spans[SpanKind.SERVER]
    assert caller.attributes["error.type"] == server.attributes["error.type"] == error
    assert caller.attributes["rpc.response.status_code"] == "REMOTE_ERROR"
    assert caller.status.status_code is StatusCode.ERROR
    assert server.status.status_code is server_status
    assert server.name == ("_OTHER" if method == "missing" else f"compute.ops/{method}")
    assert CANARY not in caller.to_json() + server.to_json()


def test_a_time_out_draws_the_wait_and_its_reply_comes_late(lab: Lab, client: Any) -> None:
    with pytest.raises(tracedrpc.MessagingTimeout):
        client.prepare(timeout=0.1).call({}, "sleep")
    wait = lab.span("receive reply_{id}")
    caller = next(
        span for span in lab.spans if span.name == "compute.ops/sleep" and span.kind is SpanKind.CLIENT
    )
    assert caller.attributes["tracedrpc.timeout.phase"]
    assert caller.attributes["tracedrpc.why"]
    assert wait.status.status_code is StatusCode.ERROR
    _settled(lab, 5)
    late = lab.span("late reply compute.ops/sleep")
    assert late.parent.span_id == caller.context.span_id
    assert 300 < late.attributes["tracedrpc.late_by_ms"] < 5000


@pytest.mark.parametrize("fanout", [False, True])
def test_casts_link_producer_and_consumer(lab: Lab, client: Any, fanout: bool) -> None:
    client.prepare(fanout=fanout).cast({}, "echo", value="x")
    spans = {span.kind: span for span in _settled(lab, 2)}
    producer, consumer = spans[SpanKind.PRODUCER], spans[SpanKind.CONSUMER]
    assert producer.name == f"{'fanout' if fanout else 'cast'} compute.ops/echo"
    assert consumer.parent.span_id == producer.context.span_id


def test_the_phases_of_a_call_add_up_to_it(lab: Lab, client: Any) -> None:
    client.call({}, "echo", value="x")
    _settled(lab, 4)
    caller = next(
        span for span in lab.spans if span.kind is SpanKind.CLIENT and span.name == "compute.ops/echo"
    )
    sums = {"tracedrpc.phase.reply_wait_ms", "tracedrpc.phase.server_ms"}
    phases = {
        key: value for key, value in caller.attributes.items()
        if key.startswith("tracedrpc.phase.") and key not in sums
    }
    assert abs(sum(phases.values()) - (caller.end_time - caller.start_time) / 1e6) < 1
    assert "tracedrpc.phase.handler_ms" in phases


def test_one_call_is_traced_on_demand_on_both_sides(endpoint: Endpoint) -> None:
    lab = Lab(TracerProvider(sampler=ParentBased(ALWAYS_OFF), shutdown_on_exit=False))
    with memory_transport(telemetry=lab.inner) as transport:
        to = tracedrpc.Target(topic="compute", namespace="ops", version="1.0")
        at = tracedrpc.Target(topic="compute", server="cn7")
        with tracedrpc.get_rpc_server(transport, at, [endpoint], executor="blocking"):
            client = tracedrpc.get_rpc_client(transport, to, timeout=5)
            client.call({}, "echo", value="x")
            assert not lab.spans
            client.prepare(trace=True).call({}, "echo", value="x")
    assert len({span.context.trace_id for span in lab.spans}) == 1
    names = [span.name for span in lab.spans]
    assert names.count("compute.ops/echo") == 2
    assert not lab.ledger.open


def test_results_are_told_where_that_is_asked_for(endpoint: Endpoint) -> None:
    lab = Lab(settings=Settings(capture=frozenset({"result", "args.value"})))
    with memory_transport(telemetry=lab.inner) as transport:
        at = tracedrpc.Target(topic="compute", server="cn7")
        with tracedrpc.get_rpc_server(transport, at, [endpoint], executor="blocking"):
            to = tracedrpc.Target(topic="compute", namespace="ops", version="1.0")
            tracedrpc.get_rpc_client(transport, to, timeout=5).call({}, "echo", value="x")
    both = [span for span in lab.spans if span.name == "compute.ops/echo"]
    assert [span.attributes["tracedrpc.result"] for span in both] == ["x", "x"]
    assert [span.attributes["tracedrpc.args.value"] for span in both] == ["x", "x"]


@pytest.mark.parametrize("sampler", [ALWAYS_ON, ALWAYS_OFF])
def test_a_call_leaves_nothing_for_the_garbage_collector(sampler: Any, endpoint: Endpoint) -> None:
    lab = Lab(TracerProvider(sampler=sampler, shutdown_on_exit=False))
    with memory_transport(telemetry=lab.inner) as transport:
        at = tracedrpc.Target(topic="compute", server="cn7")
        with tracedrpc.get_rpc_server(transport, at, [endpoint], executor="blocking"):
            to = tracedrpc.Target(topic="compute", namespace="ops", version="1.0")
            client = tracedrpc.get_rpc_client(transport, to, timeout=5)
            client.call({}, "echo", value="x")
            gc.collect()
            gc.disable()
            try:
                for _ in range(20):
                    client.call({}, "echo", value="x")
                assert gc.collect() == 0
            finally:
                gc.enable()
