"""Metrics read back as series."""

from __future__ import annotations

import json
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from tracedrpc_console.store.model import Point, Series
from tracedrpc_console.store.values import has_all

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping


def read_series(
    connection: sqlite3.Connection, name: str, from_ns: int, to_ns: int, attributes: Mapping[str, str] | None,
) -> list[Series]:
    """Return the series of a metric that have points in [from_ns, to_ns), with all of these attributes."""
    rows = connection.execute(
        """
        SELECT series.id, name, unit, service, instance, attributes, at_ns, value, count, buckets
        FROM series JOIN source ON source.id = series.source JOIN point ON point.series = series.id
        WHERE name = ? AND at_ns >= ? AND at_ns < ? ORDER BY series.id, at_ns
        """,
        (name, from_ns, to_ns),
    )
    found = (_series(list(group)) for _, group in groupby(rows, itemgetter(0)))
    return [each for each in found if has_all(each.attributes, attributes or {})]


def read_names(connection: sqlite3.Connection) -> list[str]:
    """Return the names of all metrics."""
    return [name for (name,) in connection.execute("SELECT DISTINCT name FROM series ORDER BY name")]


def _series(rows: list[tuple[Any, ...]]) -> Series:
    _, name, unit, service, instance, attributes, *_ = rows[0]
    points = tuple(
        Point(at_ns, value, count, tuple((bound, n) for bound, n in json.loads(buckets or "[]")))
        for *_, at_ns, value, count, buckets in rows
    )
    return Series(name, unit, service, instance, json.loads(attributes), points)
