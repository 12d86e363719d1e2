"""Stock oslo.messaging as a bench peer; runs in `.venv-bench`.

The configuration is the global `cfg.CONF` with no arguments: with a private one, 18.3.1 raises
NoSuchOptError for its own metrics and tracing groups.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

warnings.simplefilter("ignore")

import oslo_messaging as messaging  # noqa: E402 - its imports warn about eventlet
from oslo_config import cfg  # noqa: E402

from tests.bench.load import PAYLOAD, Endpoint  # noqa: E402
from tests.bench.peer import main  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator


class OsloService:
    """The load's operations on an oslo.messaging client."""

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
    cfg.CONF([], project="bench")
    transport = messaging.get_rpc_transport(cfg.CONF, url=url)
    target = messaging.Target(topic=topic, server="bench")
    server = messaging.get_rpc_server(transport, target, [Endpoint()], executor="threading")
    server.start()
    yield
    server.stop()
    server.wait()
    transport.cleanup()


@contextmanager
def connect(url: str, topic: str) -> Iterator[OsloService]:
    """Open a client of `topic` with default options."""
    cfg.CONF([], project="bench")
    transport = messaging.get_rpc_transport(cfg.CONF, url=url)
    yield OsloService(messaging.get_rpc_client(transport, messaging.Target(topic=topic)))
    transport.cleanup()


if __name__ == "__main__":
    main(serve, connect)
