"""`configure()` in programs that do nothing else, and in programs that have providers already."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.telemetry.otlp_receiver import OtlpReceiver
from tests.telemetry.programs import run

if TYPE_CHECKING:
    from collections.abc import Iterator

CALL = """
import logging, sys
import tracedrpc_otel
from opentelemetry import metrics, trace
from tests.telemetry.programs import echo_client

def call():
    with echo_client() as client:
        assert client.call({}, "echo", value=1) == 1
"""


@pytest.fixture(scope="module")
def running() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as receiver:
        yield receiver


@pytest.fixture
def receiver(running: OtlpReceiver) -> OtlpReceiver:
    running.clear()
    return running


def test_one_line_sets_up_all_three_signals_of_a_program(receiver: OtlpReceiver) -> None:
    script = CALL + """
configured = tracedrpc_otel.configure("nova-api", endpoint=sys.argv[1])
assert tracedrpc_otel.configure("again") is configured and not configured.reason
assert not any(signal.reason for signal in configured.signals.values())
call()
logging.getLogger("app").warning("the end")
"""
    run(script, receiver.http_url)
    assert {span.kind for span in receiver.spans} >= {"CLIENT", "SERVER"}
    assert [log.body for log in receiver.logs] == ["the end"]
    assert receiver.latest("rpc.client.call.duration")[0].count == 1
    everything = [*receiver.spans, *receiver.logs, *receiver.metrics]
    assert {each.service for each in everything} == {"nova-api"}


def test_the_environment_says_what_the_arguments_do_not(receiver: OtlpReceiver) -> None:
    script = CALL + """
tracedrpc_otel.configure()
call()
logging.warning("hello")
"""
    run(
        script,
        OTEL_SERVICE_NAME="from-environment",
        OTEL_RESOURCE_ATTRIBUTES="team=x",
        OTEL_EXPORTER_OTLP_ENDPOINT=receiver.http_url,
        OTEL_EXPORTER_OTLP_TRACES_PROTOCOL="grpc",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=receiver.grpc_url,
        OTEL_EXPORTER_OTLP_HEADERS="x-api-key=k",
        OTEL_EXPORTER_OTLP_LOGS_HEADERS="x-api-key=l",
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
        OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="delta",
    )
    sent = {export.signal: export for export in receiver.exports}
    assert {name: export.protocol for name, export in sent.items()} == {
        "traces": "grpc", "metrics": "http", "logs": "http",
    }
    assert {name: export.headers["x-api-key"] for name, export in sent.items()} == {
        "traces": "k", "metrics": "k", "logs": "l",
    }
    assert sent["metrics"].headers["content-encoding"] == "gzip"
    assert receiver.latest("rpc.client.call.duration")[0].temporality == "DELTA"
    assert {log.service for log in receiver.logs} == {"from-environment"}
    assert receiver.spans[0].resource["team"] == "x"


def test_metrics_leave_at_the_interval_of_the_environment(receiver: OtlpReceiver) -> None:
    script = CALL + """
tracedrpc_otel.configure(endpoint=sys.argv[1])
call()
sys.stdin.read()
"""
    import subprocess
    import sys

    from tests.telemetry.programs import environment

    process = subprocess.Popen(
        [sys.executable, "-c", script, receiver.http_url], stdin=subprocess.PIPE,
        env=environment(OTEL_METRIC_EXPORT_INTERVAL="100"),
    )
    try:
        assert receiver.wait_for(lambda it: len(it.latest("rpc.client.call.duration")) == 1, 30)
    finally:
        process.communicate(b"")
    assert process.returncode == 0


@pytest.mark.parametrize("signal", ["traces", "metrics", "logs"])
@pytest.mark.parametrize("how", ["argument", "environment"])
def test_each_signal_can_be_switched_off(receiver: OtlpReceiver, signal: str, how: str) -> None:
    script = CALL + f"""
configured = tracedrpc_otel.configure(endpoint=sys.argv[1], {signal}={how != "argument"})
call()
logging.warning("hello")
off = configured.signals["{signal}"]
assert configured.flush(10)
assert off.exported == 0 and off.dropped == 0 and off.outlets == ()
assert off.reason or (off.name == "traces" and off.provider is not None)
"""
    switch = {f"OTEL_{signal.upper()}_EXPORTER": "none"} if how == "environment" else {}
    run(script, receiver.http_url, **switch)
    others = {"traces", "metrics", "logs"} - {signal}
    assert {export.signal for export in receiver.exports} == others


def test_without_exporters_log_lines_still_have_the_ids_of_spans() -> None:
    script = CALL + """
