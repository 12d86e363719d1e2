from __future__ import annotations

import threading

import pytest

from tracedrpc._scheduler import Scheduler
from tracedrpc.testing import RecordingTelemetry

PATIENCE_S = 5


@pytest.fixture
def telemetry():
    return RecordingTelemetry()


@pytest.fixture
def scheduler(telemetry):
    made = Scheduler(telemetry)
    yield made
    made.close(PATIENCE_S)


def thread_names():
    return [thread.name for thread in threading.enumerate()]


def test_there_is_no_thread_before_the_first_job(scheduler):
    assert "tracedrpc-scheduler" not in thread_names()


def test_jobs_run_in_the_order_of_their_times_on_one_named_thread(scheduler):
    order, done = [], threading.Event()

    def note(name):
        order.append((name, threading.current_thread().name))
        if name == "late":
            done.set()

    scheduler.after(0.5, lambda: note("late"))
    scheduler.after(0.0, lambda: note("early"))
    assert done.wait(PATIENCE_S)
    assert order == [("early", "tracedrpc-scheduler"), ("late", "tracedrpc-scheduler")]


def test_an_earlier_job_does_not_wait_for_a_later_one(scheduler):
    done = threading.Event()
    scheduler.after(60, lambda: None)
    scheduler.after(0, done.set)
    assert done.wait(PATIENCE_S)


def test_a_cancelled_job_does_not_run(scheduler):
    ran, done = [], threading.Event()
    scheduler.after(0.01, lambda: ran.append(True)).cancel()
    scheduler.after(0.02, done.set)
    assert done.wait(PATIENCE_S)
    assert ran == []


def test_a_job_that_raises_is_reported_and_the_next_one_runs(scheduler, telemetry):
    error, done = ValueError("x"), threading.Event()

    def bad():
        raise error

    scheduler.after(0, bad)
    scheduler.after(0.01, done.set)
    assert done.wait(PATIENCE_S)
    assert telemetry.of("background_failed")[0].fields == {"where": "scheduler", "error": error}


def test_a_job_may_schedule_another(scheduler):
    done = threading.Event()
    scheduler.after(0, lambda: scheduler.after(0, done.set))
    assert done.wait(PATIENCE_S)


def test_nothing_runs_once_it_is_closed_and_the_thread_ends(scheduler):
    ran = []
    scheduler.after(0.05, lambda: ran.append(True))
    scheduler.close(PATIENCE_S)
    scheduler.after(0, lambda: ran.append(True))
    assert "tracedrpc-scheduler" not in thread_names()
    assert ran == []
    assert len(scheduler) == 0


def test_a_job_may_close_the_scheduler(scheduler):
    done = threading.Event()

    def close():
        scheduler.close()
        done.set()

    scheduler.after(0, close)
    assert done.wait(PATIENCE_S)
