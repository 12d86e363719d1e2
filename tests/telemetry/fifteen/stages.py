"""Where the tests play: a pair of client and server processes, and scenes with names of their own."""

from __future__ import annotations

import contextlib
import itertools
import socket
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlencode

import amqp

from tests.faults.proxy import Proxy
from tests.telemetry.fifteen.processes import SOON_S, Agent
from tracedrpc.url import TransportURL

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from tests.telemetry.otlp_receiver import OtlpReceiver
    from tests.telemetry.otlp_values import SpanData

_numbers = itertools.count(1)


@dataclass
class Pair:
    """A client that exports by HTTP and a server that exports by gRPC, at one detail."""

    client: Agent
    server: Agent
    otlp: OtlpReceiver

    @classmethod
    def start(cls, otlp: OtlpReceiver, name: str, **variables: str) -> Self:
        """Start both; `ready` waits for them."""
        client = Agent(f"client-{name}", otlp.http_url, "http/protobuf", **variables)
        server = Agent(f"server-{name}", otlp.grpc_url, "grpc", **variables)
        return cls(client, server, otlp)

    def ready(self) -> Self:
        """Wait until both obey."""
        self.client.ready()
        self.server.ready()
        return self

    def close(self) -> None:
        """End both."""
        try:
            self.client.close()
        finally:
            self.server.close()

    def flush(self) -> None:
        """Let both send what they have been told."""
        for flushing in [agent.ask("flush") for agent in (self.client, self.server)]:
            assert flushing.result(SOON_S)

    def trace(self, trace_id: str, **wanted: int) -> list[SpanData]:
        """Return a trace when it has so many spans of each kind or first word: `SERVER=1, late=1`."""
        found = self.otlp.wait_for(lambda _: is_whole(self.otlp, trace_id, wanted), SOON_S)
        self.flush()  # leaves of a span whose batch was full
        spans = trace_of(self.otlp, trace_id)
        assert found, f"no {wanted} in {[(span.kind, span.name) for span in spans]}"
        return spans


class Pairs:
    """Pairs by name; each is started when it is first asked for.

    Args:
        otlp: where they export to.
        variables: by name, what the environment of its processes says.
    """

    def __init__(self, otlp: OtlpReceiver, variables: dict[str, dict[str, str]]) -> None:
        self._otlp = otlp
        self._variables = variables
        self._started: dict[str, Pair] = {}

    def __getitem__(self, name: str) -> Pair:
        return self.several(name)[name]

    def several(self, *names: str) -> dict[str, Pair]:
        """Return these pairs; those that do not run are started at the same time."""
        for name in names:
            if name not in self._started:
                self._started[name] = Pair.start(self._otlp, name, **self._variables[name])
        return {name: self._started[name].ready() for name in names}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        with ThreadPoolExecutor() as threads:
            ending = [threads.submit(pair.close) for pair in self._started.values()]
        for each in ending:
            each.result()


def trace_of(otlp: OtlpReceiver, trace_id: str) -> list[SpanData]:
    """Return what has arrived of a trace."""
    return [span for span in otlp.spans if span.trace_id == trace_id]


def is_whole(otlp: OtlpReceiver, trace_id: str, wanted: dict[str, int]) -> bool:
    """Tell whether every parent has come, and enough spans of each kind or first word."""
    spans = trace_of(otlp, trace_id)
    known = {span.span_id for span in spans} | {""}
    words = [word for span in spans for word in (span.kind, span.name.split(" ")[0])]
    return all(span.parent_id in known for span in spans) and all(
        words.count(word) >= count for word, count in wanted.items()
    )


