"""Servers that are told to end, servers that are killed, and children of a process that has called."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.support import GRACE_S, Executions, eventually, failures, twice
from tracedrpc import MessagingTimeout

CHILDREN = Path(__file__).with_name("children.py")
LONG_S = 5.0
WORKERS = 4


def start(*args):
    return subprocess.Popen([sys.executable, CHILDREN, *map(str, args)], stdout=subprocess.PIPE, text=True)


@pytest.fixture
def serve(site, log_file):
    """Give a function that starts a server in a process of its own and waits until it serves."""
    started = []

    def serving(name):
        process = start("serve", site.url, site.topic, name, log_file.path)
        started.append(process)
        assert process.stdout.readline() == "ready\n"
        return process

    yield serving
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_sigterm_under_load_loses_nothing(site, log_file, serve):
    first = serve("first")
    serve("second")
    transport = site.transport()
    calls = site.load(site.client(transport, timeout=LONG_S))
    casts = site.load(site.client(transport, timeout=LONG_S), threads=2, method="cast", pause_s=0.02)
    calls.wait_for(100)
    first.send_signal(signal.SIGTERM)
    assert first.wait(10) == 0
    calls.wait_for(50)
    records = calls.stop() + casts.stop()

    assert failures(records) == []
    assert eventually(lambda: {record.number for record in records} <= set(log_file.ids()))
    assert twice(log_file.ids()) == []


def test_a_killed_server_takes_only_what_it_was_working_on(site, log_file, serve):
    first = serve("first")
    serve("second")
    load = site.load(site.client(timeout=LONG_S), threads=8)
    load.wait_for(100)
    first.kill()
    first.wait()
    load.wait_for(100)
    lost = failures(load.stop())

    assert len(lost) <= WORKERS
    assert all(isinstance(record.error, MessagingTimeout) for record in lost)
    assert all(record.lasted_s <= LONG_S + GRACE_S for record in lost)
    assert twice(log_file.ids()) == []


def test_ten_children_of_a_process_that_has_called_can_all_call(site):
    done = Executions()
    site.server(done)
    parent = start("fork", site.url, site.topic, 10)
    told, _ = parent.communicate(timeout=30)
    assert (parent.returncode, told.split()) == (0, ["10"])
    assert done.wait_for(2 + 20)
    assert twice(done.ids()) == []
