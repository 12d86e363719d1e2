"""Telemetry of processes that fork: everything of each child arrives, as the child's own."""

from __future__ import annotations

import pytest

from tests.telemetry.otlp_receiver import OtlpReceiver
from tests.telemetry.programs import run

CHILDREN = 10
PARENT = "parent"

WORK = """
import logging, os, sys, warnings
import tracedrpc_otel
from opentelemetry import metrics
from tests.telemetry.programs import echo_client

warnings.filterwarnings("ignore", ".*multi-threaded")  # Python 3.12's, for every fork below
configured = tracedrpc_otel.configure("forking")
orders = metrics.get_meter("shop").create_counter("orders")

class Endpoint:
    def echo(self, ctxt, value):
        logging.getLogger("shop").warning("handled %s", value, extra={"shop.value": value})
        orders.add(1)
        return value

def work(value):
    with echo_client(Endpoint()) as client:
        assert client.call({}, "echo", value=value) == value
"""

FORKS = WORK + """
work("parent")
assert configured.flush(10), configured.signals
children = []
for number in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        work(f"child-{number}")
        sys.exit(0)  # what is left leaves at exit
    children.append(pid)
assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * len(children)
work("parent")
assert configured.shutdown()
assert configured.signals["traces"].dropped == configured.signals["logs"].dropped == 0
"""


def _values(receiver: OtlpReceiver) -> list[str]:
    return sorted(log.attributes["shop.value"] for log in receiver.logs if "shop.value" in log.attributes)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_all_of_ten_children_arrives_and_the_parent_goes_on(protocol: str) -> None:
    with OtlpReceiver() as receiver:
        url = receiver.grpc_url if protocol == "grpc" else receiver.http_url
        run(
            FORKS, str(CHILDREN),
            OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
        )
        expected = sorted([PARENT, PARENT, *(f"child-{number}" for number in range(CHILDREN))])
        assert _values(receiver) == expected
        calls = [span for span in receiver.spans if span.kind == "CLIENT" and "rpc.method" in span.attributes]
        handled = [span for span in receiver.spans if span.kind == "SERVER"]
        assert len(calls) == len(handled) == CHILDREN + 2
        # Each process speaks for itself, and says the same of itself in all three signals.
        of_calls = sorted(span.resource["service.instance.id"] for span in calls)
        assert len(set(of_calls)) == CHILDREN + 1
        orders = receiver.latest("orders")
        assert sorted(point.value for point in orders) == [1] * CHILDREN + [2]
        of_points = {point.resource["service.instance.id"] for point in orders}
        of_logs = {log.resource["service.instance.id"] for log in receiver.logs}
        assert of_points == of_logs == set(of_calls)


def test_a_child_of_multiprocessing_leaves_nothing_behind() -> None:
    script = WORK + """
import multiprocessing
context = multiprocessing.get_context("fork")
for number in range(3):
    process = context.Process(target=work, args=(f"child-{number}",))
    process.start()
    process.join()
    assert process.exitcode == 0
"""
    with OtlpReceiver() as receiver:
        run(script, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.http_url)
        assert _values(receiver) == ["child-0", "child-1", "child-2"]
        assert {point.value for point in receiver.latest("orders")} == {1}
        assert len([span for span in receiver.spans if span.kind == "SERVER"]) == 3


def test_a_child_does_not_export_what_its_parent_has_not_yet_sent() -> None:
    script = WORK + """
work("parent")
child = os.fork()
if child == 0:
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
assert configured.shutdown()
"""
    with OtlpReceiver() as receiver:
        run(script, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.http_url, OTEL_BSP_SCHEDULE_DELAY="60000")
        assert _values(receiver) == [PARENT]
        assert len([span for span in receiver.spans if span.kind == "SERVER"]) == 1
        assert [point.value for point in receiver.latest("orders")] == [1]


def test_a_child_forked_in_the_middle_of_a_collection_is_not_stuck() -> None:
    script = WORK + """
import threading, time
collecting, forked = threading.Event(), threading.Event()
def slow(options):
    if not forked.is_set():
        collecting.set()
        time.sleep(0.3)
    return []
metrics.get_meter("shop").create_observable_gauge("slow", [slow])
flusher = threading.Thread(target=configured.flush)
flusher.start()
assert collecting.wait(10)
child = os.fork()
forked.set()
if child == 0:
    work("child-0")
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
flusher.join()
"""
    with OtlpReceiver() as receiver:
        run(script, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.http_url)
        assert _values(receiver) == ["child-0"]
        assert [point.value for point in receiver.latest("orders")] == [1]


def test_the_child_of_a_parent_that_has_ended_its_telemetry_has_none_either() -> None:
    script = WORK + """
work("parent")
assert configured.shutdown()
child = os.fork()
if child == 0:
    work("child-0")
    sys.exit(0 if configured.shutdown() in {True, False} and configured.exported == 0 else 9)
assert os.waitpid(child, 0)[1] == 0
"""
    with OtlpReceiver() as receiver:
        run(script, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.http_url)
        assert _values(receiver) == [PARENT]
