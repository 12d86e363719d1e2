"""The answers of OTLP to an export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tracedrpc_console.store.signals import Signal

if TYPE_CHECKING:
    from tracedrpc_console.ingest.intake import Receipt

_RESPONSES: Final[dict[Signal, tuple[type[Any], str]]] = {
    Signal.TRACES: (ExportTraceServiceResponse, "rejected_spans"),
    Signal.LOGS: (ExportLogsServiceResponse, "rejected_log_records"),
    Signal.METRICS: (ExportMetricsServiceResponse, "rejected_data_points"),
}


def response(signal: Signal, receipt: Receipt) -> Any:
    """Return the response message; `partial_success` is set only when something was refused."""
    kind, field = _RESPONSES[signal]
    answer = kind()
    if receipt.refused:
        setattr(answer.partial_success, field, receipt.refused)
        answer.partial_success.error_message = receipt.reason
    return answer
