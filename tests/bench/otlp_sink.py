"""An OTLP/HTTP receiver that answers 200 and keeps what it gets until it is asked.

`GET /stats` counts the spans received since the last time; they are parsed only then, so that a
running measurement pays for nothing but the sockets.
"""

from __future__ import annotations

import gzip
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Sink(BaseHTTPRequestHandler):
    """One exporter's connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    received: ClassVar[list[tuple[str, bool, bytes]]] = []

    def do_POST(self) -> None:
        """Keep a batch."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        gzipped = self.headers.get("Content-Encoding") == "gzip"
        self.received.append((self.path, gzipped, body))
        self._answer(b"", "application/x-protobuf")

    def do_GET(self) -> None:
        """Count and forget what has come in."""
        batches = [self.received.pop(0) for _ in range(len(self.received))]
        stats = {
            "requests": len(batches),
            "bytes": sum(len(body) for _, _, body in batches),
            "spans": sum(spans_in(*batch) for batch in batches),
        }
        self._answer(json.dumps(stats).encode(), "application/json")

    def log_message(self, *_arguments: object) -> None:
        """Stay silent."""

    def _answer(self, body: bytes, content_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def spans_in(path: str, gzipped: bool, body: bytes) -> int:
    """Count the spans of one request."""
    if not path.endswith("/traces"):
        return 0
    request = ExportTraceServiceRequest.FromString(gzip.decompress(body) if gzipped else body)
    scopes = (scope for resource in request.resource_spans for scope in resource.scope_spans)
    return sum(len(scope.spans) for scope in scopes)


def main() -> None:
    """Serve on a free port of this machine and say which."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    sys.stdout.write(json.dumps({"port": server.server_address[1]}) + "\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
