"""The commands that the containers of the example run, run here: what they export is what is asked for later.

`docker/prove.py` asks the engines; these tests ask the same of the OTLP that would reach them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading

import pytest

from docker import prove
from tests.dashboards.compose_files import both
from tests.dashboards.translation import samples
from tests.telemetry.otlp_receiver import OtlpReceiver
from tracedrpc_console.processes import Children

COMPOSE, _ = both()
SERVICES = ("api", "scheduler", "compute-1", "compute-2")
LIMIT_S = 60.0
OURS = [metric for metric in prove.METRICS if metric.startswith(("rpc_", "tracedrpc_"))]


def command(service):
    """Return what a container of the service runs, on this Python."""
    first, *rest = COMPOSE.services[service]["command"]
    assert first == "python"
    return [sys.executable, *rest]


def one_round(environment) -> tuple[str, int]:
    """Run the users until the line that they print after a round, then stop them; return line and status."""
    process = subprocess.Popen(command("traffic"), env=environment, stdout=subprocess.PIPE, text=True)
    watchdog = threading.Timer(LIMIT_S, process.kill)
    watchdog.start()
    try:
        line = process.stdout.readline()
    finally:
        process.terminate()
        status = process.wait()
        watchdog.cancel()
        watchdog.join()
        process.stdout.close()
    return line, status


@pytest.fixture(scope="module")
def told(rabbit_url):
    """Run services and users as containers do; give what they printed and everything they exported."""
    joint = "&" if "?" in rabbit_url else "?"
    with OtlpReceiver() as receiver:
        environment = os.environ | COMPOSE.services["api"]["environment"] | {
            "TRACEDRPC_TRANSPORT_URL": f"{rabbit_url}{joint}amqp_auto_delete=true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.http_url,
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",  # pools are closed when the services end
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }
        with Children() as children:
            for service in SERVICES:
                children.start(service, command(service), environment)
            children.wait_ready()
            printed = one_round(environment)
        yield printed, receiver  # all have ended, and exported what they had


@pytest.mark.timeout(180)
def test_a_round_of_traffic_goes_as_it_is_meant_to(told):
    (line, status), _ = told
    assert "calls, 3 of them failed on purpose, 0 otherwise" in line
    assert status == 0


def test_a_trace_goes_through_all_services(told):
    _, receiver = told
    (root, *_) = [span for span in receiver.spans if span.name == prove.BOOT and not span.parent_id]
    assert {span.service for span in receiver.spans if span.trace_id == root.trace_id} == prove.SERVICES


def test_the_call_that_timed_out_says_why_it_is_to_be_kept(told):
    _, receiver = told
    attributes = _timed_out(receiver).attributes
    assert attributes["tracedrpc.sampling.keep_reason"] == "timeout"
    assert attributes["tracedrpc.timeout.phase"]


def test_the_call_that_timed_out_has_a_line_in_the_log_with_its_trace_id(told):
    _, receiver = told
    lines = [log.body for log in receiver.logs if log.trace_id == _timed_out(receiver).trace_id]
    assert any("call_timed_out" in line for line in lines)


@pytest.mark.parametrize("metric", OURS)
def test_every_metric_of_ours_has_a_value_above_zero(told, metric):
    _, receiver = told
    name, labels = metric.partition("{")[::2]
    wanted = dict(re.findall(r'(\w+)="(\w+)"', labels))
    found = [
        sample.value for sample in samples(receiver.metrics)
        if sample.series.name == name and sample.series.has(**wanted)
    ]
    assert max(found, default=0) > 0


def test_exemplars_name_traces_that_were_exported(told):
    _, receiver = told
    traces = {span.trace_id for span in receiver.spans}
    points = [point for point in receiver.metrics if point.name == "rpc.client.call.duration"]
    named = {exemplar.trace_id for point in points for exemplar in point.exemplars}
    assert named
    assert named <= traces


def _timed_out(receiver):
    return next(
        span for span in receiver.spans
        if span.name == prove.TIMED_OUT and span.kind == "CLIENT" and span.status == "ERROR"
    )
