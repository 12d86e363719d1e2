"""A whole console on free ports, with a small story in it."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.console.exports import log_export, trace_export
from tracedrpc import semconv
from tracedrpc_console.server import Console, Settings
from tracedrpc_console.spans import Event, Kind
from tracedrpc_console.store.model import LogRow, SpanRow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MS = 1_000_000
START_NS = 1_795_370_000 * 10**9
SLOW = "a" * 32
DEAD = "b" * 32
MSG_ID = "c" * 32
WHY = "no server is listening on 'gone'"


ODD = {"odd": float("inf"), "big": 2**60, "raw": b"\x00\xff"}


def story() -> list[SpanRow]:
    """Return a slow call with all its parts, and one that timed out."""
    call = {semconv.RPC_METHOD: "compute/boot", semconv.MODE: "call"}
    phases = {semconv.phase_ms("queue"): 10.0, semconv.phase_ms("handler"): 24.0}
    beat = (Event("heartbeat_received", START_NS + 20 * MS, {"tracedrpc.heartbeat.count": 1}),)
    return [
        row(
            "1", "", "api", "compute/boot", Kind.CLIENT, 0, 40, {**call, **phases, semconv.MSG_ID: MSG_ID},
            events=beat,
        ),
        row("2", "1", "api", "publish nova:compute", Kind.CLIENT, 1, 2, {}),
        row("3", "1", "compute", "compute/boot", Kind.SERVER, 12, 36, {semconv.RPC_METHOD: "compute/boot"}),
        row("4", "9", "compute", "lost", Kind.INTERNAL, 13, 14, ODD),
        row(
            "5", "", "api", "gone/boot", Kind.CLIENT, 100, 1100, trace_id=DEAD, is_error=True,
            attributes={
                semconv.RPC_METHOD: "gone/boot", semconv.MODE: "call", semconv.WHY: WHY,
                semconv.TIMEOUT_PHASE: "unroutable", semconv.ERROR_TYPE: "MessagingTimeout",
            },
        ),
    ]


def row(
    span_id: str, parent_id: str, service: str, name: str, kind: Kind, start_ms: float, end_ms: float,
    attributes: dict[str, Any], *, trace_id: str = SLOW, **fields: Any,
) -> SpanRow:
    parent = parent_id and parent_id.zfill(16)
    resource = {"service.name": service, "service.version": "1.2"}
    return SpanRow(
        trace_id, span_id.zfill(16), parent, service, name, kind, START_NS + int(start_ms * MS),
        START_NS + int(end_ms * MS), attributes=attributes, resource=resource, **fields,
    )


def record(body: str, at_ms: float = 0, **fields: Any) -> LogRow:
    given = {"severity": 9, "level": "INFO", "service": "api", "trace_id": SLOW, "span_id": "1".zfill(16)}
    given |= {"event": ""} | fields
    resource = {"service.name": given["service"]}
    return LogRow(0, START_NS + int(at_ms * MS), body=body, resource=resource, **given)


@contextmanager
def console(folder: Path, **settings: Any) -> Iterator[Console]:
    """Run a console with nothing in it."""
    free = {"port": 0, "otlp_http_port": 0, "otlp_grpc_port": 0}
    with Console(Settings(**{"db": folder / "console.db", **free, **settings})) as running:
        yield running


def tell(running: Console, *rows: SpanRow | LogRow) -> None:
    """Export spans and log records to a console, as OTLP over HTTP."""
    spans = [each for each in rows if isinstance(each, SpanRow)]
    logs = [each for each in rows if isinstance(each, LogRow)]
    for path, request in (("traces", spans and trace_export(*spans)), ("logs", logs and log_export(*logs))):
        if request:
            body = request.SerializeToString()
            status, _ = ask(f"{running.otlp_url}/v1/{path}", body=body, Content_Type="application/x-protobuf")
            assert status == 200
    assert running.flush(20)


def ask(address: str, token: str | None = None, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    """Return the status and the JSON, or else the bytes, of an answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    shown = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(address, body, shown | named)  # noqa: S310 - a console of our own
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - see above
            return answer.status, _read(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _read(error)


def get(running: Console, path: str) -> Any:
    """Return the JSON of a path below /api/c/, which must be there."""
    status, answer = ask(f"{running.url}/api/c/{path}", running.token)
    assert status == 200, answer
    return answer


def _read(answer: Any) -> Any:
    content = answer.read()
    return json.loads(content) if answer.headers.get_content_type() == "application/json" else content
