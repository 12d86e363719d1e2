"""uvicorn in a thread of its own: started when it answers, ended within bounds."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from typing import TYPE_CHECKING, Final, Self

import anyio.to_thread
import uvicorn

from tracedrpc import _threads

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.types import ASGIApp

START_LIMIT_S: Final = 10.0
GRACE_S: Final = 1
"""Seconds that requests have left at the end; a live tail would never end by itself."""
END_LIMIT_S: Final = 5.0
THREADS: Final = 8
"""Requests that read the store at the same time; each thread has a connection with its cache."""
_BACKLOG: Final = 512


class CannotListen(Exception):
    """A port is taken or not allowed; the text says which, and which option changes it."""


class CannotServe(Exception):
    """The server did not begin to answer."""


def listen(host: str, port: int, what: str, option: str) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one.

    Raises:
        CannotListen: somebody else listens there.
    """
    try:
        return socket.create_server((host, port), backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        raise cannot_listen(host, port, what, option, error) from error


def cannot_listen(host: str, port: int, what: str, option: str, error: Exception) -> CannotListen:
    """Return the exception that says what to do about a port."""
    is_taken = isinstance(error, OSError) and error.errno in {errno.EADDRINUSE, None}  # gRPC tells no number
    reason = "is taken by another program" if is_taken else f"cannot be used ({error})"
    return CannotListen(f"port {port} of {host} {reason}: end that, or give {what} another one with {option}")


class HttpServer:
    """Serves applications on sockets while its `with` block runs. The sockets become its own."""

    def __init__(self, apps: Mapping[socket.socket, ASGIApp]) -> None:
        self._sockets = list(apps)
        self._servers = [_Server(_config(app)) for app in apps.values()]
        self._ended = threading.Event()

    def __enter__(self) -> Self:
        _threads.start("console-http", self._run)
        for server in self._servers:
            if not server.is_up.wait(START_LIMIT_S) or self._ended.is_set():
                self.__exit__()
                raise CannotServe(f"the console did not begin to answer within {START_LIMIT_S:.0f} s")
        return self

    def __exit__(self, *exc_info: object) -> None:
        for server in self._servers:
            server.should_exit = True
        if not self._ended.wait(GRACE_S + END_LIMIT_S):
            for server in self._servers:
                server.force_exit = True
            self._ended.wait(END_LIMIT_S)

    def _run(self) -> None:
        try:
            asyncio.run(_serve(self._servers, self._sockets))
        finally:
            self._ended.set()
            for server in self._servers:
                server.is_up.set()
            for each in self._sockets:
                each.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


async def _serve(servers: Sequence[_Server], sockets: Sequence[socket.socket]) -> None:
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    pairs = zip(servers, sockets, strict=True)
    await asyncio.gather(*(server.serve(sockets=[each]) for server, each in pairs))


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,  # who connects is who connects: the gate asks for it
        timeout_keep_alive=30,
        timeout_graceful_shutdown=GRACE_S,
    )
