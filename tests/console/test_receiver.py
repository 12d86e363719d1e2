from __future__ import annotations

import gzip
import http.client
import threading
import time
from collections.abc import Iterator

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

from tracedrpc_console.forward import Forwarder
from tracedrpc_console.receiver import MOST_BYTES, PROTOBUF, Receiver, SpanStore
from tracedrpc_console.spans import Kind


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(SpanStore()) as running:
        yield running


def export(url: str, compression: Compression = Compression.NoCompression) -> None:
    """Send a parent and its child with the SDK's own exporter."""
    resource = Resource({"service.name": "orders", "service.instance.id": "one"})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(f"{url}/v1/traces", compression=compression)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("whole", kind=SpanKind.CLIENT) as whole:
        whole.add_event("heartbeat_received", {"count": 1})
        attributes = {"text": "x", "list": ["a", "b"], "number": 1.5, "flag": True}
        tracer.start_span("part", kind=SpanKind.SERVER, attributes=attributes).end()
        whole.set_status(StatusCode.ERROR)
    provider.shutdown()


def post(receiver: Receiver, path: str, body: bytes, **headers: str) -> int:
    host = receiver.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=5)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", path, body, {"Content-Type": PROTOBUF, **sent})
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("compression", list(Compression))
def test_what_the_sdk_exports_arrives(receiver: Receiver, compression: Compression) -> None:
    export(receiver.url, compression)
    spans = {span.name: span for span in receiver.store.spans()}
    whole, part = spans["whole"], spans["part"]
    assert (whole.service, whole.instance, whole.kind, whole.is_error) == ("orders", "one", Kind.CLIENT, True)
    (beat,) = whole.events
    assert (beat.name, beat.attributes) == ("heartbeat_received", {"count": 1})
    assert (part.parent_id, part.trace_id, part.kind) == (whole.span_id, whole.trace_id, Kind.SERVER)
    assert part.attributes == {"text": "x", "list": ["a", "b"], "number": 1.5, "flag": True}
    assert whole.start_ns <= part.start_ns <= part.end_ns <= whole.end_ns


@pytest.mark.parametrize(
    ("path", "body", "headers", "status"),
    [
        ("/v1/traces", b"", {}, 200),
        ("/v1/traces", gzip.compress(b""), {"Content_Encoding": "gzip"}, 200),
        ("/v1/metrics", b"anything", {}, 200),
        ("/v1/logs", b"anything", {}, 200),
        ("/v1/traces", b"\xff\xff\xff", {}, 400),
        ("/v1/traces", b"not gzip", {"Content_Encoding": "gzip"}, 400),
        ("/v1/traces", gzip.compress(b"abc")[:-6], {"Content_Encoding": "gzip"}, 400),
        ("/v1/traces", b"", {"Content_Encoding": "br"}, 400),
        ("/v1/traces", b"{}", {"Content_Type": "application/json"}, 415),
        ("/elsewhere", b"", {}, 404),
    ],
)
def test_each_request_gets_its_status(
    receiver: Receiver, path: str, body: bytes, headers: dict[str, str], status: int,
) -> None:
    assert post(receiver, path, body, **headers) == status
    assert receiver.store.spans() == []


def test_a_huge_body_is_refused_unread(receiver: Receiver) -> None:
    assert post(receiver, "/v1/traces", b"x", Content_Length=str(MOST_BYTES + 1)) == 413


def test_waiting_ends_when_enough_has_arrived(receiver: Receiver) -> None:
    later = threading.Timer(0.2, export, (receiver.url,))
    later.start()
    assert receiver.store.wait_for(lambda spans: len(spans) == 2, 10.0)
    later.join()


def test_waiting_ends_when_the_time_is_over() -> None:
    began = time.monotonic()
    assert not SpanStore().wait_for(bool, 0.1)
    assert time.monotonic() - began < 2


def test_the_store_keeps_the_newest_spans_only() -> None:
    store = SpanStore(most=2)
    for name in ("one", "two", "three"):
        export_of = ExportTraceServiceRequest()
        export_of.resource_spans.add().scope_spans.add().spans.add(name=name)
        store.add(export_of)
    assert [span.name for span in store.spans()] == ["two", "three"]
    store.clear()
    assert store.spans() == []


def test_exports_are_passed_on() -> None:
    with Receiver(SpanStore()) as second, Forwarder(second.url) as forward:
        with Receiver(SpanStore(), forward) as first:
            export(first.url, Compression.Gzip)
        forward.flush()
        assert {span.name for span in second.store.spans()} == {"whole", "part"}
        assert (forward.sent, forward.failed) == (2, 0)


def test_a_dead_endpoint_is_counted_and_hurts_nobody() -> None:
    with Receiver(SpanStore()) as gone:
        url = gone.url
    with Forwarder(url) as forward:
        with Receiver(SpanStore(), forward) as receiver:
            export(receiver.url)
            assert len(receiver.store.spans()) == 2
        forward.flush()
        assert (forward.sent, forward.failed) == (0, 2)
        assert "refused" in forward.reason
