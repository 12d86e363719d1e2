"""A trace as a file to download: `/api/c/trace/{id}/export?format=`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import Response
from starlette.routing import Route

from tracedrpc_console.api.answers import NotFound
from tracedrpc_console.api.console import ROOT
from tracedrpc_console.api.questions import BadQuestion
from tracedrpc_console.exports.formats import Format, export

if TYPE_CHECKING:
    from starlette.requests import Request

    from tracedrpc_console.store.reader import Reader

CSP: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
"""Opened in the browser, a file is a page of its own that may do nothing here."""


def routes(reader: Reader) -> list[Route]:
    """Return the route of downloads."""

    def endpoint(request: Request) -> Response:
        trace_id = request.path_params["id"].lower()
        name = request.query_params.get("format", Format.OTLP.value)
        if name not in set(Format):
            raise BadQuestion(f"format={name!r} is none of {', '.join(Format)}")
        file = export(reader, trace_id, Format(name))
        if file is None:
            raise NotFound(f"there is no trace {trace_id}")
        headers = {
            "Content-Disposition": f'attachment; filename="{file.name}"', "Content-Security-Policy": CSP,
        }
        return Response(file.content, media_type=file.media_type, headers=headers)

    return [Route(f"{ROOT}/trace/{{id}}/export", endpoint, methods=["GET"])]
