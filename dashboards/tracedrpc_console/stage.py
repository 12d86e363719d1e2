"""Puts the example services on: as processes around a RabbitMQ, or as threads around the memory driver."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import TYPE_CHECKING, Final

import tracedrpc as messaging
import tracedrpc_otel
from tracedrpc_console.processes import Children
from tracedrpc_console.services import api, compute, scheduler, targets
from tracedrpc_otel import OTelTelemetry
from tracedrpc_otel.configure import build
from tracedrpc_otel.exporting import HTTP, otlp_exporter
from tracedrpc_otel.sink import SdkSink

if TYPE_CHECKING:
    from collections.abc import Iterator

CAST: Final = (("api", "api-1"), ("scheduler", "scheduler-1"), *(("compute", host) for host in targets.HOSTS))
"""(service, server) of everything that runs."""
MEMORY_URL: Final = "memory://demo/"
_MAKERS: Final = {"api": api.make_server, "scheduler": scheduler.make_server, "compute": compute.make_server}
_OURS: Final = {
    "OTEL_BSP_SCHEDULE_DELAY": "200",  # ms; we wait for the spans
    "OTEL_BLRP_SCHEDULE_DELAY": "200",
    "OTEL_METRIC_EXPORT_INTERVAL": "1000",
    "TRACEDRPC_RPC_PING_ENABLED": "true",
    "NO_PROXY": "127.0.0.1,localhost",
    "no_proxy": "127.0.0.1,localhost",
}


def set_environment(endpoint: str) -> None:
    """Make this process and its children export to an endpoint, whatever the caller's settings.

    A sampler, another exporter or a switched-off SDK would have expected spans missing.
    """
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        del os.environ[name]
    os.environ.pop("TRACEDRPC_TRACING", None)
    os.environ |= _OURS | {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}


@contextlib.contextmanager
def services_as_processes(url: str) -> Iterator[None]:
    """Run every service in a process of its own while the block runs.

    Raises:
        ChildFailed: one of them could not begin.
    """
    with Children() as children:
        for service, server in CAST:
            module = f"tracedrpc_console.services.{service}"
            command = [sys.executable, "-m", module, url, server, "--until-eof"]
            children.start(f"{service} ({server})", command, os.environ)
        children.wait_ready()
        yield


@contextlib.contextmanager
def services_as_threads(url: str, endpoint: str) -> Iterator[None]:
    """Run every service in threads of this process while the block runs."""
    with contextlib.ExitStack() as stack:
        for service, server in CAST:
            transport = stack.enter_context(traced_transport(service, url, endpoint))
            stack.enter_context(_MAKERS[service](transport, server))
        yield


@contextlib.contextmanager
def logs_and_metrics(service: str) -> Iterator[None]:
    """Export what this process logs and measures while the block runs."""
    logger = logging.getLogger("demo")
    logger.setLevel(logging.INFO)
    logger.addHandler(logging.NullHandler())  # or else warnings go to standard error as well
    configured = tracedrpc_otel.configure(service_name=service, traces=False)
    try:
        yield
    finally:
        configured.shutdown()


@contextlib.contextmanager
def traced_transport(service: str, url: str, endpoint: str) -> Iterator[messaging.Transport]:
    """Give a transport whose spans are a service's of its own; a process has several of them.

    An application has one, and says `tracedrpc_otel.configure(service_name=...)` instead.
    """
    configured = build(service, otlp_exporter(endpoint, HTTP))
    telemetry = OTelTelemetry(SdkSink(configured.provider))
    try:
        with messaging.get_rpc_transport(None, url, telemetry=telemetry) as transport:
            yield transport
    finally:
        configured.shutdown()