class Scene:
    """Topic, exchange, transports, servers and proxies of one story; ends what it began.

    Args:
        pair: client and server.
        url: the broker.
        options: of all transports.
    """

    def __init__(self, pair: Pair, url: str, **options: Any) -> None:
        self.pair = pair
        self.url = url
        self._options = options
        self.topic = f"stage-{next(_numbers)}-{uuid.uuid4().hex[:8]}"
        self.exchange = f"exchange-{self.topic}"
        self._ends = contextlib.ExitStack()
        self._ends.callback(self._tidy_up)
        self._held: list[str] = []
        self._networks = contextlib.ExitStack()
        """Ended first: transports say goodbye to a broker that answers, or at once to nobody."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._networks.close()
        self.release_all()
        self._ends.close()

    # ---- what there is ------------------------------------------------------------------------

    def through(self, proxy: Proxy) -> str:
        """Return the broker's URL by way of a proxy."""
        parsed = TransportURL.parse(None, self.url)
        parsed.hosts[0].hostname, parsed.hosts[0].port = "127.0.0.1", proxy.port
        return str(parsed)

    def proxy(self) -> Proxy:
        """Return a proxy before the broker."""
        port = TransportURL.parse(None, self.url).hosts[0].port
        return self._networks.enter_context(Proxy(int(port or 5672)))

    def black_hole(self) -> str:
        """Return the URL of a port that accepts and never answers."""
        listening = self._networks.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))
        return f"rabbit://guest:guest@127.0.0.1:{listening.getsockname()[1]}/"

    def transport(self, agent: Agent, url: str | None = None, **options: Any) -> str:
        """Make a transport in an agent and return its name."""
        name = f"{self.topic}-{next(_numbers)}"
        query = urlencode({"control_exchange": self.exchange} | self._options | options)
        agent.do("connect", name=name, url=f"{url or self.url}?{query}")
        self._ends.callback(agent.do, "disconnect", name=name)
        return name

    def serve(self, server: str = "one", workers: int = 8, topic: str = "", **options: Any) -> None:
        """Start a server in the pair's server process."""
        name, agent = self.transport(self.pair.server, **options), self.pair.server
        topic = topic or self.topic
        agent.do("serve", transport=name, topic=topic, server=server, workers=workers)
        self._ends.callback(agent.do, "unserve", topic=topic, server=server)

    def unserve(self, server: str = "one") -> None:
        """Stop a server; its queue stays."""
        self.pair.server.do("unserve", topic=self.topic, server=server)

    def queued(self) -> int:
        """Return how many requests wait in the topic's queue."""
        with self.channel() as channel:
            return int(channel.queue_declare(self.topic, passive=True).message_count)

    def client(self, url: str | None = None, *, warm: bool = True, **options: Any) -> Caller:
        """Return a client in the pair's client process, by default one that is connected."""
        caller = Caller(self, self.transport(self.pair.client, url, **options))
        if warm:
            assert caller.call("echo", root="", timeout=SOON_S)["ok"]
        return caller

    def hold(self, caller: Caller, **how: Any) -> Future[Any]:
        """Let a call into the handler of `hold`, which returns when `release_all` is called."""
        key = f"{self.topic}-{next(_numbers)}"
        self._held.append(key)
        future = caller.ask("hold", {"key": key}, **how)
        self.pair.server.wait_for(event="entered", key=key)
        return future

    def release_all(self) -> None:
        """Let the handlers that were entered return."""
        for key in self._held:
            self.pair.server.do("release", key=key)

    # ---- past tracedrpc -----------------------------------------------------------------------

    @contextlib.contextmanager
    def channel(self) -> Iterator[Any]:
        """Give a channel of py-amqp."""
        parsed = TransportURL.parse(None, self.url)
        host = parsed.hosts[0]
        connection = amqp.Connection(
            f"{host.hostname}:{host.port or 5672}", host.username, host.password,
            virtual_host=parsed.virtual_host or "/",
        )
        connection.connect()
        try:
            yield connection.channel()
        finally:
            connection.close()

    def _tidy_up(self) -> None:
        with contextlib.suppress(OSError, amqp.AMQPError), self.channel() as channel:
            for name in (self.topic, f"{self.topic}.one", f"{self.topic}.two"):
                channel.queue_delete(name)
            channel.exchange_delete(self.exchange)


@dataclass(frozen=True)
class Caller:
    """A client of a scene's servers, in the client process."""

    scene: Scene
    transport: str

    def ask(
        self, method: str, args: dict[str, Any] | None = None, verb: str = "call", topic: str = "",
        root: str = "request", **how: Any,
    ) -> Future[Any]:
        """Call or cast without waiting, below a span of that name if there is one."""
        return self.scene.pair.client.ask(
            verb, transport=self.transport, topic=topic or self.scene.topic, method=method,
            args=args or {}, root=root, **how,
        )

    def call(self, method: str, args: dict[str, Any] | None = None, **how: Any) -> dict[str, Any]:
        """Call, and return what came of it."""
        outcome: dict[str, Any] = self.ask(method, args, **how).result(how.get("timeout", 0) + SOON_S)
        return outcome

    def cast(self, method: str, args: dict[str, Any] | None = None, **how: Any) -> dict[str, Any]:
        """Cast, and return what came of it."""
        return self.call(method, args, verb="cast", **how)

    def state(self) -> dict[str, int]:
        """Return what the transport holds."""
        held: dict[str, int] = self.scene.pair.client.do("state", transport=self.transport)
        return held
