"""What leaves the process is counted exactly, and nothing that an exporter does stops anything."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.metrics import Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from tests.telemetry.support import CANARY, Lab, incoming, invocation
from tracedrpc import _threads
from tracedrpc._guard import guarded
from tracedrpc.message import Mode
from tracedrpc_otel import drops
from tracedrpc_otel.batches import Batcher, BatchOptions
from tracedrpc_otel.exporting import ForkProof
from tracedrpc_otel.metric_export import PeriodicOutlet, ReaderOptions
from tracedrpc_otel.outlets import finish, flush
from tracedrpc_otel.sink import SdkSink
from tracedrpc_otel.span_export import BatchProcessor
from tracedrpc_otel.telemetry import OTelTelemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


# ---- spans ------------------------------------------------------------------------------------


# ---- exact counts -----------------------------------------------------------------------------


class Scripted(SpanExporter):
    """Answers as told, and can be held up."""

    def __init__(self, *answers: SpanExportResult | Exception) -> None:
        self.answers = list(answers)
        self.gate = threading.Event()
        self.gate.set()
        self.seen = 0

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        assert self.gate.wait(5)
        self.seen += len(spans)
        answer = self.answers.pop(0) if self.answers else SpanExportResult.SUCCESS
        if isinstance(answer, Exception):
            raise answer
        return answer


def _lab_over(exporter: SpanExporter, options: BatchOptions) -> tuple[Lab, BatchProcessor]:
    lab = Lab()
    processor = BatchProcessor(ForkProof(lambda: exporter), options)
    lab.provider.add_span_processor(processor)
    return lab, processor


def _casts(lab: Lab, count: int) -> None:
    for _ in range(count):
        with lab.telemetry.call(invocation(Mode.CAST)):
            pass


def test_what_fails_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    exporter = Scripted(SpanExportResult.FAILURE, RuntimeError("boom"), RuntimeError("boom"))
    lab, processor = _lab_over(exporter, BatchOptions(max_queue_size=100, max_batch_size=5, delay_s=60))
    for expected in (5, 10, 15, 15):
        _casts(lab, 5)
        assert processor.force_flush(5000)
        assert processor.outlet.dropped == expected
    assert processor.outlet.exported == 5
    assert len([r for r in caplog.records if "telemetry_failed" in r.getMessage()]) == 1
    processor.shutdown()


def test_what_finds_the_queue_full_is_counted_exactly() -> None:
    exporter = Scripted()
    exporter.gate.clear()
    lab, processor = _lab_over(exporter, BatchOptions(max_queue_size=10, max_batch_size=2, delay_s=60))
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: _casts(lab, 25), range(4)))
    exporter.gate.set()
    assert finish([processor.outlet], 5.0)
    assert processor.outlet.dropped + processor.outlet.exported == 100
    assert processor.outlet.exported == exporter.seen
    assert 10 <= exporter.seen <= 12


def test_spans_leave_after_the_delay_without_being_asked() -> None:
    exporter = Scripted()
    lab, processor = _lab_over(exporter, BatchOptions(delay_s=0.05))
    _casts(lab, 3)
    give_up = time.monotonic() + 5
    while processor.outlet.exported < 3 and time.monotonic() < give_up:
        time.sleep(0.01)
    assert processor.outlet.exported == 3
    processor.shutdown()


def test_bsp_variables_are_honoured_and_nonsense_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "100")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "nonsense")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "250")
    assert BatchOptions.from_environment() == BatchOptions(100, 100, 0.25)


def test_log_records_have_the_limits_of_their_own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "100")
    monkeypatch.setenv("OTEL_BLRP_MAX_QUEUE_SIZE", "7")
    assert BatchOptions.from_environment("OTEL_BLRP", 1.0) == BatchOptions(7, 7, 1.0)


def test_a_process_that_can_start_no_thread_counts_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, run: Callable[[], None]) -> threading.Thread:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_threads, "start", refuse)
    lab, processor = _lab_over(Scripted(), BatchOptions())
    _casts(lab, 3)
    assert finish([processor.outlet], 5.0)
    assert (processor.outlet.exported, processor.outlet.dropped) == (0, 3)


@settings(max_examples=30, deadline=None)
@given(
    bursts=st.lists(st.integers(0, 12), max_size=6),
    answers=st.lists(st.booleans(), max_size=10),
    size=st.integers(1, 10),
    batch=st.integers(1, 10),
)
def test_every_item_is_either_exported_or_dropped(
    bursts: list[int], answers: list[bool], size: int, batch: int,
) -> None:
    arrived: list[int] = []
    left = list(answers)

    def export(items: Sequence[int]) -> bool:
        assert len(items) <= batch
        if left and not left.pop():
            return False
        arrived.extend(items)
        return True

    batcher: Batcher[int] = Batcher("numbers", export, BatchOptions(size, min(size, batch), 60.0))
    for number, burst in enumerate(bursts):
        for item in range(burst):
            batcher.put(item)
        assert number % 2 or batcher.wait(batcher.hurry(), 10.0)
    batcher.wait(batcher.hurry(), 10.0)
    batcher.close()
    batcher.put(0)
    assert batcher.exported == len(arrived)
    assert batcher.exported + batcher.dropped == sum(bursts) + 1


# ---- metrics ----------------------------------------------------------------------------------


class Points(MetricExporter):
    """Answers as told; each batch sets `came`."""

    def __init__(self, *answers: MetricExportResult | Exception) -> None:
        super().__init__()
        self.answers = list(answers)
        self.came = threading.Event()
        self.is_shut = False

    def export(self, metrics_data: Any, timeout_millis: float = 10_000, **_: Any) -> MetricExportResult:
        self.came.set()
        answer = self.answers.pop(0) if self.answers else MetricExportResult.SUCCESS
        if isinstance(answer, Exception):
            raise answer
        return answer

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        self.is_shut = True


def _metered(exporter: Points, interval_s: float = 60.0) -> tuple[PeriodicOutlet, MeterProvider]:
    outlet = PeriodicOutlet(ForkProof(lambda: exporter), ReaderOptions(interval_s))
    provider = MeterProvider([outlet.reader], shutdown_on_exit=False)
    outlet.start(provider)
    return outlet, provider


def test_points_that_fail_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    exporter = Points(MetricExportResult.FAILURE, RuntimeError("boom"), RuntimeError("boom"))
    outlet, provider = _metered(exporter)
    counter = provider.get_meter("m").create_counter("orders")
    counter.add(1, {"kind": "a"})
    counter.add(1, {"kind": "b"})
    for failed in (2, 4, 6, 6):
        assert provider.force_flush(5000)
        assert outlet.dropped == failed
    assert outlet.exported == 2
    provider.shutdown()
    assert exporter.is_shut
    assert (outlet.exported, outlet.dropped) == (4, 6)
    assert len([r for r in caplog.records if "telemetry_failed" in r.getMessage()]) == 1


def test_metrics_leave_at_intervals_without_being_asked() -> None:
    exporter = Points()
    outlet, provider = _metered(exporter, interval_s=0.05)
    provider.get_meter("m").create_counter("orders").add(1)
    for _ in range(2):
        assert exporter.came.wait(5)
        exporter.came.clear()
    assert finish([outlet], 5.0)


def test_a_callback_that_raises_costs_no_other_metric() -> None:
    def broken(_options: object) -> list[Observation]:
        raise RuntimeError(CANARY)

    outlet, provider = _metered(Points())
    meter = provider.get_meter("m")
    meter.create_observable_gauge("broken", [broken])
    meter.create_observable_gauge("sound", [lambda _options: [Observation(1)]])
    assert flush([outlet], 5.0)
    assert outlet.exported == 1
    provider.shutdown()


def test_metric_variables_are_in_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "1500")
    monkeypatch.setenv("OTEL_METRIC_EXPORT_TIMEOUT", "-3")
    assert ReaderOptions.from_environment() == ReaderOptions(1.5, 30.0)


def test_what_was_dropped_can_be_asked_for_by_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drops, "_counters", {})
    assert drops.dropped() == {}
    drops.watch("traces", lambda: 3)
    drops.watch("logs", lambda: 0)
    assert drops.dropped() == {"traces": 3, "logs": 0}


def test_exporting_threads_have_names_of_ours() -> None:
    lab, processor = _lab_over(Scripted(), BatchOptions())
    _, provider = _metered(Points())
    _casts(lab, 1)
    names = {thread.name for thread in threading.enumerate()}
    assert {"tracedrpc-export-spans", "tracedrpc-export-metrics"} <= names
    processor.shutdown()
    provider.shutdown()


# ---- hostile SDK parts ------------------------------------------------------------------------


def test_whatever_the_sdk_throws_a_call_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.sampling import ALWAYS_ON

    class Thrower(SpanProcessor):
        def __init__(self, where: str) -> None:
            setattr(self, where, self._throw)

        def _throw(self, *args: object, **fields: object) -> None:
            raise RuntimeError(CANARY)

    class BadSampler(type(ALWAYS_ON)):  # type: ignore[misc]
        def __init__(self) -> None:
            pass

        def should_sample(self, *args: object, **fields: object) -> Any:
            raise RuntimeError(CANARY)

    providers = [TracerProvider(shutdown_on_exit=False) for _ in range(3)]
    providers[0].add_span_processor(Thrower("on_start"))
    providers[1].add_span_processor(Thrower("on_end"))
    providers[2].add_span_processor(SimpleSpanProcessor(Scripted(RuntimeError("boom"))))
    providers.append(TracerProvider(sampler=BadSampler(), shutdown_on_exit=False))
    for provider in providers:
        telemetry = guarded(OTelTelemetry(SdkSink(provider)))
        for _ in range(2):
            with telemetry.call(invocation()) as scope, telemetry.process(incoming(dict(scope.carrier))):
                result = 42
            assert result == 42
    failures = [r for r in caplog.records if "telemetry_failed" in r.getMessage()]
    assert len(failures) == 6  # call and process, once for each provider that throws at us
    assert not any(CANARY in record.getMessage() for record in failures)
