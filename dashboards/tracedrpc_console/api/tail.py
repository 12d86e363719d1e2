"""The live tail of log records as server-sent events.

Nothing is kept for a client: each is a place in the order of arrival, read on from when it has taken
what it got. One that is far too slow goes on with what is new, and is told.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tracedrpc_console.api import shapes
from tracedrpc_console.api.console import ROOT
from tracedrpc_console.api.questions import Question

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from tracedrpc_console.store.model import LogQuery
    from tracedrpc_console.store.reader import Reader

PATH: Final = f"{ROOT}/logs/tail"
CLIENTS_MOST: Final = 16
BATCH: Final = 500
BEHIND_MOST_US: Final = 60_000_000
"""A client that is so far behind goes on with what is new."""
SETTLED_US: Final = 10_000_000
"""Nothing older than this is still about to be stored: ids are instants of arrival in microseconds."""
POLL_S: Final = 0.5
HEARTBEAT_S: Final = 15.0
_HEARTBEAT: Final = ": still here\n\n"


class Tail:
    """Streams of new log records; at most CLIENTS_MOST at a time. All of it runs on one loop."""

    def __init__(self, reader: Reader, clients_most: int = CLIENTS_MOST) -> None:
        self._reader = reader
        self._clients_most = clients_most
        self._clients = 0

    def routes(self) -> list[Route]:
        """Return the route of the tail."""
        return [Route(PATH, self._endpoint, methods=["GET"])]

    async def _endpoint(self, request: Request) -> Response:
        query = Question(request.query_params.multi_items()).logs()
        if self._clients >= self._clients_most:
            text = f"{self._clients} tails are followed already: close one"
            return JSONResponse({"error": text}, 503, {"Retry-After": "5"})
        self._clients += 1
        return _Stream(self._events(query), self._left)

    def _left(self) -> None:
        self._clients -= 1

    async def _events(self, query: LogQuery) -> AsyncIterator[str]:
        yield _HEARTBEAT
        said_at, after_id = time.monotonic(), _now_us()
        while True:
            lines, after_id, has_more = await run_in_threadpool(self._read, query, after_id, _now_us())
            if not lines and time.monotonic() - said_at >= HEARTBEAT_S:
                lines = [_HEARTBEAT]
            if lines:
                yield "".join(lines)
                said_at = time.monotonic()
            if not has_more:
                await asyncio.sleep(POLL_S)

    def _read(self, query: LogQuery, after_id: int, now_us: int) -> tuple[list[str], int, bool]:
        """Return what arrived after an id, the id to go on from, and whether there is more already."""
        lines, behind_us = [], now_us - after_id
        if behind_us > BEHIND_MOST_US:
            lines.append(f'event: skipped\ndata: {{"seconds": {behind_us / 1e6:.0f}}}\n\n')
            after_id = now_us
        found = self._reader.logs(replace(query, after_id=after_id, limit=BATCH, before=None)).items
        lines += [f"data: {json.dumps(shapes.log(row))}\n\n" for row in found]
        if len(found) == BATCH:
            return lines, found[-1].id, True
        return lines, max(after_id, now_us - SETTLED_US, *(row.id for row in found)), False


class _Stream(StreamingResponse):
    """A stream that says when it has ended, however it ended."""

    def __init__(self, events: AsyncIterator[str], on_end: Callable[[], None]) -> None:
        super().__init__(events, media_type="text/event-stream")
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._on_end()


def _now_us() -> int:
    return time.time_ns() // 1000
