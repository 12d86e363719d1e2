"""How Jaeger's two APIs write answers and errors."""

from __future__ import annotations

import json
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response

from tracedrpc_console.api.jaeger_params import ParamError, flag

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request

    Endpoint = Callable[[Request], Response]

JSON: Final = "application/json"


def document(content: Any, status: int = 200, *, pretty: bool = False) -> Response:
    """Return JSON without an envelope."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=4 if pretty else None)
    return Response(text, status, media_type=JSON)


def envelope(
    request: Request, data: Any, *, total: int = 0, errors: Sequence[Any] | None = None, status: int = 200,
) -> Response:
    """Return an answer of version 1."""
    content = {"data": data, "total": total, "limit": 0, "offset": 0, "errors": errors}
    return document(content, status, pretty=_is_pretty(request))


def _is_pretty(request: Request) -> bool:
    try:
        return flag("prettyPrint", request.query_params.get("prettyPrint", ""))
    except ParamError:
        return False


def problem(request: Request, status: int, message: str, trace_id: str = "") -> Response:
    """Return an error of version 1."""
    error = {"code": status, "msg": message} | ({"traceID": trace_id} if trace_id else {})
    return envelope(request, None, errors=[error], status=status)


def problem_v3(status: int, message: str) -> Response:
    """Return an error of version 3."""
    return document({"error": {"httpCode": status, "message": message}}, status)


def guarded_v1(answer: Endpoint) -> Endpoint:
    """Let parameters that cannot be read become an error of version 1."""
    @wraps(answer)
    def guarded(request: Request) -> Response:
        try:
            return answer(request)
        except ParamError as error:
            return problem(request, error.status, str(error))
    return guarded


def guarded_v3(answer: Endpoint) -> Endpoint:
    """Let parameters that cannot be read become an error of version 3."""
    @wraps(answer)
    def guarded(request: Request) -> Response:
        try:
            return answer(request)
        except ParamError as error:
            return problem_v3(error.status, str(error))
    return guarded
