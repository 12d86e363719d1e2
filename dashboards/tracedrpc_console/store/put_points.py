"""Data points of metrics into their tables: plain numbers, one row each."""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

from tracedrpc_console.store.values import attributes_of, text_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator

    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
    from opentelemetry.proto.metrics.v1.metrics_pb2 import (
        ExponentialHistogramDataPoint,
        HistogramDataPoint,
        Metric,
    )

    from tracedrpc_console.store.sources import Source, Sources

_CACHE_MOST: Final = 5000
Buckets = list[tuple[float, int]]


class PointPutter:
    """Writes data points, on the writer's thread and in its transaction.

    Args:
        connection: the writer's.
        sources: knows who sent them.
        next_id: gives their ids.
    """

    def __init__(self, connection: sqlite3.Connection, sources: Sources, next_id: Callable[[], int]) -> None:
        self._connection = connection
        self._sources = sources
        self._next_id = next_id
        self._series: dict[bytes, int] = {}

    def put(self, requests: Iterable[ExportMetricsServiceRequest]) -> None:
        """Write the points of some exports; one of the same instant is left as it was."""
        rows = [
            (self._next_id(), self._series_id(source, metric, point), point.time_unix_nano, *_numbers(point))
            for source, metric, point in self._points(requests)
        ]
        self._connection.executemany("INSERT OR IGNORE INTO point VALUES (?, ?, ?, ?, ?, ?)", rows)

    def forget(self) -> None:
        """Know nothing by heart: rows were removed, or a transaction was taken back."""
        self._series.clear()

    def _points(
        self, requests: Iterable[ExportMetricsServiceRequest],
    ) -> Iterator[tuple[Source, Metric, Any]]:
        for request in requests:
            for of_resource in request.resource_metrics:
                for of_scope in of_resource.scope_metrics:
                    source = self._sources.source(of_resource, of_scope)
                    for metric in of_scope.metrics:
                        yield from ((source, metric, point) for point in points_of(metric))

    def _series_id(self, source: Source, metric: Metric, point: Any) -> int:
        attributes = json.dumps(attributes_of(point.attributes), sort_keys=True, default=text_of)
        told = f"{source.id}\0{metric.name}\0{attributes}".encode("utf-8", "replace")
        key = blake2b(told, digest_size=16).digest()
        found = self._series.get(key)
        if found is None:
            if len(self._series) > _CACHE_MOST:
                self._series.clear()
            found = self._series[key] = self._find(key, source, metric, attributes)
        return found

    def _find(self, key: bytes, source: Source, metric: Metric, attributes: str) -> int:
        row = self._connection.execute("SELECT id FROM series WHERE hash = ?", (key,)).fetchone()
        if row is not None:
            return int(row[0])
        made = self._connection.execute(
            "INSERT INTO series (hash, source, name, unit, attributes) VALUES (?, ?, ?, ?, ?)",
            (key, source.id, metric.name, metric.unit, attributes),
        )
        return made.lastrowid or 0


def points_of(metric: Metric) -> Any:
    """Return the data points of a metric of whatever kind; () when it has none."""
    kind = metric.WhichOneof("data")
    return getattr(metric, kind).data_points if kind else ()


def _numbers(point: Any) -> tuple[float, int, str]:
    """Return the value, the count, and the buckets as JSON or "" for none."""
    match type(point).__name__:
        case "NumberDataPoint":
            return _number(getattr(point, point.WhichOneof("value") or "as_double")), 0, ""
        case "HistogramDataPoint":
            return _number(point.sum), point.count, json.dumps(_explicit(point))
        case "ExponentialHistogramDataPoint":
            return _number(point.sum), point.count, json.dumps(_exponential(point))
        case _:
            return _number(point.sum), point.count, ""


def _number(value: float) -> float:
    """Return the value, 0 for one that is not a number: SQLite would make NULL of it."""
    return float(value) if value == value else 0.0  # noqa: PLR0124 - that is how NaN is told


def _explicit(point: HistogramDataPoint) -> Buckets:
    return list(zip([*point.explicit_bounds, float("inf")], point.bucket_counts, strict=False))


def _exponential(point: ExponentialHistogramDataPoint) -> Buckets:
    """Return the filled buckets of an exponential histogram by their upper bounds."""
    base = 2.0 ** (2.0 ** -min(max(point.scale, -10), 20))
    positive, negative = point.positive, point.negative
    below = [
        (-_power(base, negative.offset + place), n) for place, n in enumerate(negative.bucket_counts) if n
    ]
    above = [
        (_power(base, positive.offset + place + 1), n) for place, n in enumerate(positive.bucket_counts) if n
    ]
    zero = [(point.zero_threshold, point.zero_count)] if point.zero_count else []
    return [*reversed(below), *zero, *above]


def _power(base: float, exponent: int) -> float:
    try:
        return float(base**exponent)
    except OverflowError:
        return float("inf")
