"""The page's JSON API: each path below `/api/c/` is one method of `Answers`."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tracedrpc_console.api.answers import Answers, NotFound
from tracedrpc_console.api.questions import BadQuestion, Question

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import ExceptionHandler

    from tracedrpc_console.api.shapes import Shape

ROOT: Final = "/api/c"
PLAIN: Final[dict[str, Callable[[Answers, Question], Shape]]] = {
    "status": Answers.status, "services": Answers.services, "operations": Answers.operations,
    "traces": Answers.traces, "scatter": Answers.scatter, "logs": Answers.logs,
    "methods": Answers.methods, "map": Answers.map, "pool": Answers.pool,
}
"""What needs nothing but its parameters, by the path below ROOT."""


def routes(answers: Answers) -> list[Route]:
    """Return the route of the API; the store is read in threads."""

    def endpoint(request: Request) -> Response:
        return JSONResponse(ask(answers, request.path_params["path"], request.query_params.multi_items()))

    return [Route(f"{ROOT}/{{path:path}}", endpoint, methods=["GET"])]


def ask(answers: Answers, path: str, pairs: list[tuple[str, str]]) -> Shape:
    """Return the answer to a path below ROOT, without HTTP.

    Raises:
        BadQuestion: a parameter cannot be understood.
        NotFound: there is no such trace, or no such path.
    """
    question = Question(pairs)
    if path in PLAIN:
        return PLAIN[path](answers, question)
    match path.rstrip("/").split("/"):
        case ["trace", trace_id]:
            return answers.trace(trace_id, question)
        case ["trace", trace_id, "logs"]:
            return answers.trace_logs(trace_id, question)
        case ["explain", wanted]:
            return answers.explain(wanted, question)
    raise NotFound(f"there is no {ROOT}/{path}")


def _bad(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)


def _missing(_: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 404)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for nothing else
    is_missing = error.status_code == HTTPStatus.NOT_FOUND
    text = f"there is nothing at {request.url.path}" if is_missing else error.detail
    return JSONResponse({"error": text}, error.status_code, error.headers)


def _failed(_: Request, error: Exception) -> Response:
    text = f"the console failed on this ({type(error).__name__}); its log has more"
    return JSONResponse({"error": text}, 500)


HANDLERS: Final[dict[int | type[Exception], ExceptionHandler]] = {
    BadQuestion: _bad, NotFound: _missing, HTTPException: _http, Exception: _failed,
}
"""What an application with these routes answers to exceptions."""
