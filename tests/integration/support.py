"""Clients and servers on a real broker, and a look at the broker past them."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

import amqp

import tracedrpc
from tracedrpc.testing import RecordingTelemetry
from tracedrpc.url import TransportURL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOON_S = 10.0
"""Longest wait for what should happen at once; a busy machine is slow."""


class Endpoint:
    """What the servers of the tests offer.

    Attributes:
        calls: (method, arguments) of what has been executed.
        entered: a handler of `hold` runs.
        goes_on: lets handlers of `hold` return.
    """

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.contexts: list[dict[str, Any]] = []
        self.entered = threading.Semaphore(0)
        self.goes_on = threading.Event()
        self._changed = threading.Condition()

    def _note(self, ctxt: dict[str, Any], method: str, **args: Any) -> None:
        with self._changed:
            self.calls.append((method, args))
            self.contexts.append(ctxt)
            self._changed.notify_all()

    def wait_for(self, count: int, timeout_s: float = SOON_S) -> None:
        """Wait until so many calls have been executed."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.calls) >= count, timeout_s), self.calls

    def echo(self, ctxt: dict[str, Any], value: Any = None) -> Any:
        self._note(ctxt, "echo", value=value)
        return value

    def twice(self, ctxt: dict[str, Any], value: str) -> str:
        self._note(ctxt, "twice", value=value)
        return value * 2

    def who(self, ctxt: dict[str, Any]) -> str:
        self._note(ctxt, "who")
        return self.name

    def note(self, ctxt: dict[str, Any], value: Any = None) -> None:
        self._note(ctxt, "note", value=value)

    def hold(self, ctxt: dict[str, Any], value: Any = None) -> Any:
        """Return when the test says so."""
        self._note(ctxt, "hold", value=value)
        self.entered.release()
        assert self.goes_on.wait(30)
        return value

    def fail(self, ctxt: dict[str, Any], text: str = "no") -> None:
        self._note(ctxt, "fail", text=text)
        raise ValueError(text)

    def give_object(self, ctxt: dict[str, Any]) -> object:
        self._note(ctxt, "give_object")
        return {"inner": [object()]}


class Site:
    """Transports, servers and clients of one test; `close` ends them and tidies up the broker."""

    def __init__(self, url: str, topic: str, exchange: str) -> None:
        self.url = url
        self.topic = topic
        self.exchange = exchange
        self.telemetry = RecordingTelemetry()
        self._transports: list[Any] = []
        self._servers: list[Any] = []
        self._endpoints: list[Endpoint] = []
        self._topics = {topic}

    # ---- made of tracedrpc --------------------------------------------------------------------

    def transport(
        self, telemetry: Any = None, allowed: Any = None, url: str | None = None, **options: Any,
    ) -> Any:
        """Return a new transport; its telemetry is the site's unless it is given another."""
        query = urlencode({"control_exchange": self.exchange} | options)
        made = tracedrpc.get_rpc_transport(
            url=f"{url or self.url}?{query}", allowed_remote_exmods=allowed,
            telemetry=telemetry or self.telemetry,
        )
        self._transports.append(made)
        return made

    def serve(
        self, *endpoints: Any, server: str = "one", transport: Any = None, workers: int = 4, **fields: Any,
    ) -> Any:
        """Return a started server."""
        made = self.server(*endpoints, server=server, transport=transport, **fields)
        made.start(override_pool_size=workers)
        return made

    def server(self, *endpoints: Any, server: str = "one", transport: Any = None, **fields: Any) -> Any:
        """Return a server."""
        self._endpoints += [each for each in endpoints if isinstance(each, Endpoint)]
        target = tracedrpc.Target(topic=self.topic, server=server)
        made = tracedrpc.get_rpc_server(transport or self.transport(), target, endpoints, **fields)
        self._servers.append(made)
        return made

    def client(
        self, transport: Any = None, timeout: float = SOON_S, target: Any = None, **fields: Any,
    ) -> Any:
        """Return a client with a transport of its own."""
        to = target or tracedrpc.Target(topic=self.topic)
        return tracedrpc.get_rpc_client(transport or self.transport(), to, timeout=timeout, **fields)

    def pair(self, **options: Any) -> tuple[Any, Endpoint]:
        """Return a client and the endpoint of a server that it reaches."""
        endpoint = Endpoint()
        self.serve(endpoint)
        return self.client(self.transport(**options)), endpoint

    def close(self) -> None:
        for endpoint in self._endpoints:
            endpoint.goes_on.set()
        for server in self._servers:
            server.stop()
            server.wait(timeout=SOON_S)
        for transport in self._transports:
            transport.cleanup()
        with contextlib.suppress(OSError, amqp.AMQPError), self.connection() as connection:
            for topic in self._topics:
                for name in (topic, f"{topic}.one", f"{topic}.two"):
                    connection.channel().queue_delete(name)
            connection.channel().exchange_delete(self.exchange)

    # ---- past tracedrpc -----------------------------------------------------------------------

    @contextlib.contextmanager
    def connection(self) -> Iterator[Any]:
        """Give a connection of py-amqp."""
        url = TransportURL.parse(None, self.url)
        host = url.hosts[0]
        connection = amqp.Connection(
            f"{host.hostname}:{host.port or 5672}", host.username, host.password,
            virtual_host=url.virtual_host or "/",
        )
        connection.connect()
        try:
            yield connection
        finally:
            connection.close()

    @contextlib.contextmanager
    def channel(self) -> Iterator[Any]:
        """Give a channel of py-amqp."""
        with self.connection() as connection:
            yield connection.channel()

    def exists(self, queue: str) -> bool:
        """Tell whether there is a queue of that name."""
        with self.channel() as channel:
            try:
                channel.queue_declare(queue, passive=True)
            except amqp.NotFound:
                return False
            except amqp.ResourceLocked:
                return True
        return True

    def count(self, queue: str) -> int:
        """Return how many messages wait in a queue."""
        with self.channel() as channel:
            return int(channel.queue_declare(queue, passive=True).message_count)

    def wait_empty(self, queue: str) -> None:
        """Wait until no message waits in a queue; only asking tells."""
        wait_until(lambda: self.count(queue) == 0)

    def capture(self) -> Captured:
        """Return a queue of the test's own that gets a copy of all requests."""
        return Captured(self)


