"""OTLP/HTTP as Starlette routes: `/v1/traces`, `/v1/logs`, `/v1/metrics`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from google.protobuf.json_format import MessageToJson  # type: ignore[import-untyped]  # it ships none
from starlette.responses import Response
from starlette.routing import Route

from tracedrpc_console.ingest.answers import response
from tracedrpc_console.ingest.intake import JSON, PROTOBUF, Verdict
from tracedrpc_console.ingest.limits import BODY_MOST
from tracedrpc_console.store.signals import Signal

if TYPE_CHECKING:
    from starlette.requests import Request

    from tracedrpc_console.ingest.intake import Intake, Receipt

RETRY_AFTER_S: Final = 1
_STATUS: Final = {
    Verdict.TAKEN: 200,
    Verdict.MALFORMED: 400,
    Verdict.TOO_LARGE: 413,
    Verdict.UNKNOWN_TYPE: 415,
    Verdict.FULL: 429,
}


def otlp_routes(intake: Intake) -> list[Route]:
    """Return the routes by which exporters send to this intake."""
    return [_route(intake, signal) for signal in Signal]


def _route(intake: Intake, signal: Signal) -> Route:
    async def export(request: Request) -> Response:
        body = await _body(request)
        content_type = request.headers.get("content-type", "")
        if body is None:
            receipt = intake.refuse_too_large(signal)
        else:
            receipt = intake.accept(signal, content_type, request.headers.get("content-encoding", ""), body)
        return _answer(signal, receipt, is_json=content_type.partition(";")[0].strip().lower() == JSON)

    return Route(f"/v1/{signal}", export, methods=["POST"], name=f"otlp-{signal}")


async def _body(request: Request) -> bytes | None:
    """Return the body, None as soon as it is larger than an export may be."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > BODY_MOST:
        return None
    parts = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > BODY_MOST:
            return None
        parts.append(part)
    return b"".join(parts)


def _answer(signal: Signal, receipt: Receipt, *, is_json: bool) -> Response:
    status = _STATUS[receipt.verdict]
    if receipt.verdict is not Verdict.TAKEN:
        headers = {"retry-after": str(RETRY_AFTER_S)} if receipt.verdict is Verdict.FULL else {}
        return Response(json.dumps({"error": receipt.reason}), status, headers, JSON)
    message = response(signal, receipt)
    if is_json:
        return Response(MessageToJson(message), status, media_type=JSON)
    return Response(message.SerializeToString(), status, media_type=PROTOBUF)
