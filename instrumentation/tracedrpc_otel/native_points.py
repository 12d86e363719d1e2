"""Turns what native histograms were given into the points that the SDK's would have."""

from __future__ import annotations

import os
from dataclasses import replace
from time import time_ns
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics import Histogram as HistogramKind
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
)
from opentelemetry.sdk.metrics.view import DefaultAggregation, ExplicitBucketHistogramAggregation
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from tracedrpc.semconv import SCHEMA_URL
from tracedrpc_otel.sink import SCOPE_NAME, scope_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.metrics.export import MetricsData, ScopeMetrics
    from opentelemetry.trace import SpanContext

    from tracedrpc_otel.native_histograms import NativeHistogram, NativeHistograms, NativeSeries, Window

FILTER: Final = "OTEL_METRICS_EXEMPLAR_FILTER"
_TRACE_BASED: Final = "trace_based"
_DELTA: Final = AggregationTemporality.DELTA


def can_count(aggregation: Mapping[type, Any] | None) -> bool:
    """Tell whether our histograms are what an exporter wants that prefers these aggregations.

    Exponential ones, other bounds than those of the table, and exemplars without a trace are the SDK's.
    """
    wanted = (aggregation or {}).get(HistogramKind, DefaultAggregation())
    has_our_bounds = type(wanted) is DefaultAggregation or (
        type(wanted) is ExplicitBucketHistogramAggregation
        and vars(wanted) == vars(ExplicitBucketHistogramAggregation())
    )
    return has_our_bounds and os.environ.get(FILTER, _TRACE_BASED) in {_TRACE_BASED, "always_off"}


class Reading:
    """What one outlet tells of native histograms.

    Args:
        histograms: where it comes from.
        temporality: what its exporter prefers for each kind of instrument; differences, or all so far.
    """

    def __init__(self, histograms: NativeHistograms, temporality: Mapping[type, Any] | None) -> None:
        self._histograms = histograms
        self._temporality = (temporality or {}).get(HistogramKind, AggregationTemporality.CUMULATIVE)
        self._has_exemplars = os.environ.get(FILTER, _TRACE_BASED) == _TRACE_BASED
        self._scope = InstrumentationScope(SCOPE_NAME, scope_version(), SCHEMA_URL)
        self.restart()
        histograms.read_by(self)

    def restart(self) -> None:
        """Forget what there is."""
        self._kept: dict[NativeSeries, Window] = {}
        self._told_ns: dict[NativeHistogram, int] = {}

    def keep(self, series: NativeSeries, window: Window) -> None:
        """Take what a series was given."""
        before = self._kept.get(series)
        self._kept[series] = window if before is None else before.then(window)

    def into(self, data: MetricsData) -> MetricsData:
        """Return what the SDK collected with our histograms in it, instead of what it has of them.

        It has collected something of ours, always: the counts of calls under way.
        """
        ours = self._histograms.read(self)
        (of_resource,) = data.resource_metrics
        scopes = [self._joined(each, ours) for each in of_resource.scope_metrics]
        return replace(data, resource_metrics=[replace(of_resource, scope_metrics=scopes)])

    def _joined(self, of_scope: ScopeMetrics, ours: list[Metric]) -> ScopeMetrics:
        if of_scope.scope != self._scope:
            return of_scope
        names = self._histograms.names()
        theirs = [metric for metric in of_scope.metrics if metric.name not in names]
        return replace(of_scope, metrics=[*theirs, *ours])

    def metrics(self, histograms: list[NativeHistogram]) -> list[Metric]:
        """Return what there is to tell now."""
        now_ns = time_ns()
        points: dict[NativeHistogram, list[HistogramDataPoint]] = {}
        for series, window in self._kept.items():
            points.setdefault(series.home, []).append(self._point(series, window, now_ns))
        self._told(histograms, now_ns)
        return [
            Metric(home.row.name, home.row.description, home.row.unit, Histogram(of_it, self._temporality))
            for home, of_it in points.items()
        ]

    def _told(self, histograms: list[NativeHistogram], now_ns: int) -> None:
        if self._temporality is _DELTA:
            self._kept = {}
            self._told_ns = dict.fromkeys(histograms, now_ns)
        else:
            self._kept = {series: window._replace(examples={}) for series, window in self._kept.items()}

    def _point(self, series: NativeSeries, window: Window, now_ns: int) -> HistogramDataPoint:
        examples = window.examples if self._has_exemplars else {}
        return HistogramDataPoint(
            attributes=series.attributes,
            start_time_unix_nano=self._told_ns.get(series.home, series.started_ns),
            time_unix_nano=now_ns,
            count=sum(window.counts),
            sum=window.total,
            bucket_counts=tuple(window.counts),
            explicit_bounds=series.home.bounds,
            min=window.least,
            max=window.most,
            exemplars=[_exemplar(*example) for _, example in sorted(examples.items())],
        )


def _exemplar(value: float, at_ns: int, span: SpanContext) -> Exemplar:
    return Exemplar({}, value, at_ns, span.span_id, span.trace_id)
