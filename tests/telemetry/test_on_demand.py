"""One call can be traced whatever the sampler says."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, DEFAULT_ON, ParentBased, Sampler

from tests.telemetry import support
from tests.telemetry.support import Lab, incoming, invocation, publish
from tracedrpc_otel.sink import SdkSink
from tracedrpc_otel.telemetry import OTelTelemetry

OFF: list[Sampler] = [ALWAYS_OFF, ParentBased(ALWAYS_OFF)]


def _lab(sampler: Sampler) -> Lab:
    return Lab(TracerProvider(sampler=sampler, shutdown_on_exit=False))


def _call(lab: Lab, trace_it: bool = True) -> Any:
    call = invocation(trace=trace_it)
    with lab.telemetry.call(call) as scope:
        publish(call)
        support.finish(call, support.ReplyStamp(support.at(call, 5.0), call.started_ns + 19 * support.MS))
    return scope


@pytest.mark.parametrize("sampler", OFF)
def test_a_call_that_is_asked_for_is_recorded_and_no_other(sampler: Sampler) -> None:
    lab = _lab(sampler)
    _call(lab, trace_it=False)
    assert not lab.spans
    scope = _call(lab)
    names = {span.name for span in lab.spans}
    assert names == {"compute/reboot", "publish nova:compute.{server}", "receive reply_{id}"}
    assert len({span.context.trace_id for span in lab.spans}) == 1
    assert int(scope.carrier["traceparent"][-2:], 16) & 1
    _call(lab, trace_it=False)
    assert len(lab.spans) == 3


def test_its_server_records_too() -> None:
    lab = _lab(ParentBased(ALWAYS_OFF))
    scope = _call(lab)
    with lab.telemetry.process(incoming(dict(scope.carrier))):
        pass
    assert [span.name for span in lab.spans].count("compute/reboot") == 2


@pytest.mark.parametrize("sampler", OFF)
def test_below_an_unsampled_span_it_is_a_trace_of_its_own_with_a_link(sampler: Sampler) -> None:
    lab = _lab(sampler)
    tracer = lab.provider.get_tracer("application")
    with tracer.start_as_current_span("request") as request:
        _call(lab)
        assert trace.get_current_span() is request
    client, here = lab.span("compute/reboot"), request.get_span_context()
    assert client.parent is None
    assert client.context.trace_id != here.trace_id
    assert [link.context for link in client.links] == [here]


def test_below_a_sampled_span_it_is_its_child() -> None:
    lab = _lab(DEFAULT_ON)
    with lab.provider.get_tracer("application").start_as_current_span("request") as request:
        _call(lab)
    client = lab.span("compute/reboot")
    assert client.parent == request.get_span_context()
    assert not client.links


def test_a_provider_that_is_not_the_sdks_is_left_to_its_own_ways() -> None:
    class Tracer(trace.Tracer):
        def start_span(self, *args: Any, **fields: Any) -> trace.Span:
            return trace.NonRecordingSpan(trace.SpanContext(7, 8, is_remote=False))

        def start_as_current_span(self, *args: Any, **fields: Any) -> Any:
            raise NotImplementedError

    class Provider(trace.TracerProvider):
        def get_tracer(self, *args: Any, **fields: Any) -> Tracer:
            return Tracer()

    with OTelTelemetry(SdkSink(Provider())).call(invocation(trace=True)) as scope:
        assert scope.carrier["traceparent"][3:35] == f"{7:032x}"


def test_without_a_provider_there_is_nothing_to_trace_with() -> None:
    with OTelTelemetry().call(invocation(trace=True)) as scope:
        assert not scope.carrier


def test_the_tracer_follows_its_providers_resource() -> None:
    from opentelemetry.sdk.resources import Resource

    lab = _lab(ALWAYS_OFF)
    _call(lab)
    lab.provider._update_resource(Resource({"host.name": "child"}))
    lab.exporter.clear()
    _call(lab)
    assert lab.span("compute/reboot").resource.attributes["host.name"] == "child"
