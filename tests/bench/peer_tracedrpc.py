"""tracedrpc as a bench peer, through its public API only.

`TRACEDRPC_TRACING` sets the detail; with an OTLP endpoint in the environment the SDK is set up by
`tracedrpc_otel.configure` and the spans are really exported.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import tracedrpc as messaging
from tests.bench.load import PAYLOAD, Endpoint
from tests.bench.peer import main

if TYPE_CHECKING:
    from collections.abc import Iterator


class TracedService:
    """The load's operations on a tracedrpc client."""

    def __init__(self, client: messaging.RPCClient) -> None:
        self._client = client

    def call(self) -> None:
        """Call `echo`."""
        self._client.call({}, "echo", value=PAYLOAD)

    def cast(self) -> None:
        """Cast `note`."""
        self._client.cast({}, "note", value=PAYLOAD)

    def noted(self) -> int:
        """Call `noted`."""
        return int(self._client.call({}, "noted"))


@contextmanager
def serve(url: str, topic: str) -> Iterator[None]:
    """Serve `topic` with the threading executor and default options."""
    export_as("bench-server")
    transport = messaging.get_rpc_transport(None, url=url)
    target = messaging.Target(topic=topic, server="bench")
    server = messaging.get_rpc_server(transport, target, [Endpoint()], executor="threading")
    server.start()
    yield
    server.stop()
    server.wait()
    transport.cleanup()


@contextmanager
def connect(url: str, topic: str) -> Iterator[TracedService]:
    """Open a client of `topic` with default options."""
    export_as("bench-client")
    transport = messaging.get_rpc_transport(None, url=url)
    yield TracedService(messaging.get_rpc_client(transport, messaging.Target(topic=topic)))
    transport.cleanup()


def export_as(service_name: str) -> None:
    """Set the SDK up for export when the runner has named an OTLP endpoint."""
    if os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        import tracedrpc_otel

        tracedrpc_otel.configure(service_name=service_name)


if __name__ == "__main__":
    main(serve, connect)
