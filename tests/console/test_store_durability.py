"""One file, one writer, many readers; what was flushed survives whatever happens to the writer."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap

import pytest

from tests.console.exports import a_log, a_span, trace_id
from tests.console.stores import store
from tracedrpc_console.store.model import LogQuery, TraceQuery
from tracedrpc_console.store.reader import Reader
from tracedrpc_console.store.schema import StoreError
from tracedrpc_console.store.writer import Writer

FLOW = textwrap.dedent("""
    import sys
    from pathlib import Path
    from tests.console.exports import a_log, a_span, log_export, trace_export
    from tracedrpc_console.ingest.intake import Intake
    from tracedrpc_console.store.signals import Signal
    from tracedrpc_console.store.writer import Writer

    writer = Writer(Path(sys.argv[1]))
    intake = Intake(writer)
    for n in range(1, 1_000_000):
        spans = [a_span(trace=n, place=place, at_ms=n) for place in range(1, 51)]
        intake.take(Signal.TRACES, trace_export(*spans))
        intake.take(Signal.LOGS, log_export(*(a_log(f"record {n} {place}", at_ms=n) for place in range(50))))
        if n % 5 == 0 and writer.flush(30):
            print(n, flush=True)
""")

WRITE = textwrap.dedent("""
    import pathlib, sys
    from tracedrpc_console.store.writer import Writer
    Writer(pathlib.Path(sys.argv[1]))
""")
READ = textwrap.dedent("""
    import sys
    from tracedrpc_console.store.reader import Reader
    print(Reader(sys.argv[1]).status().spans)
""")


def python(*args, **options):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((".", "instrumentation", "dashboards"))}
    return subprocess.Popen([sys.executable, *args], env=environment, text=True, **options)


def test_what_was_flushed_survives_a_kill_in_full_flow(tmp_path):
    path = tmp_path / "console.db"
    with python("-c", FLOW, path, stdout=subprocess.PIPE) as writer:
        flushed = [int(writer.stdout.readline()) for _ in range(4)][-1]
        writer.send_signal(signal.SIGKILL)
        flushed = max([flushed, *(int(line) for line in writer.stdout if line.endswith("\n"))])
    with store(path) as after:
        (said,) = sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone()
        assert said == "ok"
        for n in range(1, flushed + 1):
            assert len(after.reader.trace(trace_id(n)) or []) == 50
        assert after.reader.find_traces(TraceQuery(service="api")).items
        assert len(after.reader.logs(LogQuery(text=f"record {flushed}", limit=100)).items) >= 50
        counted = after.reader.status()
        with sqlite3.connect(path) as connection:
            assert connection.execute("SELECT count(*) FROM span").fetchone()[0] == counted.spans
            assert connection.execute("SELECT count(*) FROM log").fetchone()[0] == counted.logs
        after.spans(a_span(trace=2_000_000))
        assert after.reader.trace(trace_id(2_000_000))


def test_a_second_writer_is_told_who_the_first_one_is(tmp_path):
    path = tmp_path / "console.db"
    with Writer(path):
        with pytest.raises(StoreError, match=f"process {os.getpid()} writes to it.*--db"):
            Writer(path)
        with python("-c", WRITE, path, stderr=subprocess.PIPE) as second:
            _, said = second.communicate(timeout=60)
        assert f"process {os.getpid()} writes to it" in said
    with Writer(path):
        pass


def test_another_process_reads_while_this_one_writes(tmp_path):
    path = tmp_path / "console.db"
    with store(path) as a_store:
        for n in range(1, 4):
            a_store.spans(a_span(trace=n))
            with python("-c", READ, path, stdout=subprocess.PIPE) as reader:
                said, _ = reader.communicate(timeout=60)
            assert int(said) == n


def test_a_reader_sees_one_instant_and_never_stops_the_writer(tmp_path):
    with store(tmp_path / "console.db") as a_store:
        a_store.spans(a_span())
        with a_store.reader._snapshot() as connection:
            assert connection.execute("SELECT count(*) FROM span").fetchone() == (1,)
            a_store.spans(a_span(trace=2))
            assert connection.execute("SELECT count(*) FROM span").fetchone() == (1,)
        assert a_store.reader.status().spans == 2


def test_what_was_stored_is_there_after_a_restart_and_goes_on(tmp_path):
    path = tmp_path / "console.db"
    root, child = a_span(), a_span(place=2, parent=1, service="compute")
    with store(path) as first:
        first.spans(child)
        first.logs(a_log("one"))
    with store(path) as second:
        second.spans(root, child)
        second.logs(a_log("two"))
        found = second.reader.summary(root.trace_id)
        assert found is not None
        assert (found.spans, found.root_service, found.orphans) == (2, "api", 0)
        assert [row.body for row in second.reader.logs_after(0)] == ["one", "two"]


def test_only_its_owner_can_read_the_file(tmp_path):
    with store(tmp_path / "console.db") as a_store:
        a_store.spans(a_span())
        for each in tmp_path.iterdir():
            assert stat.S_IMODE(each.stat().st_mode) == 0o600, each


@pytest.mark.parametrize("make", ["other", "newer", "text"])
def test_a_file_that_is_none_of_ours_is_left_as_it_is(tmp_path, make):
    path = tmp_path / "console.db"
    if make == "text":
        path.write_text("a shopping list, and a long one: " + "milk " * 1000)
    elif make == "other":
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE mine (x)")
    else:
        Writer(path).close()
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    for use in (Writer, Reader):
        with pytest.raises(StoreError, match=r"console\.db"):
            use(path)
    assert path.read_bytes() == before


def test_a_reader_of_nothing_says_what_makes_it(tmp_path):
    with pytest.raises(StoreError, match="tracedrpc console"):
        Reader(tmp_path / "console.db")
    assert not list(tmp_path.iterdir())


def test_questions_from_many_threads_are_all_answered(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    with store(tmp_path / "console.db") as a_store, ThreadPoolExecutor(8) as pool:
        a_store.spans(*(a_span(trace=n, at_ms=n) for n in range(1, 50)))
        asked = [pool.submit(a_store.reader.trace, trace_id(1 + n % 49)) for n in range(200)]
        assert all(len(each.result(30) or []) == 1 for each in asked)
