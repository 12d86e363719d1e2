"""What we count ourselves is told as the SDK would have told it, and nothing is lost or told twice."""

from __future__ import annotations

import sys
import threading
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import Histogram
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from tests.telemetry.meters import NativeReadings, Readings
from tracedrpc_otel import instruments as table
from tracedrpc_otel.exporting import ForkProof
from tracedrpc_otel.meters import Meters, SdkSeries
from tracedrpc_otel.native_histograms import NativeSeries
from tracedrpc_otel.own_meters import OwnMeterProvider
from tracedrpc_otel.signals import make_metrics
from tracedrpc_otel.sink import SCOPE_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.sdk.metrics.export import MetricsData

ROWS = (table.CLIENT_DURATION, table.QUEUE_DURATION)
SDK = "opentelemetry.sdk.metrics._internal"
CLOCKS = (
    f"{SDK}.instrument", f"{SDK}.metric_reader_storage", f"{SDK}._view_instrument_match",
    "tracedrpc_otel.native_histograms", "tracedrpc_otel.native_points",
)
"""Modules that look at the time."""
STARTED_NS = 1_700_000_000_000_000_000
DELTA: dict[type, Any] = {Histogram: AggregationTemporality.DELTA}
EITHER = pytest.mark.parametrize("temporality", [None, DELTA], ids=["cumulative", "delta"])


class Live:
    """As much of a live span as a measurement looks at."""

    def __init__(self, span_id: int, flags: int) -> None:
        self.span_context = SpanContext(77, span_id, is_remote=False, trace_flags=TraceFlags(flags))
        self.context = trace.set_span_in_context(NonRecordingSpan(self.span_context), Context())


class Bench:
    """Histograms of one provider, with series made when they are first wanted."""

    def __init__(self, readings: Readings) -> None:
        self.readings = readings
        meters = Meters(readings.provider)
        meters.observe(table.IN_FLIGHT, lambda: [Observation(0)])
        self._bind = [meters.histogram(row, (1000.0,)) for row in ROWS]
        self._made: dict[Any, Any] = {}

    def series(self, row: int = 0, attributes: Any = (("rpc.method", "m"),)) -> Any:
        key = (row, attributes)
        if key not in self._made:
            self._made[key] = self._bind[row](dict(attributes))
        return self._made[key]

    def record(self, value: float, live: Any = None, **where: Any) -> None:
        self.series(**where).record(value, live)

    def count(self) -> int:
        points = self.readings.points(table.CLIENT_DURATION.name)
        return sum(point.count for point in points)


@contextmanager
def at(ns: int) -> Iterator[None]:
    """Let everybody see the same time."""
    with ExitStack() as stack:
        for module in CLOCKS:
            stack.enter_context(patch(f"{module}.time_ns", lambda: ns))
        yield


def encoded(data: MetricsData | None) -> dict[str, Any]:
    """Return what an exporter would send, in an order of our own: OTLP gives no meaning to any."""
    assert data is not None
    (of_resource,) = encode_metrics(data).resource_metrics
    (of_scope,) = of_resource.scope_metrics
    for metric in of_scope.metrics:
        points = list(metric.histogram.data_points)
        for point in points:
            point.attributes.sort(key=lambda pair: pair.key)
        del metric.histogram.data_points[:]
        metric.histogram.data_points.extend(sorted(points, key=lambda point: str(point.attributes)))
    of_scope.metrics.sort(key=lambda metric: metric.name)
    return {"resource": of_resource.resource, "scopes": of_scope}


# Text and ports, as in the table: the SDK tells 1 from True and 1.0 too, which nobody sends here.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=4)
keys = st.sampled_from(["rpc.method", "error.type", "server.port"])
attribute_sets = st.dictionaries(keys, texts | st.integers(0, 65535), min_size=1, max_size=3)
values = st.sampled_from(table.CALL_BUCKETS) | st.floats(0, 1e6) | st.just(0.0)
spans = st.none() | st.builds(Live, st.integers(1, 2**63), st.integers(0, 3))
COLLECT = None