class Captured:
    """A queue bound to everything that goes through the site's exchange."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._context = site.connection()

    def __enter__(self) -> Self:
        connection = self._context.__enter__()
        self.channel = connection.channel()
        self.channel.exchange_declare(self._site.exchange, "topic", durable=False, auto_delete=False)
        self.queue = self.channel.queue_declare("", exclusive=True).queue
        self.channel.queue_bind(self.queue, self._site.exchange, "#")
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._context.__exit__(*exc_info)

    def next(self) -> Any:
        """Return the next message; wait for it."""
        give_up = time.monotonic() + SOON_S
        while (message := self.channel.basic_get(self.queue, no_ack=True)) is None:
            assert time.monotonic() < give_up
            time.sleep(0.01)
        return message


def wait_until(is_so: Callable[[], bool], timeout_s: float = SOON_S) -> None:
    """Wait for what no event announces, such as the state of the broker."""
    give_up = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < give_up, "it never came to be so"
        time.sleep(0.02)


@contextlib.contextmanager
def within(most_s: float, least_s: float = 0.0) -> Iterator[None]:
    """Fail when the block takes longer, or is over too soon."""
    began_s = time.monotonic()
    yield
    took_s = time.monotonic() - began_s
    assert least_s <= took_s <= most_s, f"it took {took_s:.3f} s"


class Relay:
    """Stands between client and broker and passes bytes on, until it freezes.

    Args:
        url: the broker's transport URL.
        replies: how many pieces the broker may say on each connection before it seems frozen;
            None for no limit.
        delay_s: how long each of these pieces is kept.
    """

    def __init__(self, url: str, replies: int | None = None, delay_s: float = 0.0) -> None:
        self._parsed = TransportURL.parse(None, url)
        self._replies = replies
        self._delay_s = delay_s
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.frozen = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._start(self._accept)

    @property
    def url(self) -> str:
        """The transport URL to use instead of the broker's."""
        parsed = TransportURL.parse(None, str(self._parsed))
        parsed.hosts[0].hostname, parsed.hosts[0].port = self._server.getsockname()
        return str(parsed)

    def _start(self, run: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=run, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        broker = self._parsed.hosts[0]
        with contextlib.suppress(OSError):
            while True:
                ours, _ = self._server.accept()
                theirs = socket.create_connection((broker.hostname or "", broker.port or 5672))
                self._sockets += [ours, theirs]
                self._start(self._pass_on, ours, theirs, None, 0.0)
                self._start(self._pass_on, theirs, ours, self._replies, self._delay_s)

    def _pass_on(self, source: Any, sink: Any, pieces: int | None, delay_s: float) -> None:
        with contextlib.suppress(OSError):
            while (data := source.recv(65536)) and not self.frozen.is_set():
                if pieces is not None:
                    pieces -= 1
                    if pieces < 0:
                        return
                    time.sleep(delay_s)
                sink.sendall(data)
            if not data:
                sink.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End every connection."""
        for each in [self._server, *self._sockets]:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(SOON_S)
        for each in [self._server, *self._sockets]:
            each.close()
