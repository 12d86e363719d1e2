"""What arrives at a real OTLP endpoint, what gets lost on the way, and how long that may take."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from tests.telemetry import support
from tests.telemetry.support import CANARY, Lab, incoming, invocation, publish, run_call
from tracedrpc._guard import guarded
from tracedrpc.exceptions import NoSuchMethod, RemoteError
from tracedrpc_otel.batches import BatchOptions
from tracedrpc_otel.configure import Configured, build
from tracedrpc_otel.exporting import BatchProcessor, otlp_exporter
from tracedrpc_otel.sink import SdkSink
from tracedrpc_otel.telemetry import OTelTelemetry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Receiver:
    """Keeps the bodies that were posted."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.bodies: list[bytes] = []

    @property
    def spans(self) -> list[Span]:
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [
            span for request in requests for resource in request.resource_spans
            for scope in resource.scope_spans for span in scope.spans
        ]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            found.bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Receiver(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield found
        server.shutdown()
        thread.join()


def _traced(configured: Configured) -> Lab:
    return Lab(configured.provider)


def _eventful(lab: Lab) -> None:
    """Meet every way in which a secret might get out."""
    run_call(lab)
    call = invocation()
    with pytest.raises(RemoteError), lab.telemetry.call(call):
        publish(call)
        support.finish(call)
        raise RemoteError("Gone", CANARY, [CANARY])
    for error in (LookupError(CANARY), NoSuchMethod(CANARY)):
        asked = incoming()
        with lab.telemetry.process(asked) as scope:
            asked.timeline.handler_ns = 1
            try:
                raise error
            except LookupError as caught:
                scope.failed(caught)
            except NoSuchMethod as caught:
                scope.failed(caught, expected=True)
    lab.telemetry.message_discarded("q", "json", CANARY.encode())


def test_a_call_arrives_by_http_and_holds_no_secret(receiver: Receiver) -> None:
    configured = build("nova-api", otlp_exporter(receiver.url, "http/protobuf"), {"team": "x"})
    lab = _traced(configured)
    _eventful(lab)
    assert configured.shutdown()
    assert configured.dropped == 0
    assert configured.exported == len(receiver.spans) == len(lab.spans) == 8
    request = ExportTraceServiceRequest.FromString(receiver.bodies[0])
    resource = {a.key: a.value.string_value for a in request.resource_spans[0].resource.attributes}
    assert resource["service.name"] == "nova-api"
    assert resource["team"] == "x"
    assert resource["host.name"]
    assert resource["service.instance.id"]
    assert request.resource_spans[0].scope_spans[0].schema_url.endswith("/1.44.0")
    assert CANARY.encode() not in b"".join(receiver.bodies)


def test_a_call_arrives_by_grpc() -> None:
    import grpc

    found: list[bytes] = []

    def export(body: bytes, _context: object) -> bytes:
        found.append(body)
        return ExportTraceServiceResponse().SerializeToString()

    method = grpc.unary_unary_rpc_method_handler(export)
    name = "opentelemetry.proto.collector.trace.v1.TraceService"
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {"Export": method}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        configured = build("x", otlp_exporter(f"http://127.0.0.1:{port}", "grpc"))
        run_call(_traced(configured))
        assert configured.shutdown()
    finally:
        server.stop(None)
    assert configured.exported == 4
    assert ExportTraceServiceRequest.FromString(found[0]).resource_spans


def test_an_unknown_protocol_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="http/json"):
        otlp_exporter(None, "http/json")


# ---- dead endpoints ---------------------------------------------------------------------------


def _refused() -> tuple[str, Any]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}", None


def _black_hole() -> tuple[str, Any]:
    hole = socket.socket()
    hole.bind(("127.0.0.1", 0))
    hole.listen(5)
    return f"http://127.0.0.1:{hole.getsockname()[1]}", hole


@pytest.mark.parametrize("make", [_refused, _black_hole])
def test_a_dead_endpoint_holds_up_shutdown_no_longer_than_asked(make: Any) -> None:
    url, hole = make()
    configured = build("x", otlp_exporter(url, "http/protobuf"))
    lab = _traced(configured)
    for _ in range(3):
        run_call(lab)
    begun = time.monotonic()
    assert not configured.shutdown(timeout_s=1.0)
    assert time.monotonic() - begun < 2.0
    assert configured.dropped == 12
    assert configured.exported == 0
    run_call(lab)
    assert configured.dropped == 16
    if hole is not None:
        hole.close()


# ---- exact counts -----------------------------------------------------------------------------


class Scripted(SpanExporter):
    """Answers as told, and can be held up."""

    def __init__(self, *answers: SpanExportResult | Exception) -> None:
        self.answers = list(answers)
        self.gate = threading.Event()
        self.gate.set()
        self.seen = 0

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        assert self.gate.wait(5)
        self.seen += len(spans)
        answer = self.answers.pop(0) if self.answers else SpanExportResult.SUCCESS
        if isinstance(answer, Exception):
            raise answer
        return answer


def _lab_over(exporter: SpanExporter, options: BatchOptions) -> tuple[Lab, BatchProcessor]:
    lab = Lab()
    processor = BatchProcessor(exporter, options)
    lab.provider.add_span_processor(processor)
    return lab, processor


def _casts(lab: Lab, count: int) -> None:
    from tracedrpc.message import Mode

    for _ in range(count):
        with lab.telemetry.call(invocation(Mode.CAST)):
            pass


def test_what_fails_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    exporter = Scripted(SpanExportResult.FAILURE, RuntimeError("boom"), RuntimeError("boom"))
    lab, processor = _lab_over(exporter, BatchOptions(max_queue_size=100, max_batch_size=5, delay_s=60))
    for expected in (5, 10, 15, 15):
        _casts(lab, 5)
        assert processor.force_flush(5000)
        assert processor.dropped == expected
    assert processor.exported == 5
    assert len([r for r in caplog.records if "telemetry_failed" in r.getMessage()]) == 1
    processor.shutdown()