@EITHER
@given(data=st.data(), sets=st.lists(attribute_sets, min_size=1, max_size=4))
def test_any_values_are_told_as_the_sdk_tells_them(temporality: Any, data: Any, sets: list[Any]) -> None:
    one = st.tuples(st.integers(0, 1), st.sampled_from(sets), values, spans)
    steps = data.draw(st.lists(one | st.just(COLLECT), max_size=30))
    ours = Bench(NativeReadings(preferred_temporality=temporality))
    theirs = Bench(Readings(preferred_temporality=temporality))
    for number, step in enumerate([*steps, COLLECT, COLLECT]):
        with at(STARTED_NS + number):
            if step is not COLLECT:
                row, attributes, value, live = step
                for bench in (ours, theirs):
                    bench.record(value, live, row=row, attributes=tuple(attributes.items()))
                continue
            told = encoded(ours.readings.data())
            assert told["scopes"] == encoded(theirs.readings.data())["scopes"]


def test_both_are_bound_as_they_should_be() -> None:
    assert isinstance(Bench(NativeReadings()).series(), NativeSeries)
    assert isinstance(Bench(Readings()).series(), SdkSeries)


def test_without_a_span_of_its_own_a_value_is_of_the_current_one() -> None:
    bench = Bench(NativeReadings())
    with trace.use_span(NonRecordingSpan(Live(5, 1).span_context)):
        bench.record(0.2)
    bench.record(7.0)
    (point,) = bench.readings.points(table.CLIENT_DURATION.name)
    assert [(each.span_id, each.value) for each in point.exemplars] == [(5, 0.2)]


def test_equal_attributes_are_one_series_whoever_binds_them() -> None:
    readings = NativeReadings()
    benches = [Bench(readings), Bench(readings)]
    for bench in benches:
        bench.record(1.0)
    (point,) = readings.points(table.CLIENT_DURATION.name)
    assert point.count == 2


def test_the_exemplar_filter_of_the_environment_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_METRICS_EXEMPLAR_FILTER", "always_off")
    bench = Bench(NativeReadings())
    bench.record(1.0, Live(5, 1))
    (point,) = bench.readings.points(table.CLIENT_DURATION.name)
    assert point.count == 1
    assert not point.exemplars


# ---- threads ----------------------------------------------------------------------------------


