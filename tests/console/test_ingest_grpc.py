"""OTLP/gRPC, and exporters of the OpenTelemetry SDK over both transports."""

from __future__ import annotations

import logging
import threading

import grpc
import pytest
import uvicorn
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2_grpc import MetricsServiceStub
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import TraceServiceStub
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from starlette.applications import Starlette

from tests.console.exports import a_log, a_span, gauge_export, log_export, trace_export, trace_id
from tests.console.stores import store
from tracedrpc_console.ingest.grpc import GrpcIntake
from tracedrpc_console.ingest.http import otlp_routes
from tracedrpc_console.ingest.limits import BODY_MOST
from tracedrpc_console.store.inbox import Inbox
from tracedrpc_console.store.model import TraceQuery

TRACE_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


@pytest.fixture
def a_store():
    with store() as made:
        yield made


@pytest.fixture
def server(a_store):
    with GrpcIntake(a_store.intake, port=0) as made:
        yield made


@pytest.fixture
def channel(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as made:
        yield made


def test_the_three_services_take_exports_packed_or_not(a_store, channel):
    for packing in (None, grpc.Compression.Gzip, grpc.Compression.Deflate):
        TraceServiceStub(channel).Export(trace_export(a_span()), timeout=10, compression=packing)
        LogsServiceStub(channel).Export(log_export(a_log()), timeout=10, compression=packing)
        MetricsServiceStub(channel).Export(gauge_export("used", (0, 1.0)), timeout=10, compression=packing)
    assert a_store.writer.flush(10)
    status = a_store.reader.status()
    assert (status.spans, status.logs, status.points) == (1, 3, 1)


def test_what_is_refused_of_an_export_is_told(a_store, channel):
    request = trace_export(a_span(), a_span(place=2))
    request.resource_spans[0].scope_spans[0].spans[0].trace_id = b""
    told = TraceServiceStub(channel).Export(request, timeout=10).partial_success
    assert (told.rejected_spans, told.error_message) == (1, "refused: 1 bad_id")


def test_malformed_and_oversized_messages_are_refused_and_nothing_else_is_lost(a_store, channel):
    send = channel.unary_unary(TRACE_EXPORT)
    with pytest.raises(grpc.RpcError) as malformed:
        send(b"\xff\xff\xff", timeout=10)
    assert malformed.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    for packing in (None, grpc.Compression.Gzip):
        with pytest.raises(grpc.RpcError) as too_large:
            send(b"\0" * (BODY_MOST + 1), timeout=10, compression=packing)
        assert too_large.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    TraceServiceStub(channel).Export(trace_export(a_span()), timeout=10)
    assert a_store.writer.flush(10)
    assert a_store.reader.status().spans == 1
    assert a_store.reader.status().dropped == {"traces": {"malformed": 1}}


def test_when_the_queue_is_full_the_sender_is_told_to_come_again():
    with (
        store(inbox=Inbox(bytes_most=0)) as full,
        GrpcIntake(full.intake, port=0) as server,
        grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel,
        pytest.raises(grpc.RpcError) as error,
    ):
        TraceServiceStub(channel).Export(trace_export(a_span()), timeout=10)
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_a_port_that_is_taken_is_named(server, a_store):
    with pytest.raises(OSError, match=f"port {server.port} of 127.0.0.1 is taken"):
        GrpcIntake(a_store.intake, port=server.port)


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_spans_of_the_sdk_arrive_over_its_own_exporters(a_store, server, transport):
    with served(otlp_routes(a_store.intake)) as http_port:
        exporter = (
            GrpcExporter(endpoint=f"127.0.0.1:{server.port}", insecure=True) if transport == "grpc"
            else HttpExporter(endpoint=f"http://127.0.0.1:{http_port}/v1/traces")
        )
        provider = TracerProvider(resource=Resource({"service.name": "real"}))
        provider.add_span_processor(BatchSpanProcessor(exporter))
        tracer = provider.get_tracer("test", "1")
        for n in range(1000):
            with tracer.start_as_current_span("outer"):
                tracer.start_span("inner", attributes={"n": n}).end()
        assert provider.force_flush(20_000)
        provider.shutdown()
    assert a_store.writer.flush(20)
    status = a_store.reader.status()
    assert (status.spans, status.traces) == (2000, 1000)
    (found,) = a_store.reader.find_traces(TraceQuery(service="real", attributes={"n": "77"})).items
    assert (found.root_name, found.spans, found.orphans) == ("outer", 2, 0)


class served:  # noqa: N801 - read as a verb
    """Serves routes over HTTP on a free port while its `with` block runs."""

    def __init__(self, routes):
        config = uvicorn.Config(Starlette(routes=routes), port=0, log_level=logging.WARNING, lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self):
        self._thread.start()
        for _ in range(2000):
            if self._server.started:
                return self._server.servers[0].sockets[0].getsockname()[1]
            self._thread.join(0.01)
        raise TimeoutError("the HTTP server did not start")

    def __exit__(self, *exc_info):
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()


def test_exports_of_two_transports_are_one_trace(a_store, channel):
    TraceServiceStub(channel).Export(trace_export(a_span(place=2, parent=1, service="compute")), timeout=10)
    assert a_store.writer.flush(10)
    a_store.spans(a_span())
    assert len(a_store.reader.trace(trace_id(1)) or []) == 2
