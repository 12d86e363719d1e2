"""Sends spans of the SDK and spans already written, in one OTLP request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SpanExportResult

from tracedrpc.semconv import SCHEMA_URL
from tracedrpc_otel.otlp_spans import Envelope
from tracedrpc_otel.sink import SCOPE_NAME, scope_version

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan


class SpanSender:
    """Sends batches with one of OpenTelemetry's OTLP exporters: their endpoint, TLS, retries, compression.

    Those take spans of the SDK only. What they do with the request once it is written is not public;
    `can_send` tells whether this version does it as we know it.

    Args:
        exporter: for HTTP or gRPC.
        resource: returns what written spans say of this process.
    """

    def __init__(self, exporter: Any, resource: Callable[[], Resource]) -> None:
        self._exporter = exporter
        self._resource = resource
        self._envelope = Envelope(SCOPE_NAME, scope_version(), SCHEMA_URL)
        send = _by_http(exporter) or _by_grpc(exporter)
        if send is None:
            raise TypeError(f"{type(exporter).__name__} sends no written spans; ask `can_send` first")
        self._send = send

    def export(self, batch: Sequence[ReadableSpan | bytes]) -> SpanExportResult:
        """Send a batch."""
        native = [span for span in batch if isinstance(span, bytes)]
        others = [span for span in batch if not isinstance(span, bytes)]
        request = self._envelope.of(native, self._resource()) if native else b""
        if others:
            request += encode_spans(others).SerializePartialToString()
        return SpanExportResult.SUCCESS if self._send(request) else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        """End the exporter, and the pause between two tries of a request under way."""
        self._exporter.shutdown()


def can_send(exporter: Any) -> bool:
    """Tell whether written spans can be sent with an exporter."""
    return (_by_http(exporter) or _by_grpc(exporter)) is not None


def _by_http(exporter: Any) -> Callable[[bytes], bool] | None:
    send = getattr(getattr(exporter, "_client", None), "export", None)
    return None if send is None else lambda request: bool(send(request).success)


def _by_grpc(exporter: Any) -> Callable[[bytes], bool] | None:
    """Let the exporter's loop of retries have the request for what it makes of spans."""
    if not (hasattr(exporter, "_export") and hasattr(exporter, "_translate_data")):
        return None
    exporter._translate_data = ExportTraceServiceRequest.FromString  # noqa: SLF001 - see `SpanSender`
    exporter._count_data = _count  # noqa: SLF001
    return lambda request: exporter._export(request) is SpanExportResult.SUCCESS  # noqa: SLF001


def _count(request: bytes) -> int:
    """Return how many spans a request has, for the exporter's metrics of itself."""
    return sum(
        len(scope_spans.spans)
        for resource_spans in ExportTraceServiceRequest.FromString(request).resource_spans
        for scope_spans in resource_spans.scope_spans
    )
