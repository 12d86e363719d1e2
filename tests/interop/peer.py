"""The four kinds of peer: which library it is under the common name, and how it traces.

A kind is all that differs between them; `peer_server.py` and `peer_client.py` know only the API.
Spans go by OTLP/HTTP to `OTEL_EXPORTER_OTLP_ENDPOINT`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from oslo_config import cfg

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = ("ours", "stock", "traced", "instrumented")
"""tracedrpc; oslo.messaging untraced, with its own tracing, with the instrumentor from PyPI."""

CONFIGURATION = ["--config-file", str(Path(__file__).with_name("peer.conf"))]
TRACED = frozenset(KINDS) - {"stock"}


class Peer:
    """A library, ready to make transports.

    Attributes:
        messaging: the library.
        conf: what its transports are made with.
    """

    def __init__(self, messaging: Any, conf: Any, flush: Callable[[], object]) -> None:
        self.messaging = messaging
        self.conf = conf
        self.flush = flush

    def transport(self, url: str, allowed: list[str] | None = None) -> Any:
        return self.messaging.get_rpc_transport(self.conf, url=url, allowed_remote_exmods=allowed)


def open_peer(kind: str, service: str) -> Peer:
    """Return the library of that kind; its spans will say that they come from `service`."""
    return _ours(service) if kind == "ours" else _stock(kind, service)


def _ours(service: str) -> Peer:
    import tracedrpc
    import tracedrpc_otel

    configured = tracedrpc_otel.configure(service_name=service)
    conf = cfg.ConfigOpts()
    conf(CONFIGURATION, project="interop")
    return Peer(tracedrpc, conf, configured.shutdown)


def _stock(kind: str, service: str) -> Peer:
    import oslo_messaging

    cfg.CONF(CONFIGURATION, project="interop")  # a private one lacks stock's own tracing options
    if kind == "stock":
        return Peer(oslo_messaging, cfg.CONF, lambda: None)
    provider = _provider(service)
    if kind == "traced":
        cfg.CONF.set_override("tracing_enabled", True, "oslo_messaging_tracing")
    else:
        from opentelemetry.instrumentation.oslo_messaging import OsloMessagingInstrumentor

        OsloMessagingInstrumentor().instrument()
    return Peer(oslo_messaging, cfg.CONF, provider.shutdown)


def _provider(service: str) -> Any:
    """Set up the SDK as an application does, for stock has a fault where it does so itself."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider


# ---- talking to the test -----------------------------------------------------------------------


def parsed(description: str | None) -> argparse.Namespace:
    """Return the arguments that both sides take."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--kind", choices=KINDS, required=True)
    for name in ("--service", "--url", "--topic"):
        parser.add_argument(name, required=True)
    parser.add_argument("--fleet", action="store_true", help="several servers of several kinds")
    parser.add_argument("--names", nargs="*", help="server names, in place of the usual ones")
    return parser.parse_args()


def say(fact: Any) -> None:
    """Write one line for the test."""
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()


def await_word() -> None:
    """Wait until the test says that it goes on."""
    sys.stdin.readline()


def leave(peer: Peer) -> NoReturn:
    """Send the last spans and end at once; stopping takes stock five seconds for each server."""
    peer.flush()
    os._exit(0)