configured = tracedrpc_otel.configure("x")
assert configured.provider is not None and configured.flush()
with trace.get_tracer("t").start_as_current_span("work") as span:
    assert span.get_span_context().is_valid
assert configured.shutdown() and configured.shutdown()
"""
    none = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}
    run(script, **none)


SETTERS = {
    "traces": """
from opentelemetry.sdk.trace import TracerProvider
theirs = TracerProvider()
trace.set_tracer_provider(theirs)
now = trace.get_tracer_provider
""",
    "metrics": """
from opentelemetry.sdk.metrics import MeterProvider
theirs = MeterProvider()
metrics.set_meter_provider(theirs)
now = metrics.get_meter_provider
""",
    "logs": """
from opentelemetry import _logs
from opentelemetry.sdk._logs import LoggerProvider
theirs = LoggerProvider()
_logs.set_logger_provider(theirs)
now = _logs.get_logger_provider
""",
}


@pytest.mark.parametrize("signal", SETTERS)
def test_a_provider_of_the_application_is_never_replaced(receiver: OtlpReceiver, signal: str) -> None:
    script = CALL + SETTERS[signal] + f"""
logging.basicConfig(level=logging.INFO, format="%(message)s")
configured = tracedrpc_otel.configure(endpoint=sys.argv[1])
mine = configured.signals["{signal}"]
assert mine.provider is None and "has set" in mine.reason
assert now() is theirs
call()
assert configured.shutdown()
assert now() is theirs
"""
    ended = run(script, receiver.http_url)
    declined = [text for text in ended.stderr.splitlines() if text.startswith("configure_declined")]
    assert len(declined) == 1
    assert signal in declined[0]
    assert {export.signal for export in receiver.exports} == set(SETTERS) - {signal}


def test_calls_are_traced_by_the_provider_that_the_application_has_set() -> None:
    script = CALL + """
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
theirs, spans = TracerProvider(), InMemorySpanExporter()
theirs.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(theirs)
configured = tracedrpc_otel.configure("x", metrics=False, logs=False)
assert configured.reason and configured.dropped == 0
call()
assert {span.kind.name for span in spans.get_finished_spans()} >= {"CLIENT", "SERVER"}
"""
    run(script)


def test_a_disabled_sdk_is_left_alone() -> None:
    script = CALL + """
configured = tracedrpc_otel.configure("x")
assert all(signal.provider is None for signal in configured.signals.values())
assert "OTEL_SDK_DISABLED" in configured.reason
call()
assert configured.flush() and configured.shutdown()
"""
    run(script, OTEL_SDK_DISABLED="true")


def test_other_registered_exporters_can_be_named(receiver: OtlpReceiver) -> None:
    script = CALL + """
tracedrpc_otel.configure("x", endpoint=sys.argv[1])
call()
logging.warning("hello")
"""
    ended = run(
        script, receiver.http_url,
        OTEL_TRACES_EXPORTER="console", OTEL_LOGS_EXPORTER="console,otlp", OTEL_METRICS_EXPORTER="console",
    )
    assert '"kind": "SpanKind.SERVER"' in ended.stdout
    assert "rpc.server.call.duration" in ended.stdout
    assert [log.body for log in receiver.logs] == ["hello"]


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkinn"}, "there is no exporter 'zipkinn'"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/xml"}, "protocol 'http/xml' is unknown"),
    ],
)
def test_what_does_not_exist_is_refused_by_name(variables: dict[str, str], text: str) -> None:
    script = f"""
import tracedrpc_otel
try:
    tracedrpc_otel.configure("x")
except ValueError as error:
    assert {text!r} in str(error), error
else:
    raise AssertionError
"""
    run(script, **variables)


def test_long_values_of_any_span_are_cut_unless_the_environment_says_otherwise(
    receiver: OtlpReceiver,
) -> None:
    script = CALL + """
tracedrpc_otel.configure(endpoint=sys.argv[1])
with trace.get_tracer("t").start_as_current_span("work") as span:
    span.set_attribute("long", "x" * 3000)
"""
    run(script, receiver.http_url)
    run(script, receiver.http_url, OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT="2000")
    assert [len(span.attributes["long"]) for span in receiver.spans] == [1024, 2000]


def test_two_processes_of_one_service_can_be_told_apart(receiver: OtlpReceiver) -> None:
    script = CALL + """
tracedrpc_otel.configure("nova-api", endpoint=sys.argv[1])
call()
"""
    for _ in range(2):
        run(script, receiver.http_url)
    assert len({span.resource["service.instance.id"] for span in receiver.spans}) == 2
    assert len({span.resource["host.name"] for span in receiver.spans}) == 1
