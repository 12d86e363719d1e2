"""A real OTLP endpoint for tests: HTTP and gRPC, spans, logs and metrics, from any process.

    with OtlpReceiver() as receiver:
        run(OTEL_EXPORTER_OTLP_ENDPOINT=receiver.http_url)
        assert receiver.wait_for(lambda it: len(it.spans) == 4, timeout=10)
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

import grpc

from tests.telemetry.otlp_values import LogData, PointData, SpanData, logs_of, points_of, spans_of

if TYPE_CHECKING:
    from collections.abc import Callable

PATHS = {"/v1/traces": "traces", "/v1/logs": "logs", "/v1/metrics": "metrics"}
SERVICES = {
    "opentelemetry.proto.collector.trace.v1.TraceService": "traces",
    "opentelemetry.proto.collector.logs.v1.LogsService": "logs",
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "metrics",
}
UNPACK = {"": bytes, "identity": bytes, "gzip": gzip.decompress, "deflate": zlib.decompress}


@dataclass(frozen=True)
class Export:
    """One request as it came: which signal, by "http" or "grpc", unpacked."""

    signal: str
    protocol: str
    headers: dict[str, str]
    body: bytes


class OtlpReceiver:
    """Takes exports from its making to `close`, on free ports of the loopback interface.

    Attributes:
        http_url, grpc_url: what goes into `OTEL_EXPORTER_OTLP_ENDPOINT`.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._exports: list[Export] = []
        self._spans: list[SpanData] = []
        self._logs: list[LogData] = []
        self._metrics: list[PointData] = []
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.receiver = self
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.02,), name="otlp-receiver", daemon=True,
        )
        self._thread.start()
        self._workers = ThreadPoolExecutor(4, "otlp-receiver-grpc")
        self._grpc = grpc.server(self._workers, options=[("grpc.so_reuseport", 0)])
        self._grpc.add_generic_rpc_handlers(tuple(
            grpc.method_handlers_generic_handler(service, {"Export": self._method(signal)})
            for service, signal in SERVICES.items()
        ))
        self.grpc_url = f"http://127.0.0.1:{self._grpc.add_insecure_port('127.0.0.1:0')}"
        self.http_url = f"http://127.0.0.1:{self._http.server_port}"
        self._grpc.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop; what was received stays. Idempotent."""
        self._http.shutdown()
        self._http.server_close()
        self._http.hang_up()
        self._thread.join()
        self._grpc.stop(None).wait()
        self._workers.shutdown()

    @property
    def spans(self) -> list[SpanData]:
        """All spans, in the order of arrival."""
        with self._changed:
            return list(self._spans)

    @property
    def logs(self) -> list[LogData]:
        """All log records, in the order of arrival."""
        with self._changed:
            return list(self._logs)

    @property
    def metrics(self) -> list[PointData]:
        """All points of all metrics, in the order of arrival: a periodic reader repeats itself."""
        with self._changed:
            return list(self._metrics)

    @property
    def exports(self) -> list[Export]:
        """All requests, for tests that look at headers or at every byte."""
        with self._changed:
            return list(self._exports)

    def latest(self, name: str) -> list[PointData]:
        """Return a metric's newest point for each process and set of attributes."""
        newest = {
            (point.resource.get("service.instance.id"), *sorted(map(str, point.attributes.items()))): point
            for point in self.metrics
            if point.name == name
        }
        return list(newest.values())

    def wait_for(self, predicate: Callable[[OtlpReceiver], object], timeout: float = 10.0) -> bool:
        """Wait until what arrived satisfies; False when `timeout` seconds are over before."""
        with self._changed:
            return bool(self._changed.wait_for(lambda: predicate(self), timeout))

    def clear(self) -> None:
        """Forget what has arrived so far."""
        with self._changed:
            for kept in (self._exports, self._spans, self._logs, self._metrics):
                kept.clear()

    def take(self, export: Export) -> None:
        """Keep a request; raises when it is no such message."""
        spans = spans_of(export.body) if export.signal == "traces" else []
        logs = logs_of(export.body) if export.signal == "logs" else []
        points = points_of(export.body) if export.signal == "metrics" else []
        with self._changed:
            self._exports.append(export)
            self._spans += spans
            self._logs += logs
            self._metrics += points
            self._changed.notify_all()

    def _method(self, signal: str) -> Any:
        def export(body: bytes, context: grpc.ServicerContext) -> bytes:
            headers = {key: str(value) for key, value in context.invocation_metadata()}
            self.take(Export(signal, "grpc", headers, body))
            return b""  # an empty message: everything was accepted

        return grpc.unary_unary_rpc_method_handler(export)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    receiver: OtlpReceiver

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.sockets: set[Any] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.sockets.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.sockets.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """End the connections that exporters keep alive, and with them their threads."""
        for request in list(self.sockets):
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: an exporter that is killed hangs up in the middle."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet, or the exporter's kernel waits 40 ms to confirm
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        status = self._take(body)
        self.send_response(status)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass

    def _take(self, body: bytes) -> int:
        headers = {key.lower(): value for key, value in self.headers.items()}
        if self.path not in PATHS:
            return 404
        unpacked = UNPACK[headers.get("content-encoding", "")](body)
        self.server.receiver.take(Export(PATHS[self.path], "http", headers, unpacked))
        return 200
