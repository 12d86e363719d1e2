"""OTLP/gRPC: the three export services on one port."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, Self

import grpc  # type: ignore[import-untyped]  # it ships none

from tracedrpc_console.ingest.answers import response
from tracedrpc_console.ingest.intake import PROTOBUF, Verdict
from tracedrpc_console.ingest.limits import BODY_MOST
from tracedrpc_console.store.signals import Signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracedrpc_console.ingest.intake import Intake

WORKERS: Final = 2
STOP_S: Final = 2.0
_SERVICES: Final = {
    Signal.TRACES: "opentelemetry.proto.collector.trace.v1.TraceService",
    Signal.LOGS: "opentelemetry.proto.collector.logs.v1.LogsService",
    Signal.METRICS: "opentelemetry.proto.collector.metrics.v1.MetricsService",
}
_CODES: Final = {
    Verdict.MALFORMED: grpc.StatusCode.INVALID_ARGUMENT,
    Verdict.TOO_LARGE: grpc.StatusCode.INVALID_ARGUMENT,
    Verdict.UNKNOWN_TYPE: grpc.StatusCode.INVALID_ARGUMENT,
    Verdict.FULL: grpc.StatusCode.RESOURCE_EXHAUSTED,
}


class GrpcIntake:
    """Takes OTLP/gRPC while its `with` block runs.

    The message is read by the intake and not by gRPC, which would call a malformed one an internal error.

    Args:
        intake: what takes the exports.
        host, port: where; port 0 is a free one.

    Attributes:
        port: the port.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, intake: Intake, host: str = "127.0.0.1", port: int = 4317) -> None:
        self._server = grpc.server(
            ThreadPoolExecutor(WORKERS, thread_name_prefix="tracedrpc-otlp-grpc"),
            handlers=[_handler(intake, signal) for signal in Signal],
            options=[("grpc.max_receive_message_length", BODY_MOST), ("grpc.so_reuseport", 0)],
        )
        try:
            self.port = self._server.add_insecure_port(f"{host}:{port}")
        except RuntimeError as error:
            raise OSError(f"OTLP/gRPC port {port} of {host} is taken; choose another one") from error

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.stop(STOP_S).wait(STOP_S)


def _handler(intake: Intake, signal: Signal) -> grpc.GenericRpcHandler:
    method = grpc.unary_unary_rpc_method_handler(
        _export(intake, signal), response_serializer=lambda message: message.SerializeToString(),
    )
    return grpc.method_handlers_generic_handler(_SERVICES[signal], {"Export": method})


def _export(intake: Intake, signal: Signal) -> Callable[[bytes, grpc.ServicerContext], Any]:
    def export(body: bytes, context: grpc.ServicerContext) -> Any:
        receipt = intake.accept(signal, PROTOBUF, "", body)
        if receipt.verdict is not Verdict.TAKEN:
            context.abort(_CODES[receipt.verdict], receipt.reason)
        return response(signal, receipt)

    return export
