"""Runs a client and a server of two kinds against each other, and keeps what came of it."""

from __future__ import annotations

import contextlib
import os
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import amqp

from tests.interop.peer import KINDS, TRACED
from tests.interop.processes import Process
from tests.interop.topics import FIRST, FLEET, VARIANTS
from tracedrpc.url import TransportURL
from tracedrpc_console.receiver import Receiver, SpanStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracedrpc_console.spans import Span


@dataclass(frozen=True)
class Pairing:
    """Which kind of client meets which kind of server."""

    client: str
    server: str

    def __str__(self) -> str:
        return f"{self.client}-asks-{self.server}"

    @property
    def is_client_traced(self) -> bool:
        return self.client in TRACED

    @property
    def is_server_traced(self) -> bool:
        return self.server in TRACED


PAIRINGS = [Pairing(client, server) for client in KINDS for server in KINDS]


@dataclass(frozen=True)
class Run:
    """What came of a pairing.

    Attributes:
        results: what each operation returned or raised.
        asked: spans of the client's process.
        served: spans of the server's process.
    """

    results: dict[str, Any]
    asked: list[Span]
    served: list[Span]


def run(pairing: Pairing, url: str) -> Run:
    """Run every operation; takes some five seconds, most of which is waiting."""
    topic = f"interop-{uuid.uuid4().hex[:8]}"
    store = SpanStore()
    with Receiver(store) as receiver, _tidy(url, topic):
        common = ["--url", url, "--topic", topic]
        environment = clean_environment(receiver.url)
        server_arguments = ["peer_server.py", "--kind", pairing.server, "--service", "server", *common]
        client_arguments = ["peer_client.py", "--kind", pairing.client, "--service", "client", *common]
        with (
            Process(*server_arguments, environment=environment) as server,
            Process(*client_arguments, environment=environment) as client,
        ):
            assert (server.line(), client.line()) == ("ready", "declared")
            server.tell()
            assert server.line() == "serving"
            client.tell()
            results = client.line()
            client.end()
            server.end()
        spans = store.spans()
    of = {name: [span for span in spans if span.service == name] for name in ("client", "server")}
    return Run(results, of["client"], of["server"])


def run_fleet(first: str, second: str, url: str) -> dict[str, Any]:
    """Let servers of two kinds serve the same topics, one after the other; return what clients met."""
    topic = f"interop-{uuid.uuid4().hex[:8]}"
    common = ["--service", "s", "--url", url, "--topic", topic, "--fleet"]
    environment = clean_environment("http://127.0.0.1:9")
    with _tidy(url, topic), contextlib.ExitStack() as stack:
        servers = []
        for kind in (first, second):
            arguments = ["peer_server.py", "--kind", kind, "--names", kind, *common]
            servers.append(stack.enter_context(Process(*arguments, environment=environment)))
            assert servers[-1].line() == "ready"
        clients = {}
        for kind in (first, second):
            arguments = ["peer_client.py", "--kind", kind, *common]
            clients[kind] = stack.enter_context(Process(*arguments, environment=environment))
        return {kind: client.line() for kind, client in clients.items()}


def clean_environment(endpoint: str) -> dict[str, str]:
    """Return the environment less what would change tracing, and with an endpoint for spans."""
    of_others = ("OTEL_", "TRACEDRPC_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(of_others)}
    return kept | {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}


@contextlib.contextmanager
def _tidy(url: str, topic: str) -> Iterator[None]:
    """Delete the shared queues and exchanges afterwards; what is a process's own expires."""
    try:
        yield
    finally:
        broker = TransportURL.parse(None, url)
        host = broker.hosts[0]
        with contextlib.suppress(OSError, amqp.AMQPError), amqp.Connection(
            f"{host.hostname}:{host.port or 5672}", host.username, host.password,
            virtual_host=broker.virtual_host or "/",
        ) as connection:
            channel = connection.channel()
            for variant in (*VARIANTS, *FIRST, *FLEET):
                name = variant.topic(topic)
                for queue in (name, *(f"{name}.{server}" for server in variant.servers)):
                    channel.queue_delete(queue)
                channel.exchange_delete(variant.exchange(topic))
