"""The console: OTLP in by HTTP and gRPC, the store, the APIs and the page, put together."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tracedrpc_console.api import console as page_api
from tracedrpc_console.api import exported, jaeger_metrics, jaeger_v1, jaeger_v3, ui_dir
from tracedrpc_console.api.answers import Answers
from tracedrpc_console.api.tail import Tail
from tracedrpc_console.forward import Forwarder
from tracedrpc_console.ingest.grpc import GrpcIntake
from tracedrpc_console.ingest.http import otlp_routes
from tracedrpc_console.ingest.intake import Intake
from tracedrpc_console.running import Note, noted
from tracedrpc_console.security import LOOPBACK, Gate, Policy, new_token
from tracedrpc_console.serving import HttpServer, cannot_listen, listen
from tracedrpc_console.store.reader import Reader
from tracedrpc_console.store.writer import Writer

if TYPE_CHECKING:
    import socket

    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Scope

HERE: Final = "127.0.0.1"
EVERYWHERE: Final = "0.0.0.0"  # noqa: S104 - only with --allow-remote, and then with a token
PORT: Final = 16686
"""Jaeger's own, which people have in their fingers and in Grafana."""
OTLP_HTTP_PORT: Final = 4318
OTLP_GRPC_PORT: Final = 4317
RETENTION_S: Final = 72 * 3600.0
MOST_BYTES: Final = 1 << 30
JAEGER_UI: Final = "/jaeger"
WEB: Final = Path(__file__).with_name("web")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a console is to run. A port of 0 means a free one.

    Attributes:
        db: the data file; its folder is made.
        retention_s: how long things are kept.
        most_bytes: how large the file may grow.
        forward: an OTLP/HTTP endpoint that gets everything too, or None.
        ui: a build of the Jaeger UI that is served at /jaeger/, or None.
        remote_names: what others call this machine; when there are any, they may connect, with the token.
        has_token: whether the page and the APIs ask for one.
    """

    db: Path
    port: int = PORT
    otlp_http_port: int = OTLP_HTTP_PORT
    otlp_grpc_port: int = OTLP_GRPC_PORT
    retention_s: float = RETENTION_S
    most_bytes: int = MOST_BYTES
    forward: str | None = None
    ui: Path | None = None
    remote_names: tuple[str, ...] = ()
    has_token: bool = True
    token: str = field(default_factory=new_token, repr=False)

    def __post_init__(self) -> None:
        if self.remote_names and not self.has_token:
            raise ValueError("without a token nobody else may connect")


class Console:
    """A console from the entry of its `with` block to its exit.

    Attributes:
        reader: what is stored.
        url: base URL of the page and the APIs, without a slash at its end.
        otlp_url: the OTLP/HTTP endpoint.
        grpc_address: host and port of OTLP/gRPC.
        note: what other commands are told of it.

    Raises:
        CannotListen: on entry, a port is taken.
        StoreError: on entry, another process writes to the file, or it is none of ours.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.url = ""
        self.otlp_url = ""
        self.grpc_address = ""
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    @property
    def token(self) -> str | None:
        """What the page and the APIs ask for."""
        return self.settings.token if self.settings.has_token else None

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that has arrived is stored."""
        return self._writer.flush(timeout_s)

    def _start(self, stack: contextlib.ExitStack) -> None:
        settings = self.settings
        settings.db.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        page, otlp = _sockets(settings, stack)
        forwarder = stack.enter_context(Forwarder(settings.forward)) if settings.forward else None
        self._writer = stack.enter_context(
            Writer(settings.db, retention_s=settings.retention_s, max_bytes=settings.most_bytes),
        )
        self.reader = Reader(settings.db)
        stack.callback(self.reader.close)
        self.intake = Intake(self._writer, forwarder)
        grpc = stack.enter_context(_grpc(self.intake, settings.otlp_grpc_port))
        self.grpc_address = f"{HERE}:{grpc.port}"
        self.url, self.otlp_url = _url(page), _url(otlp)
        apps = {page: self._page_app(page), otlp: self._otlp_app()}
        stack.enter_context(HttpServer(apps))
        self.note = Note(self.url, self.token, self.otlp_url, str(settings.db.resolve()), os.getpid())
        stack.enter_context(noted(self.note))

    def _page_app(self, listening: socket.socket) -> ASGIApp:
        settings, reader = self.settings, self.reader
        jaeger = [*jaeger_metrics.routes(reader), *jaeger_v3.routes(reader), *jaeger_v1.routes(reader)]
        routes: list[BaseRoute] = [
            *Tail(reader).routes(),
            *exported.routes(reader),
            *page_api.routes(Answers(reader, settings.retention_s)),
            *jaeger,
            *([_jaeger_ui(settings.ui, jaeger)] if settings.ui else ()),
        ]
        app = Starlette(routes=routes, exception_handlers=page_api.HANDLERS)
        app.mount("/", _Page(directory=WEB, html=True))
        # Cookies do not know ports: a second console on this machine must not take the first one's place.
        cookie = f"tracedrpc_console_{listening.getsockname()[1]}"
        names = LOOPBACK | set(settings.remote_names)
        posts = (*jaeger_v1.POSTS, *(JAEGER_UI + path for path in jaeger_v1.POSTS))
        return Gate(app, Policy(self.token, cookie, names, posts))

    def _otlp_app(self) -> ASGIApp:
        names = LOOPBACK | set(self.settings.remote_names)
        token = self.settings.token if self.settings.remote_names else None
        app = Starlette(routes=otlp_routes(self.intake), exception_handlers=page_api.HANDLERS)
        return Gate(app, Policy(token, names=names, posts=("/v1/",), trusts_loopback=True))


def _jaeger_ui(folder: Path, api: list[Route]) -> Mount:
    """Return somebody's Jaeger UI, which looks for its API below its own address."""
    pages = [Route("/{path:path}", each.endpoint) for each in ui_dir.routes(folder, JAEGER_UI)]
    return Mount(JAEGER_UI, routes=[*api, *pages])


class _Page(StaticFiles):
    """The page's files; what is no file is a view of the page."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        try:
            return await super().get_response(path, scope)
        except HTTPException as error:
            is_missing = error.status_code == HTTPStatus.NOT_FOUND
            if not is_missing or "." in path or path.startswith("api"):
                raise
            return await super().get_response("index.html", scope)


def _sockets(settings: Settings, stack: contextlib.ExitStack) -> tuple[socket.socket, socket.socket]:
    """Listen for the page and for OTLP/HTTP."""
    host = EVERYWHERE if settings.remote_names else HERE
    page = stack.enter_context(listen(host, settings.port, "the page", "--port"))
    otlp = stack.enter_context(listen(host, settings.otlp_http_port, "OTLP/HTTP", "--otlp-http-port"))
    return page, otlp


def _grpc(intake: Intake, port: int) -> GrpcIntake:
    try:
        return GrpcIntake(intake, HERE, port)
    except OSError as error:
        raise cannot_listen(HERE, port, "OTLP/gRPC", "--otlp-grpc-port", error) from error


def _url(listening: socket.socket) -> str:
    return f"http://{HERE}:{listening.getsockname()[1]}"
