"""One process: providers that are set late, several listeners, forks."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource

from tests.telemetry.meters import Readings
from tests.telemetry.support import Lab
from tracedrpc_otel.metrics import metrics_for
from tracedrpc_otel.own_meters import OwnMeterProvider
from tracedrpc_otel.settings import Settings
from tracedrpc_otel.tallies import LOCK

if TYPE_CHECKING:
    from collections.abc import Callable

PRELUDE = """
import json, os, sys
from opentelemetry import metrics
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from tests.telemetry.meters import Readings
from tests.telemetry.support import Lab, incoming, invocation
from tests.telemetry.test_metrics_bounds import _call
from tests.telemetry.test_metrics_pools import Basin
from tracedrpc.telemetry import ConnectionInfo
from tracedrpc_otel.metrics import count_from_zero

def values(points):
    return [point.value if hasattr(point, "value") else point.count for point in points]

def told(readings):
    return {name: values(points) for name, points in readings.collect().items()}
"""
FORKED = PRELUDE + """
readings = Readings(**{options})
lab = Lab(meter_provider=readings.provider)
link = ConnectionInfo(1, "rabbit-1:5672", "send")
pool = Basin(idle=1, acquired=5, used_ns=10**9)
lab.telemetry.pool_opened(pool)
lab.telemetry.connection_blocked(link)
_call(lab)
lab.telemetry.reply_discarded("a" * 32, "late")
call, asked = invocation(), incoming()
call.scope, asked.scope = lab.telemetry.call(call), lab.telemetry.process(asked)
call.scope.__enter__(), asked.scope.__enter__()
before = told(readings)
down, up = os.pipe()
if not os.fork():
    {child}
    new = Basin(idle=4, acquired=1)
    lab.telemetry.pool_opened(new)
    _call(lab)
    lab.telemetry.reply_discarded("a" * 32, "late")
    os.write(up, json.dumps([before, told(readings)]).encode())
    os._exit(0)
os.close(up)
print(os.read(down, 100_000).decode())
os.wait()
lab.telemetry.call_finished(call, None)
asked.scope.__exit__(None, None, None)
call.scope.__exit__(None, None, None)
"""


def _run(script: str) -> Any:
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return json.loads(done.stdout)


def _forked(child: str = "pass", options: str = "{}") -> tuple[dict[str, Any], dict[str, Any]]:
    before, after = _run(FORKED.replace("{child}", child).replace("{options}", options))
    return before, after


def test_a_child_has_its_own_pools_and_nothing_in_hand_and_goes_on_counting() -> None:
    before, after = _forked()
    assert before["tracedrpc.client.connection.count"] == [1, 0]
    assert before["tracedrpc.connection.blocked"] == [1]
    assert before["tracedrpc.client.in_flight"] == before["tracedrpc.server.active_requests"] == [1]
    assert after["tracedrpc.client.connection.count"] == [4, 0]
    assert after["tracedrpc.connection.blocked"] == [0]
    assert after["tracedrpc.client.in_flight"] == after["tracedrpc.server.active_requests"] == [0]
    # As the SDK's own counters and histograms: on from what the parent had.
    assert after["rpc.client.call.duration"] == [2]
    assert after["tracedrpc.client.replies.late"] == [2]
    assert after["tracedrpc.client.connection.acquired"] == [6]


def test_a_child_that_exports_differences_has_no_negative_ones() -> None:
    temporality = "AggregationTemporality.DELTA"
    kinds = "Counter, Histogram, ObservableCounter"
    _, after = _forked(options=f"{{'preferred_temporality': {{kind: {temporality} for kind in ({kinds})}}}}")
    assert after["tracedrpc.client.replies.late"] == [1]
    assert after["tracedrpc.client.connection.acquired"] == [1]


def test_a_child_whose_reader_begins_anew_counts_from_zero() -> None:
    _, after = _forked("readings.reader.collect(); count_from_zero()")
    assert after["tracedrpc.client.replies.late"] == [1]
    assert after["tracedrpc.client.connection.acquired"] == [1]
    assert after["tracedrpc.client.connection.count"] == [4, 0]


@pytest.mark.parametrize("provider", [
    "MeterProvider([outlet.reader], shutdown_on_exit=False)",
    "OwnMeterProvider([outlet.reader], Resource({}))",
], ids=["sdk", "native"])
def test_a_child_of_a_process_that_we_configured_counts_from_zero(provider: str) -> None:
    parent, child = _run(PRELUDE + """
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult
from tracedrpc_otel.exporting import ForkProof
from tracedrpc_otel.metric_export import PeriodicOutlet, ReaderOptions
from tracedrpc_otel.own_meters import OwnMeterProvider

