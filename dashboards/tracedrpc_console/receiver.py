"""Takes spans by OTLP/HTTP on a free port of the loopback interface, and keeps them in memory."""

from __future__ import annotations

import gzip
import threading
import zlib
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Self

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it ships none
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tracedrpc_console.spans import Event, Kind, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1 import trace_pb2

TRACES: Final = "/v1/traces"
IGNORED: Final = frozenset({"/v1/metrics", "/v1/logs"})
PROTOBUF: Final = "application/x-protobuf"
MOST_SPANS: Final = 200_000
WAITING_MOST: Final = 2000
"""Exports that are kept as they came; a program left alone for a night must not grow."""
MOST_BYTES: Final = 64 * 1024 * 1024
_KINDS: Final = tuple(Kind)
"""By their numbers in OTLP."""
_STATUS_ERROR: Final = 2


class SpanStore:
    """The newest spans that arrived. Thread-safe.

    Exports become `Span`s when somebody asks for them: the traffic runs in the same process, and
    its calls should not wait for the interpreter lock meanwhile.
    """

    def __init__(self, most: int = MOST_SPANS) -> None:
        self._spans: deque[Span] = deque(maxlen=most)
        self._exports: list[ExportTraceServiceRequest] = []
        self._changed = threading.Condition()

    def add(self, export: ExportTraceServiceRequest) -> None:
        """Keep an export's spans, and wake who waits for them."""
        with self._changed:
            self._exports.append(export)
            if len(self._exports) > WAITING_MOST:
                self._decode()
            self._changed.notify_all()

    def spans(self) -> list[Span]:
        """Return what is kept, in the order of arrival."""
        with self._changed:
            return self._decode()

    def clear(self) -> None:
        """Forget everything."""
        with self._changed:
            self._exports.clear()
            self._spans.clear()

    def wait_for(self, is_enough: Callable[[list[Span]], bool], timeout_s: float) -> bool:
        """Wait until the spans are what is wanted; False when the time is over before."""
        with self._changed:
            return self._changed.wait_for(lambda: is_enough(self._decode()), timeout_s)

    def _decode(self) -> list[Span]:
        for export in self._exports:
            self._spans.extend(decode(export))
        self._exports.clear()
        return list(self._spans)


class Receiver:
    """An OTLP/HTTP endpoint while its `with` block runs.

    Args:
        store: where spans go.
        forward: called with (path, content type, encoding, body) of what was accepted; must be quick.
    """

    def __init__(
        self, store: SpanStore, forward: Callable[[str, str, str, bytes], None] | None = None,
    ) -> None:
        self.store = store
        self.forward = forward
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.receiver = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="otlp-receiver",
        )

    @property
    def url(self) -> str:
        """The base URL for `OTEL_EXPORTER_OTLP_ENDPOINT`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    receiver: Receiver

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: an exporter that hangs up is not our trouble."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet, or the exporter's kernel waits 40 ms to confirm
    timeout = 30
    server: _Server

    def do_POST(self) -> None:
        status, answer = self._take()
        self.send_response(status)
        self.send_header("Content-Type", PROTOBUF)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Write nothing to the terminal."""

    def _take(self) -> tuple[int, bytes]:
        """Accept one export; return the answer's status and body."""
        length = int(self.headers.get("Content-Length") or 0)
        if length > MOST_BYTES:
            self.close_connection = True
            return 413, b""
        body = self.rfile.read(length)
        if self.path not in IGNORED and self.path != TRACES:
            return 404, b""
        kind = self.headers.get("Content-Type", "")
        encoding = self.headers.get("Content-Encoding", "")
        if self.path == TRACES:
            if kind.partition(";")[0].strip() != PROTOBUF:
                return 415, b""
            try:
                self.server.receiver.store.add(
                    ExportTraceServiceRequest.FromString(_unpacked(body, encoding)),
                )
            except (DecodeError, OSError, EOFError, ValueError, zlib.error):
                return 400, b""
        if self.server.receiver.forward is not None:
            self.server.receiver.forward(self.path, kind, encoding, body)
        return 200, ExportTraceServiceResponse().SerializeToString()


def _unpacked(body: bytes, encoding: str) -> bytes:
    match encoding:
        case "gzip":
            return gzip.decompress(body)
        case "deflate":
            return zlib.decompress(body)
        case "" | "identity":
            return body
    raise ValueError(encoding)


def decode(request: ExportTraceServiceRequest) -> list[Span]:
    """Return the spans of an OTLP export request."""
    return [
        _span(span, _attributes(of_resource.resource.attributes))
        for of_resource in request.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def _span(span: trace_pb2.Span, resource: dict[str, Any]) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        service=str(resource.get("service.name", "unknown_service")),
        name=span.name,
        kind=_KINDS[span.kind] if span.kind < len(_KINDS) else Kind.UNSPECIFIED,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        is_error=span.status.code == _STATUS_ERROR,
        attributes=_attributes(span.attributes),
        events=tuple(
            Event(event.name, event.time_unix_nano, _attributes(event.attributes))
            for event in span.events
        ),
        instance=str(resource.get("service.instance.id", "")),
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_value(item) for item in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case name:
            return getattr(value, name)
