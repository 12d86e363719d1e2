"""Collects metrics now and then and hands them to an exporter, on a thread of its own.

Instead of the SDK's periodic reader, which does not say what it lost, whose lock a forked child
may inherit locked, and whose children report their parent's counts as their own.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, detach, set_value
from opentelemetry.sdk.metrics.export import MetricReader

from tracedrpc import _threads
from tracedrpc.telemetry import Telemetry
from tracedrpc_otel.batches import positive
from tracedrpc_otel.forks import Gate, weakly
from tracedrpc_otel.metrics import count_from_zero
from tracedrpc_otel.native_histograms import histograms_of
from tracedrpc_otel.native_points import Reading, can_count
from tracedrpc_otel.outlets import SHUTDOWN_S, finish, flush

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import MetricExporter, MetricsData

    from tracedrpc_otel.exporting import ForkProof


@dataclass(frozen=True, slots=True)
class ReaderOptions:
    """How often metrics are collected, and how long that may take, in seconds."""

    interval_s: float = 60.0
    timeout_s: float = 30.0

    @classmethod
    def from_environment(cls) -> ReaderOptions:
        """Return what `OTEL_METRIC_EXPORT_INTERVAL` and `..._TIMEOUT` say, in milliseconds there."""
        return cls(
            positive("OTEL_METRIC_EXPORT_INTERVAL", 60_000) / 1e3,
            positive("OTEL_METRIC_EXPORT_TIMEOUT", 30_000) / 1e3,
        )


class PeriodicOutlet:
    """Owns the thread that collects and exports; counts points.

    Give `reader` to a `MeterProvider`, and the provider to `start`. A forked child has a thread
    and a reader of its own, which begins from zero: the parent's counts are the parent's to tell.

    Args:
        exporter: where the points go.
        options: how often; None is what `OTEL_METRIC_EXPORT_*` says.

    Attributes:
        can_count: our own histograms are what the exporter wants.
    """

    def __init__(self, exporter: ForkProof[MetricExporter], options: ReaderOptions | None = None) -> None:
        self._exporter = exporter
        self._options = options or ReaderOptions.from_environment()
        self._provider: MeterProvider | None = None
        self._reading: Reading | None = None
        self._closed = self._reported = False
        self._collecting = Gate()
        self._reset()
        # They are private, and the SDK's own reader asks for them all the same.
        made: Any = exporter.get()
        self._preferences = (made._preferred_temporality, made._preferred_aggregation)  # noqa: SLF001
        self.can_count = can_count(self._preferences[1])
        self.reader = Reader(self, *self._preferences)
        os.register_at_fork(after_in_child=weakly(self._in_child))

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._pending: deque[MetricsData] = deque()
        self._asked = self._begun = self._ended = 0
        self._collected = self._exported = self._failed = 0

    @property
    def dropped(self) -> int:
        """How many points that were collected did not arrive."""
        with self._changed:
            return self._collected - self._exported if self._closed else self._failed

    @property
    def exported(self) -> int:
        """How many points arrived."""
        return self._exported

    def start(self, provider: MeterProvider) -> None:
        """Collect this provider's metrics from now on, and our own histograms if it has any."""
        self._provider = provider
        native = histograms_of(provider)
        self._reading = None if native is None else Reading(native, self._preferences[0])
        _threads.start("export-metrics", self._run)

    def hurry(self) -> int:
        """Begin to collect and export; return the mark for `wait`."""
        with self._changed:
            self._asked = self._begun + 1
            self._changed.notify_all()
            return self._asked

    def wait(self, mark: int, timeout_s: float) -> bool:
        """Wait until that round of collection and export has ended; False when it has not."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._ended >= mark, timeout_s)
            return self._ended >= mark

    def close(self) -> None:
        """Stop at once, and end the exporter."""
        with self._changed:
            was_closed, self._closed = self._closed, True
            self._changed.notify_all()
        if not was_closed:
            self._exporter.shutdown()

    def take(self, data: MetricsData) -> None:
        """Keep what was collected until it is exported."""
        if self._reading is not None:
            data = self._reading.into(data)
        with self._changed:
            self._collected += _points(data)
            self._pending.append(data)

    # ---- the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        while self._is_due():
            try:
                self._collect()
                self._export()
            except Exception as error:  # noqa: BLE001 - nothing ends this thread before `close`
                self._report(error)
            with self._changed:
                self._ended = self._begun
                self._changed.notify_all()

    def _is_due(self) -> bool:
        """Wait for the next round; False when all is over."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or self._asked > self._begun, self._options.interval_s,
            )
            self._begun += 1
            return not self._closed

    def _collect(self) -> None:
        with self._collecting:  # it takes locks of the SDK that a child would need
            self.reader.collect(self._options.timeout_s * 1e3)

    def _export(self) -> None:
        # Or an instrumented HTTP client would trace our own exports, for ever.
        token = attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, value=True))
        try:
            while self._pending:
                data = self._pending.popleft()
                self._count(data, is_there=self._try(data))
        finally:
            detach(token)

    def _try(self, data: MetricsData) -> bool:
        try:
            return self._exporter.export(data, timeout_millis=self._options.timeout_s * 1e3)
        except Exception as error:  # noqa: BLE001 - what does not arrive is counted
            self._report(error)
            return False

    def _report(self, error: Exception) -> None:
        if not self._reported:
            self._reported = True
            Telemetry().telemetry_failed("export of metrics", error)

    def _count(self, data: MetricsData, *, is_there: bool) -> None:
        with self._changed:
            if is_there:
                self._exported += _points(data)
            else:
                self._failed += _points(data)

    def _in_child(self) -> None:
        self._reset()
        if self._closed or self._provider is None:
            return
        inherited, self.reader = self.reader, Reader(self, *self._preferences)
        inherited.outlet = None
        self._provider.add_metric_reader(self.reader)
        self._provider.remove_metric_reader(inherited)
        count_from_zero()
        _threads.start("export-metrics", self._run)


class Reader(MetricReader):
    """What the SDK knows of an outlet."""

    def __init__(self, outlet: PeriodicOutlet, temporality: Any, aggregation: Any) -> None:
        super().__init__(preferred_temporality=temporality, preferred_aggregation=aggregation)
        self.outlet: PeriodicOutlet | None = outlet

    def _receive_metrics(
        self, metrics_data: MetricsData, timeout_millis: float = 10_000, **_: Any,  # noqa: ARG002
    ) -> None:
        if self.outlet is not None:
            self.outlet.take(metrics_data)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        """Collect and export; False when that took too long."""
        return self.outlet is None or flush([self.outlet], timeout_millis / 1e3)

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        """Collect and export a last time, in a few seconds at the most."""
        if self.outlet is not None:
            finish([self.outlet], min(timeout_millis / 1e3, SHUTDOWN_S))


def _points(data: MetricsData) -> int:
    return sum(
        len(metric.data.data_points)
        for of_resource in data.resource_metrics
        for of_scope in of_resource.scope_metrics
        for metric in of_scope.metrics
    )
