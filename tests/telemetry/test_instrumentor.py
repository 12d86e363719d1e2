"""`opentelemetry-instrument app`, and the switches that turn us off in it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.telemetry.otlp_receiver import OtlpReceiver
from tests.telemetry.programs import run

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMAND = (str(Path(sys.executable).with_name("opentelemetry-instrument")),)
APP = """
from tests.telemetry.programs import echo_client
with echo_client() as client:
    assert client.call({}, "echo", value=1) == 1
"""
KINDS = {"CLIENT", "SERVER"}


@pytest.fixture(scope="module")
def running() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture
def receiver(running: OtlpReceiver) -> OtlpReceiver:
    running.clear()
    return running


def _run(receiver: OtlpReceiver, script: str = APP, **variables: str) -> None:
    run(
        script, command=COMMAND, OTEL_SERVICE_NAME="app",
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.http_url, OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf",
        **variables,
    )


def test_a_program_that_knows_nothing_of_us_is_traced_once(receiver: OtlpReceiver) -> None:
    _run(receiver)
    calls = [span for span in receiver.spans if span.attributes.get("rpc.method") == "compute/echo"]
    assert sorted(span.kind for span in calls) == sorted(KINDS)
    assert {span.service for span in calls} == {"app"}
    assert receiver.latest("rpc.client.call.duration")[0].count == 1


@pytest.mark.parametrize(
    "switch",
    [
        {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "tracedrpc"},
        {"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "flask, TracedRPC"},
        {"TRACEDRPC_TRACING": "off"},
        {"OTEL_SDK_DISABLED": "true"},
    ],
    ids=lambda switch: "=".join(*switch.items()),
)
def test_it_can_be_switched_off(receiver: OtlpReceiver, switch: dict[str, str]) -> None:
    _run(receiver, **switch)
    assert receiver.spans == []
    assert receiver.latest("rpc.client.call.duration") == []


def test_configure_in_such_a_program_changes_nothing_and_says_so(receiver: OtlpReceiver) -> None:
    script = """
import tracedrpc_otel
from opentelemetry import trace
before = trace.get_tracer_provider()
configured = tracedrpc_otel.configure("other")
assert trace.get_tracer_provider() is before
assert all("has set a provider" in signal.reason for signal in configured.signals.values())
""" + APP
    _run(receiver, script)
    assert {span.service for span in receiver.spans} == {"app"}
    calls = [span for span in receiver.spans if span.attributes.get("rpc.method") == "compute/echo"]
    assert sorted(span.kind for span in calls) == sorted(KINDS)


def test_without_an_sdk_there_are_no_spans_and_no_error() -> None:
    script = """
from opentelemetry import _logs, metrics, trace
""" + APP + """
for provider in (trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider()):
    assert "Proxy" in type(provider).__name__, provider
"""
    ended = run(script)
    assert (ended.stdout, ended.stderr) == ("", "")


def test_instrumenting_by_hand_takes_the_providers_it_is_given() -> None:
    script = """
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry import trace
from tracedrpc_otel.instrumentor import TracedRPCInstrumentor
provider, spans = TracerProvider(), InMemorySpanExporter()
provider.add_span_processor(SimpleSpanProcessor(spans))
TracedRPCInstrumentor().instrument(tracer_provider=provider)
""" + APP + """
assert {span.kind.name for span in spans.get_finished_spans()} >= {"CLIENT", "SERVER"}
assert "Proxy" in type(trace.get_tracer_provider()).__name__
spans.clear()
TracedRPCInstrumentor().uninstrument()
""" + APP + """
assert spans.get_finished_spans() == ()
"""
    run(script)
