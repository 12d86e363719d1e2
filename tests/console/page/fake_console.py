"""A console of canned answers for the page: it serves web/ under the real policy, and the sample's JSON."""

from __future__ import annotations

import contextlib
import json
import mimetypes
import queue
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

from tests.console.page import answers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.console.page.drafts import Json

WEB: Final = Path(__file__).parents[3] / "dashboards/tracedrpc_console/web"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
LISTS: Final = {
    "status": answers.status, "services": answers.services, "traces": answers.traces,
    "scatter": answers.scatter, "logs": answers.logs, "methods": answers.methods,
    "map": answers.service_map, "pool": answers.pool}
NOTHING: Final = {"spans": 0, "logs": 0, "metrics": 0, "traces": 0}
KEEP: Final = "max-age=600"
POLL_S: Final = 0.02
"""How soon the server sees that it is to end."""
EMPTY: Final[dict[str, Json]] = {
    "services": {"services": []}, "traces": {"traces": [], "next": None}, "scatter": {"points": []},
    "logs": {"logs": [], "next": None}, "methods": {"methods": []}, "map": {"nodes": [], "edges": []},
    "pool": {"pools": [], "heartbeats": [], "timeouts": {}}}


class FakeConsole(ThreadingHTTPServer):
    """Serves the page on a port of its own.

    Attributes:
        is_empty: answer as a console that has received nothing.
        broken: API paths that answer 500.
        tail_began: set when somebody follows the log.
    """

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.tails: list[queue.Queue[Json | None]] = []
        self.reset()

    def reset(self) -> None:
        """Be as at the start."""
        self.end_tails()
        self.is_empty = False
        self.broken: set[str] = set()
        self.tail_began = threading.Event()

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.server_port}/"

    def say(self, **fields: Any) -> None:
        """Send a log line to everybody who tails."""
        line = {"id": 10**9, "at": answers.status({})["now"], "level": "INFO", "severity": 9,
                "service": "nova-api", "event": "", "body": "", "trace": "", "span": ""}
        line = line | {"attributes": {}} | fields
        for tail in self.tails:
            tail.put(line)

    def end_tails(self) -> None:
        """End every open stream."""
        for tail in self.tails:
            tail.put(None)
        self.tails.clear()


class _Handler(BaseHTTPRequestHandler):
    server: FakeConsole
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if parts.path.startswith("/api/c/"):
                self._api(unquote(parts.path.removeprefix("/api/c/")), parse_qs(parts.query))
            else:
                self._file(parts.path)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""

    def _file(self, path: str) -> None:
        file = (WEB / path.lstrip("/")).resolve()
        file = file / "index.html" if file.is_dir() else file
        if not file.is_relative_to(WEB) or not file.is_file():
            return self._send(404, b"", "text/plain")
        return self._send(200, file.read_bytes(), mimetypes.guess_type(file.name)[0] or "text/plain", KEEP)

    def _api(self, path: str, query: answers.Query) -> None:
        if path == "logs/tail":
            return self._tail()
        if path in self.server.broken:
            return self._json(500, {"error": f"{path}: the file is locked; try again"})
        answer = self._answer(path, query)
        if answer is None:
            return self._json(404, {"error": f"{path}: nothing of that id is stored; it may be too old"})
        return self._json(200, answer)

    def _answer(self, path: str, query: answers.Query) -> Json | None:
        if self.server.is_empty and path in EMPTY:
            return EMPTY[path]
        if path in LISTS:
            answer = LISTS[path](query)
            return answer | NOTHING if self.server.is_empty else answer
        kind, _, rest = path.partition("/")
        if kind == "explain":
            return answers.explain(rest)
        trace_id, _, more = rest.partition("/")
        if more == "logs":
            return answers.trace_logs(trace_id)
        return answers.trace(trace_id) if kind == "trace" else None

    def _tail(self) -> None:
        mine: queue.Queue[Json | None] = queue.Queue()
        self.server.tails.append(mine)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b": hello\n\n")
        self.server.tail_began.set()
        while (line := mine.get()) is not None:
            self.wfile.write(f"data: {json.dumps(line)}\n\n".encode())
        self.close_connection = True

    def _json(self, status: int, answer: Json) -> None:
        self._send(status, json.dumps(answer).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str, caching: str = "no-store") -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Content-Security-Policy": POLICY,
                   "X-Content-Type-Options": "nosniff", "Cache-Control": caching}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def fake_console(port: int = 0) -> Iterator[FakeConsole]:
    """Have a fake console running."""
    server = FakeConsole(port)
    thread = threading.Thread(target=server.serve_forever, args=(POLL_S,), name="fake-console")
    thread.start()
    try:
        yield server
    finally:
        server.end_tails()
        server.shutdown()
        thread.join(10)
        server.server_close()


if __name__ == "__main__":
    with fake_console(int(sys.argv[1])) as running, contextlib.suppress(KeyboardInterrupt):
        sys.stdout.write(f"{running.url}\n")
        sys.stdout.flush()
        threading.Event().wait()