class Kept(MetricExporter):
    told = {}

    def export(self, data, timeout_millis=0, **_):
        for of_scope in data.resource_metrics[0].scope_metrics:
            for metric in of_scope.metrics:
                Kept.told.setdefault(metric.name, []).extend(values(metric.data.data_points))
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis=0):
        return True

    def shutdown(self, timeout_millis=0, **_):
        pass

outlet = PeriodicOutlet(ForkProof(Kept), ReaderOptions(interval_s=3600))
provider = {provider}
outlet.start(provider)
lab = Lab(meter_provider=provider)

def call_and_export():
    Kept.told.clear()
    _call(lab)
    lab.telemetry.publish_retried(None, "d", "reset", 0.1)
    assert outlet.reader.force_flush()  # the SDK's provider flushes only readers it was made with
    return {name: Kept.told[name] for name in ("rpc.client.call.duration", "tracedrpc.publish.retries")}

call_and_export()
parent = call_and_export()
down, up = os.pipe()
if not os.fork():
    os.write(up, json.dumps([parent, call_and_export()]).encode())
    os._exit(0)
os.close(up)
print(os.read(down, 100_000).decode())
os.wait()
provider.shutdown()
""".replace("{provider}", provider))
    assert parent == {"rpc.client.call.duration": [2], "tracedrpc.publish.retries": [2]}
    assert child == {"rpc.client.call.duration": [1], "tracedrpc.publish.retries": [1]}


def test_a_provider_may_be_set_late_and_several_listeners_count_together() -> None:
    told = _run(PRELUDE + """
first = Lab()
_call(first)
first.telemetry.reply_discarded("a" * 32, "late")
readings = Readings()
before = told(readings)
metrics.set_meter_provider(readings.provider)
second = Lab()
third = Lab(meter_provider=readings.provider)
for lab in (first, second, third):
    _call(lab)
    lab.telemetry.reply_discarded("a" * 32, "late")
print(json.dumps([before, told(readings)]))
""")
    before, after = told
    assert not before
    assert after["rpc.client.call.duration"] == [3]  # what was before the provider was not recorded
    assert after["tracedrpc.client.replies.late"] == [4]  # but counted
    assert after["tracedrpc.client.in_flight"] == [0]


def test_a_disabled_sdk_measures_nothing() -> None:
    told = _run("import os\nos.environ['OTEL_SDK_DISABLED'] = 'true'\n" + PRELUDE + """
readings = Readings()
lab = Lab(meter_provider=readings.provider)
_call(lab)
print(json.dumps([lab.inner._metrics.is_on(), told(readings)]))
""")
    assert told == [False, {}]


def test_listeners_of_one_provider_share_its_instruments() -> None:
    readings, other = Readings(), Readings()
    labs = [Lab(meter_provider=readings.provider) for _ in range(2)]
    Lab(meter_provider=other.provider)
    for lab in labs:
        lab.telemetry.reply_discarded("a" * 32, "late")
    assert readings.value("tracedrpc.client.replies.late") == 2
    assert other.value("tracedrpc.client.replies.late") == 0


def test_a_listener_can_be_made_while_metrics_are_collected() -> None:
    class Announced(Readings):
        """Whose collection goes on while a listener is being made, and counts something meanwhile."""

        def __init__(self) -> None:
            super().__init__()
            self.collecting, self.making = threading.Event(), threading.Event()
            meter = self.provider.get_meter("application")
            meter.create_observable_counter("application.look", [self._look])
            given = self.provider.get_meter
            self.provider.get_meter = lambda *args, **options: self.making.set() or given(*args, **options)
            self.counted: list[bool] = []

        def _look(self, _: Any) -> list[Any]:
            self.collecting.set()
            self.making.wait(10)
            # What counting does, with a limit: it must not have to wait for who makes instruments.
            self.counted.append(LOCK.acquire(timeout=10))
            LOCK.release()
            return []

    readings = Announced()
    collection = threading.Thread(target=readings.collect)
    collection.start()
    assert readings.collecting.wait(10)
    Lab(meter_provider=readings.provider)
    collection.join()
    assert readings.counted == [True]


@pytest.mark.parametrize("make", [
    lambda: MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False),
    lambda: OwnMeterProvider([], Resource({})),
], ids=["sdk", "native"])
def test_a_provider_that_is_gone_is_forgotten(make: Callable[[], MeterProvider]) -> None:
    import gc
    import weakref

    provider = make()
    held = weakref.ref(metrics_for(Settings(), provider))
    assert held() is metrics_for(Settings(), provider)
    provider.shutdown()
    del provider
    gc.collect()
    assert held() is None
