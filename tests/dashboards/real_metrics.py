"""The example services on a RabbitMQ of their own, and all that they and it say in some seconds."""

from __future__ import annotations

import os
import socket
import sys
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import amqp

from tests.dashboards.translation import Sample, exposed, samples
from tests.telemetry.otlp_receiver import OtlpReceiver
from tracedrpc_console import stage
from tracedrpc_console.broker import CONFIG, PrivateBroker
from tracedrpc_console.processes import Children
from tracedrpc_console.services import targets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.telemetry.otlp_values import LogData, PointData, SpanData

ROOT = Path(__file__).parents[2]
TICK_S = 0.5
EXPORTS = {
    "OTEL_METRIC_EXPORT_INTERVAL": "400",
    "OTEL_BSP_SCHEDULE_DELAY": "200",
    "OTEL_BLRP_SCHEDULE_DELAY": "200",
    "TRACEDRPC_LOG_CALLS": "info",
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
}
PAGES = {
    "rabbitmq": "/metrics",
    "rabbitmq-detailed": "/metrics/detailed?family=queue_coarse_metrics&family=queue_consumer_count",
}


@dataclass(frozen=True)
class Told:
    """What was told: samples once a tick, and everything else as it came."""

    ticks: list[list[Sample]]
    points: list[PointData]
    spans: list[SpanData]
    logs: list[LogData]


class MeasuredBroker(PrivateBroker):
    """A private node with RabbitMQ's own Prometheus endpoint."""

    def __init__(self) -> None:
        super().__init__()
        self.metrics_port = free_port()

    def _new_folder(self) -> Path:
        folder = super()._new_folder()
        own = f"prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = {self.metrics_port}\n"
        (folder / "rabbitmq.conf").write_text(CONFIG + own)
        (folder / "enabled_plugins").write_text("[rabbitmq_prometheus].\n")
        return folder

    def read(self) -> Iterator[Sample]:
        for job, path in PAGES.items():
            url = f"http://127.0.0.1:{self.metrics_port}{path}"
            with urllib.request.urlopen(url, timeout=10) as answer:
                yield from exposed(answer.read().decode(), job=job, instance="rabbitmq")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tell() -> Told:
    """Run everything, with each of the troubles that the dashboards tell of; some 15 s."""
    ticks: list[list[Sample]] = []
    with OtlpReceiver() as receiver, MeasuredBroker() as broker, ExitStack() as stack:
        stack.callback(broker.kill9)  # a node that has told everything need not take leave of anybody
        children = stack.enter_context(services(broker.url, receiver.http_url))
        run(children, "tests.dashboards.troubled", receiver.http_url, broker.url)
        start(children, "api", receiver.http_url, f"rabbit://guest:guest@127.0.0.1:{free_port()}/", "api-2")
        look(receiver, broker, ticks, seconds=2.0)
        send_rubbish(broker)
        broker.rabbitmqctl("close_all_connections", "a test of dashboards")
        look(receiver, broker, ticks, seconds=6.0)
    return Told(ticks, receiver.metrics, receiver.spans, receiver.logs)


@contextmanager
def services(url: str, endpoint: str) -> Iterator[Children]:
    with Children() as children:
        for service, server in stage.CAST:
            start(children, service, endpoint, url, server, "--until-eof")
        children.wait_ready()
        start(children, "users", endpoint, url)
        yield children


def start(children: Children, service: str, endpoint: str, *arguments: str) -> None:
    run(children, f"tracedrpc_console.services.{service}", endpoint, *arguments)


def run(children: Children, module: str, endpoint: str, *arguments: str) -> None:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
    environment = inherited | EXPORTS | {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    rooms = (".", "instrumentation", "dashboards")
    environment["PYTHONPATH"] = os.pathsep.join(str(ROOT / room) for room in rooms)
    children.start(" ".join((module, *arguments)), [sys.executable, "-m", module, *arguments], environment)


def look(
    receiver: OtlpReceiver, broker: MeasuredBroker, ticks: list[list[Sample]], *, seconds: float,
) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(TICK_S)
        ticks.append([*samples(newest(receiver.metrics)), *broker.read()])


def newest(points: list[PointData]) -> list[PointData]:
    """The last point of each series of each process."""
    return list({
        (point.name, str(point.resource.get("service.instance.id")),
         *sorted(map(str, point.attributes.items()))): point
        for point in points
    }.values())


def send_rubbish(broker: MeasuredBroker) -> None:
    """A message that is no request, into the queue of the API: it will be discarded."""
    address = f"127.0.0.1:{broker.port}"
    with amqp.Connection(address, userid="guest", password="guest") as connection:
        message = amqp.Message(b"rubbish", content_type="application/json")
        connection.channel().basic_publish(message, exchange="", routing_key=targets.API.topic)
