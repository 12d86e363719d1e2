"""What is too old or too much goes, the oldest first, whole traces at a time; what stays is whole."""

from __future__ import annotations

import sqlite3
import time

import pytest

from tests.console.exports import BEGIN_NS, a_log, a_span, gauge_export, trace_id
from tests.console.stores import store
from tracedrpc_console.spans import Kind
from tracedrpc_console.store.model import LogQuery, TraceQuery
from tracedrpc_console.store.signals import Signal

MIB = 1024 * 1024
SPANS_OF_TRACE = 5


def wait_until(is_so, timeout_s=30.0):
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def a_trace(n):
    """Return a trace of 5 spans with texts of 2 kB; the second is a SERVER span of another service."""
    text = f"word{n} " + f"{n:x} filler " * 150
    return [
        a_span(trace=n, place=place, parent=place - 1, at_ms=n, service="compute" if place > 1 else "api",
               kind=Kind.SERVER if place == 2 else Kind.CLIENT,
               attributes={"text": text, "rpc.method": "m", "tracedrpc.mode": "call"})
        for place in range(1, SPANS_OF_TRACE + 1)
    ]


def test_the_file_never_grows_much_beyond_its_size_and_traces_go_whole():
    most = 4 * MIB
    with store(max_bytes=most, shelf_rows=500) as a_store:
        largest = 0
        for n in range(1, 1001, 20):
            a_store.spans(*(span for each in range(n, n + 20) for span in a_trace(each)))
            a_store.logs(*(a_log(f"log{each} " + "filler " * 100, at_ms=each) for each in range(n, n + 20)))
            largest = max(largest, a_store.path.stat().st_size)
        status = a_store.reader.status()
        assert largest <= most * 1.1
        assert 0 < status.traces < 1000
        assert 0 < status.logs < 1000
        assert status.spans == status.traces * SPANS_OF_TRACE
        kept = [each.trace_id for each in a_store.reader.find_traces(TraceQuery(limit=1000)).items]
        assert kept == [trace_id(n) for n in range(1000, 1000 - status.traces, -1)]
        assert a_store.reader.find_traces(TraceQuery(text="word1000")).items
        assert a_store.reader.find_traces(TraceQuery(text="word1")).items == ()
        assert a_store.reader.logs(LogQuery(text="log1")).items == ()
        assert len(a_store.reader.logs(LogQuery(text="log1000")).items) == 1
        assert {each.name: each.spans for each in a_store.reader.services()} == {
            "api": status.traces, "compute": 4 * status.traces,
        }
        assert len(a_store.reader.calls()) == status.spans - status.traces
        assert_nothing_is_left_of_what_went(a_store.path)


def test_what_has_arrived_long_ago_goes_whatever_its_clock_says():
    with store(retention_s=1.5) as a_store:
        a_store.spans(*a_trace(1))
        a_store.logs(a_log("old"))
        a_store.take(Signal.METRICS, gauge_export("used", (0, 1.0)))
        assert a_store.reader.status().traces == 1
        wait_until(lambda: (status := a_store.reader.status()).traces + status.logs + status.points == 0)
        a_store.spans(a_span(trace=2, at_ms=-1e9))
        assert [each.trace_id for each in a_store.reader.find_traces(TraceQuery()).items] == [trace_id(2)]
        assert [each.name for each in a_store.reader.services()] == ["api"]
        assert a_store.reader.metric_names() == []


def test_a_trace_from_the_far_future_goes_like_any_other():
    with store(retention_s=1.0) as a_store:
        a_store.spans(a_span(at_ms=(2**61 - BEGIN_NS) / 1e6))
        assert a_store.reader.status().spans == 1
        wait_until(lambda: a_store.reader.status().spans == 0)


def test_empty_shelves_are_thrown_away():
    with store(retention_s=1.0, shelf_rows=10) as a_store:
        for n in range(1, 9):
            a_store.spans(*a_trace(n))
        wait_until(lambda: a_store.reader.status().spans == 0)
        with sqlite3.connect(a_store.path) as connection:
            assert connection.execute("SELECT count(*) FROM shelf").fetchone()[0] <= 1
            names = connection.execute("SELECT name FROM sqlite_schema WHERE name GLOB 'spans_*'").fetchall()
            assert len(names) <= 5  # the tables of the one shelf that is being filled


def assert_nothing_is_left_of_what_went(path):
    with sqlite3.connect(path) as connection:
        for table in ("span", "call", "entry"):
            lost = f"SELECT count(*) FROM {table} WHERE trace NOT IN (SELECT id FROM trace)"  # noqa: S608
            assert connection.execute(lost).fetchone() == (0,), table
        alive = "SELECT number, alive FROM shelf WHERE signal = 'spans' AND alive > 0 ORDER BY number"
        counted = "SELECT shelf, count(*) FROM span GROUP BY shelf ORDER BY shelf"
        assert connection.execute(alive).fetchall() == connection.execute(counted).fetchall()
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("signal", ["logs", "metrics"])
def test_logs_and_points_alone_keep_to_the_size_too(signal):
    most = 3 * MIB
    with store(max_bytes=most, shelf_rows=500) as a_store:
        for n in range(120):
            if signal == "logs":
                a_store.logs(*(a_log(f"{n} {each} " + "filler " * 60, at_ms=n) for each in range(100)))
            else:
                values = [(n * 1000 + each, 0.5) for each in range(1000)]
                a_store.take(Signal.METRICS, gauge_export("used", *values, pool="a"))
        status = a_store.reader.status()
        assert a_store.path.stat().st_size <= most * 1.1
        assert 1000 < status.logs + status.points < 120_000