@EITHER
def test_counts_are_exact_whatever_threads_do(temporality: Any, eager_switches: None) -> None:
    bench = Bench(NativeReadings(preferred_temporality=temporality))
    threads = [threading.Thread(target=_record_many, args=(bench,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    counts: list[Any] = []
    while any(thread.is_alive() for thread in threads):
        counts += bench.readings.points(table.CLIENT_DURATION.name)
    counts += bench.readings.points(table.CLIENT_DURATION.name)
    told = counts if temporality else counts[-1:]
    assert sum(point.count for point in told) == sum(sum(point.bucket_counts) for point in told) == 16_000
    assert sum(point.sum for point in told) == 8_000.0


def _record_many(bench: Bench) -> None:
    for _ in range(2000):
        bench.record(0.5)


def test_a_value_is_taken_whole_or_not_at_all() -> None:
    series, taken = Bench(NativeReadings()).series(), []
    taker = threading.Thread(target=lambda: taken.append(series.take()))

    def look() -> int:
        """Let another thread try to take what is being recorded just now."""
        taker.start()
        taker.join(0.2)
        return STARTED_NS

    with patch("tracedrpc_otel.native_histograms.time_ns", look):
        series.record(0.5, Live(5, 1))
    taker.join()
    (window,) = taken
    assert (sum(window.counts), window.total, len(window.examples)) == (1, 0.5, 1)


@pytest.fixture
def eager_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


# ---- other readers ----------------------------------------------------------------------------


@EITHER
def test_a_reader_of_the_application_has_what_comes_and_ours_has_everything_once(
    temporality: Any, caplog: pytest.LogCaptureFixture,
) -> None:
    readings = NativeReadings(preferred_temporality=temporality)
    bench, theirs = Bench(readings), Readings()
    bench.record(1.0)
    with caplog.at_level("INFO", "tracedrpc"):
        theirs.reader = InMemoryMetricReader()
        readings.provider.add_metric_reader(theirs.reader)
        readings.provider.add_metric_reader(InMemoryMetricReader())
    bench.record(2.0, Live(5, 1))
    bench.record(3.0)
    assert bench.count() == 3
    (point,) = theirs.points(table.CLIENT_DURATION.name)
    assert (point.count, point.sum, len(point.exemplars)) == (2, 5.0, 1)
    assert bench.count() == (0 if temporality else 3), "already told"
    said = [record.message for record in caplog.records]
    assert len([text for text in said if "metric_reader_added" in text]) == 1, said


def test_what_the_sdk_hears_after_we_have_told_it_is_not_told_again() -> None:
    readings = NativeReadings(preferred_temporality=DELTA)
    readings.provider.add_metric_reader(InMemoryMetricReader())
    bench = Bench(readings)
    with patch.object(SdkSeries, "record") as late:
        bench.record(1.0)
    assert bench.count() == 1
    SdkSeries.record(bench.series()._theirs, *late.call_args.args)
    assert bench.count() == 0


def test_other_libraries_histograms_stay_the_sdks() -> None:
    readings = NativeReadings()
    readings.provider.get_meter("theirs").create_histogram(table.CLIENT_DURATION.name).record(4.0)
    bench = Bench(readings)
    bench.record(1.0)
    data: Any = readings.data()
    assert data is not None
    told = {
        of_scope.scope.name: [metric.data for metric in of_scope.metrics if metric.name == ROWS[0].name]
        for of_scope in data.resource_metrics[0].scope_metrics
    }
    assert {name: [point.sum for point in one.data_points] for name, (one,) in told.items()} == {
        "theirs": [4.0], SCOPE_NAME: [1.0],
    }


def test_each_outlet_tells_everything_in_its_own_way() -> None:
    readings = NativeReadings()
    other = NativeReadings(preferred_temporality=DELTA, own=readings.own)
    bench, told = Bench(readings), []
    for value in (1.0, 2.0, 4.0):
        bench.record(value, Live(5, 1))
        for each in (readings, other) if value < 3 else (other, readings):
            (point,) = each.points(table.CLIENT_DURATION.name)
            told.append((point.sum, len(point.exemplars)))
    assert told == [(1.0, 1), (1.0, 1), (3.0, 1), (2.0, 1), (4.0, 1), (7.0, 1)]


# ---- who counts -------------------------------------------------------------------------------


def _made(exporter: Callable[[], Any]) -> Any:
    signal = make_metrics(Resource({}), [ForkProof(exporter)])
    for outlet in signal.outlets:
        outlet.close()
    return signal.provider


def _otlp() -> Any:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    return OTLPMetricExporter("http://127.0.0.1:9")


@pytest.mark.parametrize(("variable", "value", "is_native"), [
    ("TRACEDRPC_NATIVE", "", True),
    ("TRACEDRPC_NATIVE", "off", False),
    ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta", True),
    ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram", False),
    ("OTEL_METRICS_EXEMPLAR_FILTER", "always_off", True),
    ("OTEL_METRICS_EXEMPLAR_FILTER", "always_on", False),
])
def test_the_sdk_counts_where_it_can_do_what_we_cannot(
    variable: str, value: str, is_native: bool, monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, value)
    provider = _made(_otlp)
    assert isinstance(provider, OwnMeterProvider) is is_native
    assert isinstance(Meters(provider).histogram(ROWS[0])({"a": 1}), NativeSeries) is is_native
    provider.shutdown()


def test_the_sdk_counts_where_a_package_registered_a_reader() -> None:
    provider = _made(InMemoryMetricReader)
    assert not isinstance(provider, OwnMeterProvider)
    provider.shutdown()