def test_what_finds_the_queue_full_is_counted_exactly() -> None:
    exporter = Scripted()
    exporter.gate.clear()
    lab, processor = _lab_over(exporter, BatchOptions(max_queue_size=10, max_batch_size=2, delay_s=60))
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: _casts(lab, 25), range(4)))
    exporter.gate.set()
    assert processor.close(5.0)
    assert processor.dropped + processor.exported == 100
    assert processor.exported == exporter.seen
    assert 10 <= exporter.seen <= 12


def test_spans_leave_after_the_delay_without_being_asked() -> None:
    exporter = Scripted()
    lab, processor = _lab_over(exporter, BatchOptions(delay_s=0.05))
    _casts(lab, 3)
    give_up = time.monotonic() + 5
    while processor.exported < 3 and time.monotonic() < give_up:
        time.sleep(0.01)
    assert processor.exported == 3
    processor.shutdown()


def test_bsp_variables_are_honoured_and_nonsense_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "100")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "nonsense")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "250")
    assert BatchOptions.from_environment() == BatchOptions(100, 100, 0.25)


def test_a_forked_child_exports_its_own_spans_only(receiver: Receiver) -> None:
    script = """
import os, sys
from tests.telemetry.support import Lab, invocation
from tracedrpc.message import Mode
from tracedrpc_otel.configure import build
from tracedrpc_otel.exporting import otlp_exporter
configured = build("x", otlp_exporter(sys.argv[1], "http/protobuf"))
lab = Lab(configured.provider)
def cast(method):
    with lab.telemetry.call(invocation(Mode.CAST, method)): pass
cast("parent")
child = os.fork()
if child == 0:
    cast("child")
    os._exit(0 if configured.shutdown() and configured.exported == 1 else 9)
assert os.waitpid(child, 0)[1] == 0
assert configured.shutdown() and configured.exported == 1
"""
    _run(script, receiver.url)
    assert sorted(span.name for span in receiver.spans) == ["cast compute/child", "cast compute/parent"]


def _run(script: str, url: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, url],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | variables,
        capture_output=True, text=True, timeout=30, check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_configure_traces_a_program_that_does_nothing_else(receiver: Receiver) -> None:
    script = """
import sys, tracedrpc_otel
from opentelemetry import trace
from tests.telemetry.support import invocation
from tracedrpc._guard import installed
configured = tracedrpc_otel.configure("nova-api", endpoint=sys.argv[1])
assert tracedrpc_otel.configure("again") is configured and not configured.reason
with installed().call(invocation(method="y" * 3000)):
    trace.get_current_span().set_attribute("long", "x" * 3000)
"""
    _run(script, receiver.url)
    (span,) = receiver.spans
    assert {a.key: len(a.value.string_value) for a in span.attributes}["long"] == 1024


def test_configure_never_replaces_a_provider(receiver: Receiver) -> None:
    script = """
import tracedrpc_otel
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
theirs = TracerProvider()
trace.set_tracer_provider(theirs)
configured = tracedrpc_otel.configure("x")
assert configured.provider is None and "has set" in configured.reason
assert trace.get_tracer_provider() is theirs
assert configured.shutdown() and configured.dropped == 0
"""
    assert not _run(script, receiver.url)


def test_a_process_with_a_dead_endpoint_ends_in_time() -> None:
    script = """
import sys, logging, tracedrpc_otel
logging.disable()
from tests.telemetry.support import invocation
from tracedrpc._guard import installed
tracedrpc_otel.configure("x", endpoint=sys.argv[1])
with installed().call(invocation()): pass
"""
    begun = time.monotonic()
    _run(script, _refused()[0])
    assert time.monotonic() - begun < 9  # 5 s, and the start of an interpreter


def test_traces_exporter_none_makes_a_provider_that_exports_nothing() -> None:
    script = """
import tracedrpc_otel
configured = tracedrpc_otel.configure("x")
assert configured.provider is not None and configured.flush() and configured.shutdown()
"""
    _run(script, "", OTEL_TRACES_EXPORTER="none")


# ---- hostile SDK parts ------------------------------------------------------------------------


def test_whatever_the_sdk_throws_a_call_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    class Thrower(SpanProcessor):
        def __init__(self, where: str) -> None:
            setattr(self, where, self._throw)

        def _throw(self, *args: object, **fields: object) -> None:
            raise RuntimeError(CANARY)

    class BadSampler(type(ALWAYS_ON)):  # type: ignore[misc]
        def __init__(self) -> None:
            pass

        def should_sample(self, *args: object, **fields: object) -> Any:
            raise RuntimeError(CANARY)

    providers = [TracerProvider(shutdown_on_exit=False) for _ in range(3)]
    providers[0].add_span_processor(Thrower("on_start"))
    providers[1].add_span_processor(Thrower("on_end"))
    providers[2].add_span_processor(SimpleSpanProcessor(Scripted(RuntimeError("boom"))))
    providers.append(TracerProvider(sampler=BadSampler(), shutdown_on_exit=False))
    for provider in providers:
        telemetry = guarded(OTelTelemetry(SdkSink(provider)))
        for _ in range(2):
            with telemetry.call(invocation()) as scope, telemetry.process(incoming(dict(scope.carrier))):
                result = 42
            assert result == 42
    failures = [r for r in caplog.records if "telemetry_failed" in r.getMessage()]
    assert len(failures) == 6  # call and process, once for each provider that throws at us
    assert not any(CANARY in record.getMessage() for record in failures)
